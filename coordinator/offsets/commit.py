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

from coordinator.group_kinds import kind_of
from coordinator.offsets.proposal import find_partitions, propose, refuse_all
from coordinator.offsets.store import NEVER
from protocol.errors import ErrorCode
from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coordinator.group_state import GroupState
    from coordinator.offsets.asked import OffsetToCommit
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_GROUP_NOT_FOUND: Final = 9
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 10
_DEFAULT_RETENTION: Final = -1

_Topic = OffsetCommitResponse.OffsetCommitResponseTopic
_Partition = OffsetCommitResponse.OffsetCommitResponsePartition


def commit(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Propose a record for each offset that may be committed."""
    request = cast("OffsetCommitRequest", call.request)
    by_id = call.caller.version >= _FIRST_VERSION_WITH_TOPIC_IDS
    offsets, topics = find_partitions(state.catalog, request.topics, _Topic, _Partition, by_id=by_id)
    if offsets:
        refusal = _refusal(state, request, call.caller.version, offsets, now_ms, effects)
        if refusal:
            refuse_all(offsets, refusal)
        else:
            expires = request.retention_time_ms != _DEFAULT_RETENTION
            expire_ms = now_ms + request.retention_time_ms if expires else NEVER
            propose(state, request.group_id, offsets, now_ms, effects, expire_timestamp_ms=expire_ms)
    effects.answer(call.waiter, OffsetCommitResponse(topics=topics))


def _refusal(
    state: GroupState,
    request: OffsetCommitRequest,
    version: int,
    offsets: Sequence[OffsetToCommit],
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
