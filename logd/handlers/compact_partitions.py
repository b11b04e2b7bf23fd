"""CompactPartitions: have partitions compacted now, up to their ends.

An API of logd's own (OWN_APIS), version 0. It is answered at once, each partition with a ticket: the pass has ended
when DescribeCompaction shows that ticket, or a later one, as `ended_ticket`. Tickets are of this run of the node. A
partition that was set aside is tried again. Errors are each partition's: POLICY_VIOLATION for a topic that is not
compacted, or a node that does not compact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.compacted import rows_by_topic
from protocol.messages.compact_partitions import CompactPartitionsRequest, CompactPartitionsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.replicas import LocalPartition

_Topic = CompactPartitionsResponse.AskedTopic
_Partition = CompactPartitionsResponse.AskedPartition


async def handle(
    broker: Broker, request: CompactPartitionsRequest, context: RequestContext
) -> CompactPartitionsResponse:
    """Ask for every partition once."""

    def ask(partition: LocalPartition, row: _Partition) -> None:
        row.ticket = broker.cleaner.ask(partition)

    found = await rows_by_topic(broker, context, Operation.ALTER, request.topics, _Partition, ask)
    return CompactPartitionsResponse(topics=[_Topic(name=name, partitions=found[name]) for name in found])
