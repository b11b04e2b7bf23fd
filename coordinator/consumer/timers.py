"""The timers of members of consumer groups.

session    no heartbeat for so long: the member is out
rebalance  it was told to give partitions up and did not in its rebalance timeout: the member is out
join       a member with the classic protocol was told to join again, and did not
sync       a member with the classic protocol joined, and did not ask for its assignment
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.shard import TimerFired

if TYPE_CHECKING:
    from coordinator.consumer.member import ConsumerMember
    from coordinator.group_state import GroupState
    from coordinator.shard import AppendRefused, Effects, TimerKey
    from protocol.types import TimestampMs

SESSION: Final = "consumer session"
REBALANCE: Final = "consumer rebalance"
JOIN: Final = "consumer join"
SYNC: Final = "consumer sync"
"""Kinds; a key is (kind, group id, member id)."""

_RETRY_MS: Final = 500


def session_key(group_id: str, member_id: str) -> TimerKey:
    return (SESSION, group_id, member_id)


def rebalance_key(group_id: str, member_id: str) -> TimerKey:
    return (REBALANCE, group_id, member_id)


def join_key(group_id: str, member_id: str) -> TimerKey:
    return (JOIN, group_id, member_id)


def sync_key(group_id: str, member_id: str) -> TimerKey:
    return (SYNC, group_id, member_id)


def session_timeout_ms(state: GroupState, group_id: str, member: ConsumerMember) -> int:
    """Return how long a member may be silent: as it asked in its JoinGroup, or as holds for the group."""
    if member.classic is not None:
        return member.classic.session_timeout_ms
    return state.config_of(group_id).consumer_session_timeout_ms


def restart_session(
    state: GroupState, group_id: str, member: ConsumerMember, now_ms: TimestampMs, effects: Effects
) -> None:
    timeout_ms = session_timeout_ms(state, group_id, member)
    effects.set_timer(session_key(group_id, member.member_id), now_ms + timeout_ms)


def try_again(_state: GroupState, refused: AppendRefused, now_ms: TimestampMs, effects: Effects) -> None:
    """What a timer came to could not be written: the member stays for a little longer."""
    assert isinstance(refused.event, TimerFired)
    effects.set_timer(refused.event.key, now_ms + _RETRY_MS)


def cancel_all(group_id: str, member_id: str, effects: Effects) -> None:
    for kind in (SESSION, REBALANCE, JOIN, SYNC):
        effects.cancel_timer((kind, group_id, member_id))
