"""What a classic group answers to the questions that all kinds of groups are asked: see `coordinator.group_kinds`.

Source: Kafka group-coordinator, ClassicGroup.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.classic.rebalance import renew_session
from coordinator.classic.states import ClassicState
from coordinator.offsets.store import SINCE_COMMIT
from protocol.errors import ErrorCode
from protocol.messages.records_group import GroupMetadataKey

if TYPE_CHECKING:
    from coordinator.classic.group import ClassicGroup
    from coordinator.shard import Effects
    from protocol.types import TimestampMs

TYPE: Final = "classic"


def refuse_commit(
    group: ClassicGroup,
    member_id: str,
    instance_id: str | None,
    generation_id: int,
    _version: int,
    _offsets: object,
) -> ErrorCode:
    """Members commit in their generation; others, tools for one, while nobody is in the group."""
    if generation_id < 0 and group.state is ClassicState.EMPTY:
        return ErrorCode.NONE
    if generation_id < 0 and not member_id and instance_id is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    refusal = _refuse_member(group, member_id, instance_id, generation_id)
    if not refusal and group.state is ClassicState.COMPLETING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS  # the member has yet to learn what it owns now
    return refusal


def refuse_transactional_commit(
    group: ClassicGroup, member_id: str, instance_id: str | None, generation_id: int, _offsets: object
) -> ErrorCode:
    """Who names a member has to be it, in its generation, whatever the group is about."""
    if generation_id < 0 and (group.state is ClassicState.EMPTY or (not member_id and instance_id is None)):
        return ErrorCode.NONE
    return _refuse_member(group, member_id, instance_id, generation_id)


def heard_of(group: ClassicGroup, member_id: str, now_ms: TimestampMs, effects: Effects) -> None:
    """Renew the session of a member."""
    member = group.members.get(member_id)
    if member is not None:
        renew_session(member, now_ms, effects)


def refuse_fetch(_group: ClassicGroup, _member_id: str | None, _epoch: int) -> ErrorCode:
    """Everybody may read; members of such groups say nothing about themselves."""
    return ErrorCode.NONE


def refuse_offset_delete(group: ClassicGroup) -> ErrorCode:
    """Where members are not consumers, nobody knows which topics they use."""
    if group.state is ClassicState.EMPTY or group.is_consumers:
        return ErrorCode.NONE
    return ErrorCode.NON_EMPTY_GROUP


def is_subscribed_to(group: ClassicGroup, topic: str) -> bool:
    return group.is_subscribed_to(topic)


def offsets_expire_since(group: ClassicGroup) -> TimestampMs | None:
    """Offsets expire once the group is empty, or, of consumers at work, where they are not subscribed any more."""
    if group.protocol_type is None:
        return SINCE_COMMIT
    if group.state is ClassicState.EMPTY:
        return group.state_since_ms
    if group.state is ClassicState.STABLE and group.is_consumers and group.subscribed_topics is not None:
        return SINCE_COMMIT
    return None


def refuse_delete(group: ClassicGroup) -> ErrorCode:
    return ErrorCode.NONE if group.state is ClassicState.EMPTY else ErrorCode.NON_EMPTY_GROUP


def remove(group: ClassicGroup, effects: Effects) -> None:
    effects.record(GroupMetadataKey(group=group.group_id), None)


def state_name(group: ClassicGroup) -> str:
    return group.state.value


def protocol_type(group: ClassicGroup) -> str:
    return group.protocol_type or ""


def _refuse_member(
    group: ClassicGroup, member_id: str, instance_id: str | None, generation_id: int
) -> ErrorCode:
    """Whether there is such a member, and it knows of the newest generation."""
    refusal = group.refusal(member_id, instance_id)
    if not refusal and generation_id != group.generation_id:
        return ErrorCode.ILLEGAL_GENERATION
    return refusal
