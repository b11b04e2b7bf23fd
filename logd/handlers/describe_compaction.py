"""DescribeCompaction: how dirty partitions are, what the cleaner does about it, and how it came out.

An API of logd's own (OWN_APIS), version 0. Errors are each partition's: POLICY_VIOLATION for a topic that is not
compacted. `cleaned_to` is -1 before the first pass. `uncleanable` says why the partition was set aside: Kafka counts
such partitions in the metric uncleanable-partitions-count. `ended_ticket` is that of the last pass that was asked for
and has ended; see compact_partitions.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.compacted import rows_by_topic
from protocol.compaction_state import CompactionState
from protocol.messages.describe_compaction import DescribeCompactionRequest, DescribeCompactionResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.replicas import LocalPartition

_Topic = DescribeCompactionResponse.DescribedTopic
_Partition = DescribeCompactionResponse.DescribedPartition


async def handle(
    broker: Broker, request: DescribeCompactionRequest, context: RequestContext
) -> DescribeCompactionResponse:
    """Answer every partition once."""

    def describe(partition: LocalPartition, row: _Partition) -> None:
        facts = broker.cleaner.describe(partition)
        row.cleaned_to = -1 if facts.cleaned_to is None else facts.cleaned_to
        row.clean_bytes, row.dirty_bytes = facts.clean_bytes, facts.dirty_bytes
        row.uncleanable = facts.uncleanable
        if facts.progress is not None:
            row.state = CompactionState.RUNNING
            row.done_bytes, row.total_bytes = facts.progress
        elif facts.is_waiting:
            row.state = CompactionState.WAITING
        row.ended_ticket, row.ended_error, row.bytes_before, row.bytes_after = facts.asked

    found = await rows_by_topic(broker, context, Operation.DESCRIBE, request.topics, _Partition, describe)
    return DescribeCompactionResponse(topics=[_Topic(name=name, partitions=found[name]) for name in found])
