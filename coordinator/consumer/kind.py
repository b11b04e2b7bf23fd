"""What a consumer group answers to the questions that all kinds of groups are asked: see `coordinator.group_kinds`.

Source: Kafka group-coordinator, ConsumerGroup.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from coordinator.consumer import records
from coordinator.offsets.store import SINCE_COMMIT
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.consumer.group import ConsumerGroup
    from coordinator.consumer.member import ConsumerMember
    from coordinator.offsets.asked import OffsetToCommit
    from coordinator.shard import Effects
    from protocol.types import TimestampMs

TYPE: Final = "consumer"

_FIRST_COMMIT_VERSION: Final = 9
"""Of OffsetCommit for members that use the consumer protocol: older ones do not know its errors."""

_NO_EPOCH: Final = -1
"""Of who is no member."""


def refuse_commit(
    group: ConsumerGroup,
    member_id: str,
    _instance_id: str | None,
    epoch: int,
    version: int,
    offsets: Sequence[OffsetToCommit],
) -> ErrorCode:
    """Members commit in their epoch, or in an older one what they were given in it or before (Kafka 4.3)."""
    if epoch < 0 and group.is_empty:
        return ErrorCode.NONE
    member = group.members.get(member_id)
    if member is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    if member.classic is None and version < _FIRST_COMMIT_VERSION:
        return ErrorCode.UNSUPPORTED_VERSION
    return _refuse_epoch(member, epoch, offsets)


def refuse_transactional_commit(
    group: ConsumerGroup,
    member_id: str,
    instance_id: str | None,
    epoch: int,
    offsets: Sequence[OffsetToCommit],
) -> ErrorCode:
    """As outside of a transaction, in every version; but who says nothing at all of a member may, too."""
    if epoch < 0 and group.is_empty:
        return ErrorCode.NONE
    if epoch == _NO_EPOCH and not member_id and instance_id is None:
        return ErrorCode.NONE
    member = group.members.get(member_id)
    return ErrorCode.UNKNOWN_MEMBER_ID if member is None else _refuse_epoch(member, epoch, offsets)


def heard_of(_group: ConsumerGroup, _member_id: str, _now_ms: TimestampMs, _effects: Effects) -> None:
    """Only heartbeats keep such a member alive."""


def refuse_fetch(group: ConsumerGroup, member_id: str | None, epoch: int) -> ErrorCode:
    """Who names no member may read; members have to be in the epoch that they name."""
    if member_id is None and epoch < 0:
        return ErrorCode.NONE
    member = group.members.get(member_id or "")
    if member is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    return ErrorCode.NONE if epoch == member.member_epoch else _stale(member)


def refuse_offset_delete(_group: ConsumerGroup) -> ErrorCode:
    return ErrorCode.NONE


def is_subscribed_to(group: ConsumerGroup, topic: str) -> bool:
    return group.is_subscribed_to(topic)


def offsets_expire_since(_group: ConsumerGroup) -> TimestampMs | None:
    """Offsets of topics that nobody subscribes to expire by the time of their commit."""
    return SINCE_COMMIT


def refuse_delete(group: ConsumerGroup) -> ErrorCode:
    return ErrorCode.NONE if group.is_empty else ErrorCode.NON_EMPTY_GROUP


def remove(group: ConsumerGroup, effects: Effects) -> None:
    records.group_gone(effects, group)


def state_name(group: ConsumerGroup) -> str:
    return group.state.value


def protocol_type(_group: ConsumerGroup) -> str:
    return "consumer"


def _refuse_epoch(member: ConsumerMember, epoch: int, offsets: Sequence[OffsetToCommit]) -> ErrorCode:
    if epoch > member.member_epoch:
        return _stale(member)
    if epoch < member.member_epoch:
        for offset in offsets:
            given = member.assignment_epoch(offset.topic_id, offset.asked.partition_index)
            if given is None or epoch < given:
                return _stale(member)
    return ErrorCode.NONE


def _stale(member: ConsumerMember) -> ErrorCode:
    """Return what a member with another epoch is told, in the words of its protocol."""
    return ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION
