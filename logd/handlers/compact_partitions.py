"""CompactPartitions: have partitions compacted now, up to their ends.

An API of logd's own (OWN_APIS), version 0. It is answered at once, each partition with a ticket: the pass has ended
when DescribeCompaction shows that ticket, or a later one, as `ended_ticket`. Tickets are of this run of the node. A
partition that was set aside is tried again. Errors are each partition's: POLICY_VIOLATION for a topic that is not
compacted, or a node that does not compact.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.compacted import PER_TURN, by_topic, compacted_partition
from protocol.errors import BrokerError
from protocol.messages.compact_partitions import CompactPartitionsRequest, CompactPartitionsResponse
from storage.errors import StorageFailure

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_Topic = CompactPartitionsResponse.AskedTopic
_Partition = CompactPartitionsResponse.AskedPartition


async def handle(
    broker: Broker, request: CompactPartitionsRequest, context: RequestContext
) -> CompactPartitionsResponse:
    """Ask for every partition once. Each of them may begin a segment: so only some in one turn of the loop."""
    response = CompactPartitionsResponse()
    asked = 0
    for topic, indexes in by_topic(request.topics).items():
        rows = []
        for index in indexes:
            row = _Partition(partition_index=index)
            try:
                row.ticket = _ask(broker, context, topic, index)
            except BrokerError as refusal:
                row.error_code = refusal.code
                row.error_message = refusal.message
            rows.append(row)
            asked += 1
            if asked % PER_TURN == 0:
                await asyncio.sleep(0)
        response.topics.append(_Topic(name=topic, partitions=rows))
    return response


def _ask(broker: Broker, context: RequestContext, topic: str, index: int) -> int:
    """Raises: BrokerError."""
    partition = compacted_partition(broker, context, Operation.ALTER, topic, index)
    try:
        return broker.cleaner.ask(partition)
    except StorageFailure as failure:
        raise broker.storage_failed(partition, failure) from failure
