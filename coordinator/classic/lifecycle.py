"""What becomes of classic groups when their shard is loaded, and when it is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.classic.group import ClassicGroup
from coordinator.classic.rebalance import prepare_rebalance, renew_session

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects, Waiter
    from protocol.types import TimestampMs


def begin(state: GroupState, now_ms: TimestampMs, effects: Effects) -> None:
    """Begin the sessions of all members; a group that had yet to rebalance does, and so does one that is larger than
    allowed by now, to become smaller.
    """
    for group in state.groups.values():
        if not isinstance(group, ClassicGroup):
            continue
        for member in group.members.values():
            renew_session(member, now_ms, effects)
        if group.must_rebalance or len(group.members) > state.config.group_size_max:
            prepare_rebalance(state, group, now_ms, effects)


def waiting(state: GroupState) -> list[Waiter]:
    """Return who waits for others to join, or for the leader's assignment."""
    return [
        call.waiter
        for group in state.groups.values()
        if isinstance(group, ClassicGroup)
        for member in group.members.values()
        for call in (member.join, member.sync)
        if call is not None
    ]
