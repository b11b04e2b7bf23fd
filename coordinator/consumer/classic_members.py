"""Members with the classic protocol in a group of consumers: what their requests mean there.

    JoinGroup   is the member's heartbeat: it says what it subscribes to and owns. Answered at once; its generation is
                its member epoch, and it leads nobody.
    SyncGroup   tells its assignment.
    Heartbeat   keeps it alive; REBALANCE_IN_PROGRESS when it has to join again: there is a newer target, it has
                something to give up, or what it waits for is free.
    LeaveGroup  removes it.

In place of the rebalance timer it has one for each thing that it is waited for: to join again, to sync.
Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (classicGroup…ToConsumerGroup).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from coordinator.classic.answers import join_request, refuse_join, refuse_sync
from coordinator.classic.subscription import CONSUMER_PROTOCOL_TYPE
from coordinator.consumer import leaving, membership, migration, progress, timers
from coordinator.consumer.embedded import read_subscription, write_assignment
from coordinator.consumer.member import ClassicMetadata, ConsumerMember, MemberState
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.heartbeat import HeartbeatResponse
from protocol.messages.join_group import JoinGroupResponse
from protocol.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from coordinator.consumer.group import ConsumerGroup
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.messages.consumer_protocol import ConsumerProtocolSubscription
    from protocol.messages.leave_group import LeaveGroupRequest
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_MEMBER_ID_REQUIRED: Final = 4
_FIRST_VERSION_WITH_REBALANCE_TIMEOUT: Final = 1


def join_consumers(
    state: GroupState, group: ConsumerGroup, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    """Decide a JoinGroup to a group of consumers that has members."""
    request = join_request(call)
    member_id = request.member_id or membership.new_id(state)
    try:
        _check_join(state, group, call, member_id)
        is_dynamic = request.group_instance_id is None
        if (
            is_dynamic
            and not request.member_id
            and call.caller.version >= _FIRST_VERSION_WITH_MEMBER_ID_REQUIRED
        ):
            raise BrokerError(ErrorCode.MEMBER_ID_REQUIRED)
        if is_dynamic or not request.member_id:
            member = membership.joining_member(
                group, member_id, request.group_instance_id, effects, classic=True
            )
        else:
            member = membership.existing_member(group, member_id, request.group_instance_id)
        subscription = read_subscription(request.protocols[0].metadata)
        _join(state, group, call, member, subscription, now_ms, effects)
    except (BrokerError, ProtocolViolation) as refusal:
        effects.discard()
        code = refusal.code if isinstance(refusal, BrokerError) else ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        told_id = member_id if code is ErrorCode.MEMBER_ID_REQUIRED else request.member_id
        refuse_join(call, code, effects, told_id)


def sync_consumers(
    state: GroupState, group: ConsumerGroup, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    """Decide a SyncGroup."""
    request: Any = call.request
    try:
        member = _classic_member(group, request)
        classic = member.classic
        assert classic is not None
        if request.protocol_type not in (None, CONSUMER_PROTOCOL_TYPE):
            raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if request.protocol_name not in (None, classic.protocols[0][0]):
            raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if (
            group.assignment_epoch > member.member_epoch
            and member.state is not MemberState.UNREVOKED_PARTITIONS
        ):
            _await_join(group, member, now_ms, effects)
            raise BrokerError(ErrorCode.REBALANCE_IN_PROGRESS)
    except BrokerError as refusal:
        refuse_sync(call, refusal.code, effects)
        return
    effects.cancel_timer(timers.sync_key(group.group_id, member.member_id))
    timers.restart_session(state, group.group_id, member, now_ms, effects)
    effects.answer(
        call.waiter,
        SyncGroupResponse(
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignment=write_assignment(member.assigned, state.catalog, classic.protocols[0][1]),
        ),
    )


def heartbeat_consumers(
    state: GroupState, group: ConsumerGroup, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    """Decide a Heartbeat."""
    request: Any = call.request
    try:
        member = _classic_member(group, request)
    except BrokerError as refusal:
        effects.answer(call.waiter, HeartbeatResponse(error_code=refusal.code))
        return
    timers.restart_session(state, group.group_id, member, now_ms, effects)
    code = ErrorCode.NONE
    if _has_to_join(group, member):
        code = ErrorCode.REBALANCE_IN_PROGRESS
        _await_join(group, member, now_ms, effects)
    effects.answer(call.waiter, HeartbeatResponse(error_code=code))


def leave_consumers(
    state: GroupState,
    group: ConsumerGroup,
    leavers: Sequence[LeaveGroupRequest.MemberIdentity],
    now_ms: TimestampMs,
    effects: Effects,
) -> list[ErrorCode]:
    """Remove members, of either protocol; return what becomes of each."""
    codes: list[ErrorCode] = []
    gone: dict[str, ConsumerMember] = {}
    for leaver in leavers:
        instance_id = leaver.group_instance_id
        member_id = leaver.member_id
        if not member_id and instance_id is not None:  # an administrator knows no more of it
            member_id = group.static_members.get(instance_id, "")
        try:
            gone[member_id] = membership.existing_member(group, member_id, instance_id)
        except BrokerError as refusal:
            codes.append(refusal.code)
        else:
            codes.append(ErrorCode.NONE)
    leaving.remove_members(state, group, list(gone.values()), now_ms, effects)
    return codes


# -- pieces --------------------------------------------------------------------------------------------------


def _check_join(state: GroupState, group: ConsumerGroup, call: Call, member_id: str) -> None:
    """Raises: BrokerError INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED."""
    request = join_request(call)
    if state.config.consumer_migration_policy == "disabled":
        raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    membership.check_room(state, group, member_id, request.group_instance_id)
    # A protocol that all classic members know: none of them assigns, but their group may become classic again.
    supported = any(
        group.classic_protocols[protocol.name] == group.classic_members for protocol in request.protocols
    )
    if request.protocol_type != CONSUMER_PROTOCOL_TYPE or not supported:
        raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _join(
    state: GroupState,
    group: ConsumerGroup,
    call: Call,
    member: ConsumerMember,
    subscription: ConsumerProtocolSubscription,
    now_ms: TimestampMs,
    effects: Effects,
) -> None:
    request = join_request(call)
    has_timeout = call.caller.version >= _FIRST_VERSION_WITH_REBALANCE_TIMEOUT
    timeout_ms = request.rebalance_timeout_ms if has_timeout else request.session_timeout_ms
    updated = replace(
        member,
        instance_id=request.group_instance_id or member.instance_id,
        rack_id=subscription.rack_id or member.rack_id,
        rebalance_timeout_ms=timeout_ms,
        topic_names=frozenset(subscription.topics),
        topic_regex="",
        client_id=call.caller.client_id,
        client_host=call.caller.client_host,
        classic=ClassicMetadata(
            request.session_timeout_ms,
            tuple((protocol.name, bytes(protocol.metadata)) for protocol in request.protocols),
        ),
    )
    reported = [
        ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=topic_id, partitions=topic.partitions)
        for topic in subscription.owned_partitions
        if (topic_id := state.catalog.topic_id(topic.topic)) is not None
    ]
    replaced = group.static_member(request.group_instance_id)
    if replaced is not None and migration.becomes_classic_with(state, group, replaced):
        updated = migration.become_classic_with(
            state, group, member, updated, replaced, reported, now_ms, effects
        )
    else:
        updated = progress.advance(state, group, member, updated, reported, now_ms, effects)
        timers.restart_session(state, group.group_id, updated, now_ms, effects)
        effects.set_timer(timers.sync_key(group.group_id, updated.member_id), now_ms + timeout_ms)
        group.asked_to_join.discard(updated.member_id)
        effects.cancel_timer(timers.join_key(group.group_id, updated.member_id))
    effects.answer(
        call.waiter,
        JoinGroupResponse(
            member_id=updated.member_id,
            generation_id=updated.member_epoch,
            protocol_type=CONSUMER_PROTOCOL_TYPE,
            protocol_name=request.protocols[0].name,
        ),
    )


def _classic_member(group: ConsumerGroup, request: Any) -> ConsumerMember:
    """Return who a SyncGroup or Heartbeat is of.

    Raises: BrokerError UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION.
    """
    member = membership.existing_member(group, request.member_id, request.group_instance_id)
    if member.classic is None:
        raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
    if member.member_epoch != request.generation_id:
        raise BrokerError(ErrorCode.ILLEGAL_GENERATION)
    return member


def _has_to_join(group: ConsumerGroup, member: ConsumerMember) -> bool:
    if member.member_epoch < group.assignment_epoch or member.state is MemberState.UNREVOKED_PARTITIONS:
        return True
    return member.state is MemberState.UNRELEASED_PARTITIONS and not _is_kept_waiting(group, member)


def _is_kept_waiting(group: ConsumerGroup, member: ConsumerMember) -> bool:
    """Whether something that it is to get still belongs to another."""
    return any(
        partition not in member.assigned.get(topic_id, {}) and group.is_owned(topic_id, partition)
        for topic_id, partitions in group.target_of(member).items()
        for partition in partitions
    )


def _await_join(group: ConsumerGroup, member: ConsumerMember, now_ms: TimestampMs, effects: Effects) -> None:
    """Give a member its rebalance timeout to join again, from the first time that it is told to."""
    if member.member_id not in group.asked_to_join:
        group.asked_to_join.add(member.member_id)
        key = timers.join_key(group.group_id, member.member_id)
        effects.set_timer(key, now_ms + member.rebalance_timeout_ms)
