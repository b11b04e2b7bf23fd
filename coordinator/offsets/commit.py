"""OffsetCommit: what a group has read so far.

    partition unknown                    UNKNOWN_TOPIC_OR_PARTITION, from version 10 on UNKNOWN_TOPIC_ID of a topic
    group unknown, generation given      ILLEGAL_GENERATION, from version 9 on GROUP_ID_NOT_FOUND
    not a member, wrong generation       as the kind of the group says; on every partition that exists
    metadata longer than is allowed      OFFSET_METADATA_TOO_LARGE, on that partition alone
    else                                 one record for each partition, all in one batch

Without generation (-1) an unknown group is made by its first commit: it only stores offsets.
Versions 2–10. 2 to 4: the client says how long the offset is kept (KIP-211 ended that). 6: leader epoch (KIP-320).
7: static members (KIP-345). 9: members of KIP-848. 10: topic ids (KIP-848).
Source: Kafka KafkaApis.scala, OffsetMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.group_kinds import OffsetToCommit, kind_of
from coordinator.offsets.store import NEVER
from protocol.errors import ErrorCode
from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from protocol.messages.records_group import OffsetCommitKey, OffsetCommitValue
from protocol.types import ZERO_UUID

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.ports import TopicCatalog
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_GROUP_NOT_FOUND: Final = 9
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 10
_DEFAULT_RETENTION: Final = -1

_AskedTopic = OffsetCommitRequest.OffsetCommitRequestTopic
_Topic = OffsetCommitResponse.OffsetCommitResponseTopic
_Partition = OffsetCommitResponse.OffsetCommitResponsePartition


def commit(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Propose a record for each offset that may be committed."""
    request = cast("OffsetCommitRequest", call.request)
    by_id = call.caller.version >= _FIRST_VERSION_WITH_TOPIC_IDS
    response = OffsetCommitResponse()
    offsets: list[OffsetToCommit] = []
    for topic in request.topics:
        response.topics.append(_find(state.catalog, topic, by_id, offsets))
    if offsets:
        refusal = _refusal(state, request, call.caller.version, offsets, now_ms, effects)
        if refusal:
            for offset in offsets:
                offset.answer.error_code = refusal
        else:
            _propose(state, request, offsets, now_ms, effects)
    effects.answer(call.waiter, response)


def _find(catalog: TopicCatalog, topic: _AskedTopic, by_id: bool, offsets: list[OffsetToCommit]) -> _Topic:
    """Return the answer of a topic, and add those of its partitions that exist to `offsets`."""
    if by_id:
        topic_id, name, unknown = (
            topic.topic_id,
            catalog.topic_name(topic.topic_id),
            ErrorCode.UNKNOWN_TOPIC_ID,
        )
    else:
        name, unknown = topic.name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        topic_id = catalog.topic_id(name) or ZERO_UUID
    known = name is not None and topic_id != ZERO_UUID
    count = catalog.partition_count(name) if known and name is not None else 0
    answers = []
    for asked in topic.partitions:
        answer = _Partition(partition_index=asked.partition_index)
        answers.append(answer)
        if 0 <= asked.partition_index < count and name is not None:
            offsets.append(OffsetToCommit(name, topic_id, asked, answer))
        else:
            answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if known else unknown
    return _Topic(name=topic.name, topic_id=topic.topic_id, partitions=answers)


def _refusal(
    state: GroupState,
    request: OffsetCommitRequest,
    version: int,
    offsets: list[OffsetToCommit],
    now_ms: TimestampMs,
    effects: Effects,
) -> ErrorCode:
    """Return what the whole of the request is refused with, else NONE; then the member was heard of."""
    epoch = request.generation_id_or_member_epoch
    group = state.groups.get(request.group_id)
    if group is None:
        if epoch < 0:
            return ErrorCode.NONE
        if version < _FIRST_VERSION_WITH_GROUP_NOT_FOUND:
            return ErrorCode.ILLEGAL_GENERATION
        return ErrorCode.GROUP_ID_NOT_FOUND
    kind, member_id = kind_of(group), request.member_id
    refusal = kind.refuse_commit(group, member_id, request.group_instance_id, epoch, version, offsets)
    if not refusal and member_id:
        kind.heard_of(group, member_id, now_ms, effects)
    return refusal


def _propose(
    state: GroupState,
    request: OffsetCommitRequest,
    offsets: list[OffsetToCommit],
    now_ms: TimestampMs,
    effects: Effects,
) -> None:
    group_id, metadata_max = request.group_id, state.config.offset_metadata_bytes_max
    expires = request.retention_time_ms != _DEFAULT_RETENTION
    expire_timestamp_ms = now_ms + request.retention_time_ms if expires else NEVER
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
                topic_id=ZERO_UUID if expires else topic_id,
            ),
        )


def _length(metadata: str) -> int:
    """Return the length as Kafka counts it: in UTF-16 units."""
    return len(metadata) if metadata.isascii() else len(metadata.encode("utf-16-le", "surrogatepass")) // 2
