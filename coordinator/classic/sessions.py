"""Members that are not heard of: sessions, and ids whose owners never came back.

A member that waits in a JoinGroup or SyncGroup is alive by that; its session begins anew with the answer. Only who
waits in its first JoinGroup, and so has never learned its id, is given up after a time of its own: it may have gone and
come back as somebody else any number of times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.classic.answers import dismiss
from coordinator.classic.group import ClassicGroup
from coordinator.classic.rebalance import complete_join, rebalance_or_complete_join
from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects, TimerKey
    from protocol.types import TimestampMs

PENDING_TIMER: Final = "classic pending"
"""Kind of the timer of an id that was given out: (kind, group id, member id)."""


def session_expired(state: GroupState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """A member was silent for its session timeout: it is out, unless it waits for us."""
    _, group_id, member_id = key
    group = state.groups.get(str(group_id))
    member = group.members.get(str(member_id)) if isinstance(group, ClassicGroup) else None
    if member is None or (member.is_waiting and not member.is_new):
        return
    assert isinstance(group, ClassicGroup)
    group.remove(member.member_id)
    dismiss(member, ErrorCode.UNKNOWN_MEMBER_ID, effects)
    if group.state is not ClassicState.PREPARING_REBALANCE:
        rebalance_or_complete_join(state, group, now_ms, effects)
    elif group.all_joined:
        complete_join(group, now_ms, effects)


def pending_expired(state: GroupState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """Nobody came back with an id that was given out: it is not waited for any longer."""
    _, group_id, member_id = key
    group = state.groups.get(str(group_id))
    if not isinstance(group, ClassicGroup) or member_id not in group.pending_members:
        return
    group.remove(str(member_id))
    if group.state is ClassicState.PREPARING_REBALANCE and group.all_joined:
        complete_join(group, now_ms, effects)
