"""How a classic group comes from one generation to the next.

    prepare_rebalance ──► members join ──► complete_join ──► members sync ──► the leader's assignment is written

A join phase ends when everybody known has joined, at the latest after the longest rebalance timeout of the members;
the first one of an empty group instead lasts for the initial delay, again and again while members arrive, no longer
than the rebalance timeout. Whoever then has not joined is out, but for static members, which keep their places.
A member that does not ask for its assignment within the rebalance timeout is out, too.
Source: Kafka group-coordinator, GroupMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.classic.answers import answer_member, refuse_sync
from coordinator.classic.group import ClassicGroup
from coordinator.classic.records import write_group
from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.classic.member import ClassicMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects, TimerKey
    from protocol.types import TimestampMs


def renew_session(member: ClassicMember, now_ms: TimestampMs, effects: Effects) -> None:
    """The member was heard of."""
    effects.set_timer(member.session_timer, now_ms + member.session_timeout_ms)


def rebalance_or_complete_join(
    state: GroupState, group: ClassicGroup, now_ms: TimestampMs, effects: Effects
) -> None:
    """Membership changed: begin a rebalance, or see whether the join phase under way is over by that."""
    if group.can_rebalance:
        prepare_rebalance(state, group, now_ms, effects)
    else:
        complete_join_if_over(group, now_ms, effects)


def prepare_rebalance(state: GroupState, group: ClassicGroup, now_ms: TimestampMs, effects: Effects) -> None:
    """Have all members join again. SyncGroups that wait are told to."""
    if group.state is ClassicState.COMPLETING_REBALANCE:
        _take_back_assignment(group, now_ms, effects)
    group.pending_sync.clear()
    effects.cancel_timer(group.sync_timer)
    was_empty = group.state is ClassicState.EMPTY
    group.become(ClassicState.PREPARING_REBALANCE, now_ms)
    delay_ms = state.config.initial_rebalance_delay_ms
    if was_empty and delay_ms > 0:
        group.extended = False
        group.initial_delay_left_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
        effects.set_timer(group.join_timer, now_ms + delay_ms)
    elif was_empty or group.all_joined:
        complete_join(group, now_ms, effects)
    else:
        effects.set_timer(group.join_timer, now_ms + group.rebalance_timeout_ms)


def complete_join_if_over(group: ClassicGroup, now_ms: TimestampMs, effects: Effects) -> None:
    """End the join phase if nobody is waited for; the initial delay is waited for in any case."""
    if (
        group.state is ClassicState.PREPARING_REBALANCE
        and group.initial_delay_left_ms is None
        and group.all_joined
    ):
        complete_join(group, now_ms, effects)


def complete_join(group: ClassicGroup, now_ms: TimestampMs, effects: Effects) -> None:
    """End the join phase: drop who is missing, begin the next generation, and tell all who wait."""
    effects.cancel_timer(group.join_timer)
    for member in [member for member in group.members.values() if member.join is None]:
        if not member.is_static:
            group.remove(member.member_id)
            effects.cancel_timer(member.session_timer)
    if group.members and not _has_joined_leader(
        group
    ):  # only static members are left, and none of them is here
        effects.set_timer(group.join_timer, now_ms + group.rebalance_timeout_ms)
        return
    group.initial_delay_left_ms = None
    group.pending_sync.clear()
    group.generation_id += 1
    if group.members:
        _begin_generation(group, now_ms, effects)
    else:
        group.protocol_name = None
        group.refresh_subscriptions()
        group.become(ClassicState.EMPTY, now_ms)
        write_group(group, effects)


def join_time_over(state: GroupState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """The initial delay, or the rebalance timeout, is over."""
    group = state.groups.get(str(key[1]))
    if not isinstance(group, ClassicGroup) or group.state is not ClassicState.PREPARING_REBALANCE:
        return
    left_ms = group.initial_delay_left_ms
    if left_ms and group.extended:
        delay_ms = min(state.config.initial_rebalance_delay_ms, left_ms)
        group.extended = False
        group.initial_delay_left_ms = left_ms - delay_ms
        effects.set_timer(group.join_timer, now_ms + delay_ms)
    else:
        complete_join(group, now_ms, effects)


def sync_time_over(state: GroupState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """Who has not asked for its assignment by now is out."""
    group = state.groups.get(str(key[1]))
    if not isinstance(group, ClassicGroup) or not group.pending_sync:
        return
    for member in [member for id_, member in group.members.items() if id_ in group.pending_sync]:
        group.remove(member.member_id)
        effects.cancel_timer(member.session_timer)
    prepare_rebalance(state, group, now_ms, effects)


def _take_back_assignment(group: ClassicGroup, now_ms: TimestampMs, effects: Effects) -> None:
    for member in group.members.values():
        member.assignment = b""
        if member.sync is not None:
            refuse_sync(member.sync, ErrorCode.REBALANCE_IN_PROGRESS, effects)
            member.sync = None
            renew_session(member, now_ms, effects)


def _has_joined_leader(group: ClassicGroup) -> bool:
    """See to a leader among those who joined; whether there is one."""
    leader = group.members[group.leader_id] if group.leader_id is not None else None
    if leader is None or leader.join is None:
        joined = next((member for member in group.members.values() if member.join is not None), None)
        if joined is None:
            return False
        group.leader_id = joined.member_id
    return True


def _begin_generation(group: ClassicGroup, now_ms: TimestampMs, effects: Effects) -> None:
    """Choose the protocol, answer all JoinGroups, and wait for as many SyncGroups."""
    group.protocol_name = group.best_protocol()
    group.refresh_subscriptions()
    group.become(ClassicState.COMPLETING_REBALANCE, now_ms)
    for member in group.members.values():
        if member.join is not None:
            answer_member(group, member, member.join, effects)
            member.join = None
        member.is_new = False
        group.pending_sync.add(member.member_id)
        renew_session(member, now_ms, effects)
    group.joining = 0
    effects.set_timer(group.sync_timer, now_ms + group.rebalance_timeout_ms)
