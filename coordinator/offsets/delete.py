"""OffsetDelete, and what becomes of the offsets of a deleted topic.

A topic's offsets go in slices, as many tombstones at a time as make a small batch; the timer comes back until none is
left. An offset that was committed to a later topic of the same name stays: the ids differ.
Source: KIP-496; Kafka KafkaApis.scala, OffsetMetadataManager.java.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from coordinator.group_kinds import kind_of
from protocol.errors import ErrorCode
from protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from protocol.messages.records_group import OffsetCommitKey
from protocol.types import ZERO_UUID

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import AppendRefused, Call, Effects, TimerKey, TopicsChanged
    from protocol.types import TimestampMs

ORPHANS_TIMER: Final = "offsets of deleted topics"
"""Kind of the timer that goes on with them: (kind,)."""

_KEY: Final[TimerKey] = (ORPHANS_TIMER,)

#: Tombstones written in one go: some 100 KB, a few milliseconds.
SLICE: Final = 1_000
#: Until the next slice; others have their turn meanwhile.
PAUSE_MS: Final = 10
_RETRY_MS: Final = 1_000

_Topic = OffsetDeleteResponse.OffsetDeleteResponseTopic
_Partition = OffsetDeleteResponse.OffsetDeleteResponsePartition


def tombstone(group_id: str, topic: str, partition: int, effects: Effects) -> None:
    """Propose that an offset is forgotten."""
    effects.record(OffsetCommitKey(group=group_id, topic=topic, partition=partition), None)


# -- the request -----------------------------------------------------------------------------------------


def delete_offsets(state: GroupState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Propose tombstones for offsets of topics that the group is not subscribed to."""
    request = cast("OffsetDeleteRequest", call.request)
    group = state.groups.get(request.group_id)
    if not request.group_id:
        refusal = ErrorCode.INVALID_GROUP_ID
    elif group is None:
        refusal = ErrorCode.GROUP_ID_NOT_FOUND
    else:
        refusal = kind_of(group).refuse_offset_delete(group)
    if refusal:
        effects.answer(call.waiter, OffsetDeleteResponse(error_code=refusal))
    else:
        topics = [_topic(state, request.group_id, topic, effects) for topic in request.topics]
        effects.answer(call.waiter, OffsetDeleteResponse(topics=topics))


def _topic(
    state: GroupState, group_id: str, topic: OffsetDeleteRequest.OffsetDeleteRequestTopic, effects: Effects
) -> _Topic:
    group = state.groups[group_id]
    count = state.catalog.partition_count(topic.name)
    subscribed = kind_of(group).is_subscribed_to(group, topic.name)
    answers = []
    doomed = set()
    for asked in topic.partitions:
        index, code = asked.partition_index, ErrorCode.NONE
        if not 0 <= index < count:
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        elif subscribed:
            code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
        elif state.offsets.exists(group_id, topic.name, index):
            doomed.add(index)
        answers.append(_Partition(partition_index=index, error_code=code))
    for index in sorted(doomed):
        tombstone(group_id, topic.name, index, effects)
    return _Topic(name=topic.name, partitions=answers)


# -- deleted topics --------------------------------------------------------------------------------------


def topics_changed(state: GroupState, news: TopicsChanged, now_ms: TimestampMs, effects: Effects) -> None:
    """Note which groups have offsets for a topic that is no more, and begin to drop them."""
    if not news.deleted:
        return
    ids = dict(zip(news.deleted, news.deleted_ids, strict=True))
    for group_id in state.offsets.groups():
        for topic in state.offsets.topics_among(group_id, ids.keys()):
            state.orphans[group_id, topic, ids[topic]] = None
    drop_orphans(state, _KEY, now_ms, effects)


def drop_orphans(state: GroupState, _key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """Propose the next tombstones. What has none left is forgotten; the rest is looked at again, when they are in."""
    for orphan in list(islice(state.orphans, SLICE)):
        group_id, topic, topic_id = orphan
        partitions = state.offsets.of_topic(group_id, topic, {topic_id, ZERO_UUID})
        if not partitions:
            del state.orphans[orphan]
            continue
        for partition in partitions[: SLICE - len(effects.records)]:
            tombstone(group_id, topic, partition, effects)
        if len(effects.records) >= SLICE:
            break
    if state.orphans:
        effects.set_timer(_KEY, now_ms + PAUSE_MS)


def orphans_stayed(
    _state: GroupState, _refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """The tombstones could not be written; try again."""
    effects.set_timer(_KEY, now_ms + _RETRY_MS)
