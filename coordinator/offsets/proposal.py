"""What every commit of offsets comes to, in a transaction or outside: which partitions exist, and a record for each.

The requests of OffsetCommit and TxnOffsetCommit have the same shape under different names, and so have the answers;
whoever asks says of which kind his answers are. Not here: who may commit, and what the whole of it is refused with.
Source: Kafka KafkaApis.scala, OffsetMetadataManager.java.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from coordinator.offsets.asked import OffsetToCommit
from coordinator.offsets.store import NEVER
from protocol.errors import ErrorCode
from protocol.messages.records_group import OffsetCommitKey, OffsetCommitValue
from protocol.types import ZERO_UUID

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.ports import TopicCatalog
    from coordinator.shard import Effects
    from protocol.types import TimestampMs

_T = TypeVar("_T")


def find_partitions(
    catalog: TopicCatalog,
    topics: Iterable[Any],
    new_topic: Callable[..., _T],
    new_partition: Callable[..., Any],
    *,
    by_id: bool,
) -> tuple[list[OffsetToCommit], list[_T]]:
    """Return the partitions that exist, and the answers about all topics; of what does not exist they say so.

    `by_id`: topics are named by their ids, not their names.
    """
    offsets: list[OffsetToCommit] = []
    answers: list[_T] = []
    for topic in topics:
        topic_id: bytes | None
        if by_id:
            topic_id, name = topic.topic_id, catalog.topic_name(topic.topic_id) or ""
        else:
            topic_id, name = catalog.topic_id(topic.name), topic.name
        known = bool(name) and topic_id is not None and topic_id != ZERO_UUID
        count = catalog.partition_count(name) if known else 0
        unknown = ErrorCode.UNKNOWN_TOPIC_ID if by_id and not known else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        partitions = []
        for asked in topic.partitions:
            answer = new_partition(partition_index=asked.partition_index)
            partitions.append(answer)
            if 0 <= asked.partition_index < count and topic_id is not None:
                offsets.append(OffsetToCommit(name, topic_id, asked, answer))
            else:
                answer.error_code = unknown
        answers.append(new_topic(name=topic.name, topic_id=topic.topic_id, partitions=partitions))
    return offsets, answers


def refuse_all(offsets: Iterable[OffsetToCommit], code: ErrorCode) -> None:
    """Answer that none of them is committed."""
    for offset in offsets:
        offset.answer.error_code = code


def propose(
    state: GroupState,
    group_id: str,
    offsets: Iterable[OffsetToCommit],
    now_ms: TimestampMs,
    effects: Effects,
    *,
    expire_timestamp_ms: TimestampMs = NEVER,
) -> None:
    """Propose a record for each offset; one whose metadata is longer than is allowed is refused alone."""
    metadata_max = state.config.offset_metadata_bytes_max
    for name, topic_id, asked, answer in offsets:
        metadata = asked.committed_metadata or ""
        if _length(metadata) > metadata_max:
            answer.error_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            continue
        effects.record(
            OffsetCommitKey(group=group_id, topic=name, partition=asked.partition_index),
            OffsetCommitValue(
                offset=asked.committed_offset,
                leader_epoch=asked.committed_leader_epoch,
                metadata=metadata,
                commit_timestamp=now_ms,
                expire_timestamp=expire_timestamp_ms,
                # The version of the record that says when it expires has no room for the id.
                topic_id=topic_id if expire_timestamp_ms == NEVER else ZERO_UUID,
            ),
        )


def _length(metadata: str) -> int:
    """Return the length as Kafka counts it: in UTF-16 units."""
    return len(metadata) if metadata.isascii() else len(metadata.encode("utf-16-le", "surrogatepass")) // 2
