"""What a member's heartbeat, or its JoinGroup, sets going once it is known who it is.

    subscribe: what the member says of itself is taken over ─► up-to-date target ─► reconcile: its next step to that

Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (consumerGroupHeartbeat).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from coordinator.consumer import records, regexes, timers
from coordinator.consumer.member import MemberState
from coordinator.consumer.reconciliation import Goal, reconciled
from coordinator.consumer.subscription import Subscriptions, topics_of
from coordinator.consumer.target import up_to_date_target

if TYPE_CHECKING:
    from coordinator.consumer.assignment import TopicPartitions
    from coordinator.consumer.group import ConsumerGroup
    from coordinator.consumer.member import ConsumerMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects
    from protocol.types import TimestampMs


def advance(
    state: GroupState,
    group: ConsumerGroup,
    member: ConsumerMember,
    updated: ConsumerMember,
    reported: Sequence[TopicPartitions] | None,
    now_ms: TimestampMs,
    effects: Effects,
) -> ConsumerMember:
    """Take in what a member says of itself; return it as it is after the next step to its target.

    Raises: BrokerError INVALID_REGULAR_EXPRESSION.
    """
    changed, group_epoch, subscriptions = subscribe(state, group, member, updated, now_ms, effects)
    epoch, target = up_to_date_target(
        state, group, group_epoch, subscriptions.resolved, updated, now_ms, effects
    )
    goal = Goal(epoch, target, state.topics.ids(topics_of(updated, subscriptions.resolved)))
    return reconcile(group, updated, goal, reported, now_ms, effects, subscription_changed=changed)


def subscribe(
    state: GroupState,
    group: ConsumerGroup,
    member: ConsumerMember,
    updated: ConsumerMember,
    now_ms: TimestampMs,
    effects: Effects,
) -> tuple[bool, int, Subscriptions]:
    """Take over what a member is and subscribes to.

    Return whether its subscription changed, the group epoch from now on, and what the group subscribes to then.
    Raises: BrokerError INVALID_REGULAR_EXPRESSION.
    """
    regexes.check_new(group, member, updated)
    if updated != member:
        records.member_metadata(effects, group.group_id, updated)
    changed = updated.topic_names != member.topic_names or regexes.has_changed(member, updated)
    subscriptions = Subscriptions(group)
    subscriptions.swap(member, updated)
    topics_changed = regexes.update(state, group, subscriptions, now_ms, effects)
    if not (changed or topics_changed or group.metadata_expired):
        return changed, group.group_epoch, subscriptions
    group_epoch = group.group_epoch
    metadata_hash = state.topics.metadata_hash(subscriptions.topics)
    if changed or topics_changed or metadata_hash != group.metadata_hash:
        group_epoch += 1
        records.group_epoch(effects, group.group_id, group_epoch, metadata_hash)
    if group.has_old_metadata:
        records.old_metadata_gone(effects, group.group_id)
    group.checked_epoch = group_epoch
    return changed, group_epoch, subscriptions


def reconcile(
    group: ConsumerGroup,
    member: ConsumerMember,
    goal: Goal,
    reported: Sequence[TopicPartitions] | None,
    now_ms: TimestampMs,
    effects: Effects,
    *,
    subscription_changed: bool,
) -> ConsumerMember:
    """Lead a member one step to its goal, and watch over what it has to give up."""
    if not subscription_changed and member.is_reconciled_to(goal.epoch):
        return member
    after = reconciled(group, member, goal, reported, subscription_changed=subscription_changed)
    if after == member:
        return member
    records.current_assignment(effects, group.group_id, after)
    if after.classic is None:  # the classic protocol has timers of its own for this
        key = timers.rebalance_key(group.group_id, after.member_id)
        if after.state is MemberState.UNREVOKED_PARTITIONS:
            effects.set_timer(key, now_ms + after.rebalance_timeout_ms)
        else:
            effects.cancel_timer(key)
    return after
