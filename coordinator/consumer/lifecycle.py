"""What becomes of consumer groups when their shard is loaded, and when topics change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.consumer import timers
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import STATIC_LEAVE_EPOCH, MemberState

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects, TopicsChanged
    from protocol.types import TimestampMs


def begin(state: GroupState, now_ms: TimestampMs, effects: Effects) -> None:
    """Begin the sessions of all members, and anew the time of those that have partitions to give up."""
    for group in state.groups.values():
        if not isinstance(group, ConsumerGroup):
            continue
        for member in group.members.values():
            timers.restart_session(state, group.group_id, member, now_ms, effects)
            if (
                member.classic is None
                and member.state is MemberState.UNREVOKED_PARTITIONS
                and member.member_epoch != STATIC_LEAVE_EPOCH
            ):
                key = timers.rebalance_key(group.group_id, member.member_id)
                effects.set_timer(key, now_ms + member.rebalance_timeout_ms)


def topics_changed(state: GroupState, _event: TopicsChanged, _now_ms: TimestampMs, _effects: Effects) -> None:
    """Have the next heartbeat of each group look at its topics again."""
    state.topics.changed()
    for group in state.groups.values():
        if isinstance(group, ConsumerGroup):
            group.checked_epoch = None
