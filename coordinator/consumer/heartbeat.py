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

from coordinator.consumer import leaving, membership, migration, progress, regexes, timers
from coordinator.consumer.assignment import assignment_response
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import JOIN_EPOCH, ConsumerMember, MemberState
from coordinator.consumer.requests import check_heartbeat
from protocol.errors import BrokerError
from protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

if TYPE_CHECKING:
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
    reported = request.topic_partitions
    if joins:
        membership.check_room(state, group, request.member_id, request.instance_id)
        member_id = request.member_id or membership.new_id(state)
        member = membership.joining_member(group, member_id, request.instance_id, effects, classic=False)
    else:
        member = membership.existing_member(group, request.member_id, request.instance_id)
        membership.check_epoch(member, request.member_epoch, reported)
    updated = _updated(member, call)
    updated = progress.advance(state, group, member, updated, reported, now_ms, effects)
    timers.restart_session(state, group.group_id, updated, now_ms, effects)
    assigned_anew = joins or updated.assigned != member.assigned
    migration.dismiss_waiters(state, group.group_id, effects)
    effects.answer(call.waiter, _response(state, request, updated, assigned_anew=assigned_anew))


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
        heartbeat_interval_ms=state.config_of(request.group_id).consumer_heartbeat_interval_ms,
        assignment=assignment_response(member.assigned) if assigned_anew or is_full else None,
    )
