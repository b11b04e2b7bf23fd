"""ConsumerGroupHeartbeat: joins a member, keeps it alive, leads it to its target (KIP-848).

    group and member found or made ─► subscription taken over ─► group epoch raised ─► target made anew
        ─► member reconciled ─► session restarted ─► answered

Each step works on copies and proposes records; nothing of the group is changed before these are replayed. A heartbeat
that brings nothing new to a group at rest, as nearly all are, goes none of this way.
Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (consumerGroupHeartbeat).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from coordinator.consumer import leaving, membership, migration, records, regexes, timers
from coordinator.consumer.assignment import assignment_response
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import JOIN_EPOCH, ConsumerMember, MemberState
from coordinator.consumer.reconciliation import Goal, reconciled
from coordinator.consumer.requests import check_heartbeat
from coordinator.consumer.subscription import Subscriptions, topics_of
from coordinator.consumer.target import up_to_date_target
from protocol.errors import BrokerError
from protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coordinator.consumer.assignment import TopicPartitions
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs


def heartbeat(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Decide one ConsumerGroupHeartbeat."""
    request = call.request
    assert isinstance(request, ConsumerGroupHeartbeatRequest)
    group = state.groups.get(request.group_id)
    if isinstance(group, ConsumerGroup):
        member = group.members.get(request.member_id)
        if member is not None and _brings_nothing(state, group, member, call, now_ms):
            timers.restart_session(state, request.group_id, member, now_ms, effects)
            effects.answer(call.waiter, _response(state, request, member, assigned_anew=False))
            return
    try:
        check_heartbeat(request, call.caller.version, state.config)
        if request.member_epoch < JOIN_EPOCH:
            leaving.leave(state, call, now_ms, effects)
        else:
            _take_in(state, call, now_ms, effects)
    except BrokerError as refusal:
        effects.discard()
        effects.answer(
            call.waiter,
            ConsumerGroupHeartbeatResponse(error_code=refusal.code, error_message=refusal.message),
        )


def _brings_nothing(
    state: GroupState, group: ConsumerGroup, member: ConsumerMember, call: Call, now_ms: TimestampMs
) -> bool:
    """Whether neither the group nor this member has anything to do but to note that the member lives."""
    request = call.request
    assert isinstance(request, ConsumerGroupHeartbeatRequest)
    epoch = member.member_epoch
    names, regex = request.subscribed_topic_names, request.subscribed_topic_regex
    return (
        request.member_epoch == epoch > 0
        and member.state is MemberState.STABLE
        and group.assignment_epoch == epoch
        and group.group_epoch == epoch
        and not group.metadata_expired
        and member.classic is None
        and request.instance_id == member.instance_id
        and (request.rack_id is None or request.rack_id == member.rack_id)
        and request.rebalance_timeout_ms in (-1, member.rebalance_timeout_ms)
        and (names is None or member.topic_names == set(names))
        and (regex is None or regex == member.topic_regex)
        and (request.server_assignor is None or request.server_assignor == member.assignor)
        and call.caller.client_id == member.client_id
        and call.caller.client_host == member.client_host
        and not (group.regexes and regexes.refresh_due(state, group, now_ms))
    )


def _take_in(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    request = call.request
    assert isinstance(request, ConsumerGroupHeartbeatRequest)
    joins = request.member_epoch == JOIN_EPOCH
    group = migration.group_for_heartbeat(state, request.group_id, now_ms, effects, joins=joins)
    membership.check_room(state, group, request.member_id)
    reported = request.topic_partitions
    if joins:
        member_id = request.member_id or _new_id(state)
        member = membership.joining_member(group, member_id, request.instance_id, effects, classic=False)
    else:
        member = membership.existing_member(group, request.member_id, request.instance_id)
        membership.check_epoch(member, request.member_epoch, reported)
    updated = _updated(member, call)
    updated = advance(state, group, member, updated, reported, now_ms, effects)
    timers.restart_session(state, group.group_id, updated, now_ms, effects)
    assigned_anew = joins or updated.assigned != member.assigned
    effects.answer(call.waiter, _response(state, request, updated, assigned_anew=assigned_anew))


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


def _updated(member: ConsumerMember, call: Call) -> ConsumerMember:
    """Return the member with what the request says; what it leaves out stays."""
    request = call.request
    assert isinstance(request, ConsumerGroupHeartbeatRequest)
    names = request.subscribed_topic_names
    regex = request.subscribed_topic_regex
    timeout_ms = request.rebalance_timeout_ms
    return replace(
        member,
        instance_id=request.instance_id or member.instance_id,
        rack_id=request.rack_id or member.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        assignor=request.server_assignor or member.assignor,
        topic_names=member.topic_names if names is None else frozenset(names),
        topic_regex=member.topic_regex if regex is None else regex,
        client_id=call.caller.client_id,
        client_host=call.caller.client_host,
        classic=None,
    )


def _response(
    state: GroupState,
    request: ConsumerGroupHeartbeatRequest,
    member: ConsumerMember,
    *,
    assigned_anew: bool,
) -> ConsumerGroupHeartbeatResponse:
    """Return the answer; it tells the assignment when that is new, or all was said anew, as after an error."""
    is_full = (
        request.rebalance_timeout_ms != -1
        and request.topic_partitions is not None
        and (request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None)
    )
    return ConsumerGroupHeartbeatResponse(
        member_id=member.member_id,
        member_epoch=member.member_epoch,
        heartbeat_interval_ms=state.config.consumer_heartbeat_interval_ms,
        assignment=assignment_response(member.assigned) if assigned_anew or is_full else None,
    )


def _new_id(state: GroupState) -> str:
    """Return a member id as Kafka makes them: a random UUID in URL-safe base64 without padding."""
    from base64 import urlsafe_b64encode  # noqa: PLC0415 - of clients of version 0 only

    return urlsafe_b64encode(state.entropy.uuid()).rstrip(b"=").decode()
