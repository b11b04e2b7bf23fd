"""Groups that change between the classic protocol and that of KIP-848, empty or with members.

    classic, empty    ── heartbeat that joins ──► consumer     (back: JoinGroup to an empty group, see classic/join.py)
    classic, members  ── heartbeat that joins ──► consumer     members keep what they own, the generation is their epoch
    consumer          ── the last member with the consumer protocol goes, or comes back with the other ──► classic

`group.consumer.migration.policy` may forbid the ways with members. What was there is removed and what takes its place
is written in one batch. A group that becomes classic does so at once, as it has to rebalance; it keeps the group that
it was until that is written, and gives it back when it cannot be. That it has to rebalance is written, too: otherwise,
were the coordinator lost just then, nobody would have the partitions of who left.
Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (convertTo…, validateOnline…), ConsumerGroup.java
(fromClassicGroup), ClassicGroup.java (fromConsumerGroup).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coordinator.classic import kind as classic_kind
from coordinator.classic.answers import dismiss
from coordinator.classic.group import ClassicGroup
from coordinator.classic.member import ClassicMember
from coordinator.classic.rebalance import prepare_rebalance, renew_session
from coordinator.classic.records import write_group
from coordinator.classic.states import ClassicState
from coordinator.classic.subscription import CONSUMER_PROTOCOL_TYPE
from coordinator.consumer import membership, progress, records, timers
from coordinator.consumer.assignment import NO_TARGET, owned_in_epoch
from coordinator.consumer.embedded import read_assignment, read_subscription, write_assignment
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import ClassicMetadata, ConsumerMember
from coordinator.consumer.reconciliation import Goal
from coordinator.consumer.subscription import topics_of
from coordinator.shard import TimerFired
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation

if TYPE_CHECKING:
    from coordinator.consumer.assignment import Target, TopicPartitions
    from coordinator.group_state import GroupState
    from coordinator.shard import AppendRefused, Effects
    from protocol.types import TimestampMs

_UPGRADES = ("bidirectional", "upgrade")
_DOWNGRADES = ("bidirectional", "downgrade")


# -- to consumers --------------------------------------------------------------------------------------------


def group_for_heartbeat(
    state: GroupState, group_id: str, now_ms: TimestampMs, effects: Effects, *, joins: bool
) -> ConsumerGroup:
    """Return the group that a heartbeat is for. Who joins gets one: a new one, or in place of a classic one.

    Raises: BrokerError GROUP_ID_NOT_FOUND.
    """
    group = state.groups.get(group_id)
    if not joins or isinstance(group, ConsumerGroup):
        return membership.existing_group(state, group_id)
    if not isinstance(group, ClassicGroup):
        return ConsumerGroup(group_id)
    if group.is_empty:  # perhaps while it waits for somebody who was only given an id
        classic_kind.remove(group, effects)
        return ConsumerGroup(group_id)
    return _of_consumers(state, group, now_ms, effects)


def dismiss_waiters(state: GroupState, group_id: str, effects: Effects) -> None:
    """Tell the members of a classic group that becomes one of consumers, which wait for each other, to come again."""
    group = state.groups.get(group_id)
    if isinstance(group, ClassicGroup):
        for member in group.members.values():
            if member.join is not None:
                group.joining -= 1
            dismiss(member, ErrorCode.REBALANCE_IN_PROGRESS, effects, member.member_id)


def _of_consumers(
    state: GroupState, classic: ClassicGroup, now_ms: TimestampMs, effects: Effects
) -> ConsumerGroup:
    """Propose that a classic group is one of consumers from now on; return that."""
    group_id = classic.group_id
    if state.config.consumer_migration_policy not in _UPGRADES:
        raise _not_found(group_id, "it may not be upgraded while it has members")
    if not classic.is_consumers:
        raise _not_found(group_id, "its members are no consumers")
    if len(classic.members) > state.config.consumer_group_size_max:
        raise _not_found(group_id, "it has too many members")
    group = ConsumerGroup(group_id)
    group.group_epoch = group.assignment_epoch = classic.generation_id
    name = classic.protocol_name or classic.best_protocol()
    try:
        for classic_member in classic.members.values():
            member, target = _consumer_member(state, classic, classic_member, name)
            group.put_member(member)
            group.targets[member.member_id] = target
    except ProtocolViolation as violation:
        raise _not_found(group_id, "what its members subscribe to cannot be read") from violation
    # For which topics the leader assigned is not known: the hash stays that of none, so that there is a new target.
    # Kafka takes them as they are now; what a static member finds that changes the protocol is not assigned then.
    classic_kind.remove(classic, effects)
    _write(group, effects)
    for key in (classic.join_timer, classic.sync_timer):
        effects.cancel_timer(key)
    for old, member in zip(classic.members.values(), group.members.values(), strict=True):
        effects.cancel_timer(old.session_timer)
        timers.restart_session(state, group_id, member, now_ms, effects)
    return group


def _consumer_member(
    state: GroupState, classic: ClassicGroup, member: ClassicMember, name: str
) -> tuple[ConsumerMember, Target]:
    """Return a member as it goes on, and what it owns and is to own until the next target."""
    subscription = read_subscription(member.protocols[name])
    target, has_more = read_assignment(member.assignment, state.catalog)
    if has_more:
        raise _not_found(classic.group_id, "its assignor keeps data in the assignment, which would be lost")
    epoch = classic.generation_id
    consumer = ConsumerMember(
        member_id=member.member_id,
        member_epoch=epoch,
        previous_member_epoch=epoch,
        instance_id=member.instance_id,
        rack_id=subscription.rack_id or None,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        client_id=member.client_id,
        client_host=member.client_host,
        topic_names=frozenset(subscription.topics),
        assigned=owned_in_epoch(target, epoch),
        classic=ClassicMetadata(member.session_timeout_ms, tuple(member.protocols.items())),
    )
    return consumer, target


def _write(group: ConsumerGroup, effects: Effects) -> None:
    group_id, members = group.group_id, group.members.values()
    for member in members:
        records.member_metadata(effects, group_id, member)
    records.group_epoch(effects, group_id, group.group_epoch, group.metadata_hash)
    for member in members:
        records.target(effects, group_id, member.member_id, group.targets[member.member_id])
    records.assignment_epoch(effects, group_id, group.assignment_epoch, group.assignment_timestamp)
    for member in members:
        records.current_assignment(effects, group_id, member)


def _not_found(group_id: str, reason: str) -> BrokerError:
    return BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, f"The group {group_id} is a classic one, and {reason}.")


# -- to classic ----------------------------------------------------------------------------------------------


def becomes_classic_with(state: GroupState, group: ConsumerGroup, replaced: ConsumerMember) -> bool:
    """Whether only members with the classic protocol are left, once this one is replaced by such a member."""
    only_other = replaced.classic is None and group.classic_members == len(group.members) - 1
    return only_other and _may_become_classic(state, len(group.members))


def _may_become_classic(state: GroupState, size: int) -> bool:
    config = state.config
    return config.consumer_migration_policy in _DOWNGRADES and 0 < size <= config.group_size_max


def become_classic_without(
    state: GroupState,
    group: ConsumerGroup,
    leavers: Sequence[ConsumerMember],
    now_ms: TimestampMs,
    effects: Effects,
) -> bool:
    """Whether the group becomes a classic one now that these members leave; that is proposed then."""
    gone = {member.member_id for member in leavers}
    staying = [member for member in group.members.values() if member.member_id not in gone]
    if any(member.classic is None for member in staying) or not _may_become_classic(state, len(staying)):
        return False
    targets = {member.member_id: group.targets.get(member.member_id, NO_TARGET) for member in staying}
    records.group_gone(effects, group)
    classic = _classic_group(state, group, staying, targets, now_ms, effects, rebalances=True)
    prepare_rebalance(state, classic, now_ms, effects)
    return True


def become_classic_with(
    state: GroupState,
    group: ConsumerGroup,
    member: ConsumerMember,
    updated: ConsumerMember,
    replaced: ConsumerMember,
    reported: Sequence[TopicPartitions],
    now_ms: TimestampMs,
    effects: Effects,
) -> ConsumerMember:
    """Propose a classic group: the last member with the consumer protocol came back with the classic one.

    Return that member as it is after its join; it goes on in its epoch unless its subscription changed.
    """
    changed, group_epoch, subscriptions = progress.subscribe(state, group, member, updated, now_ms, effects)
    target = group.targets.get(replaced.member_id, NO_TARGET)
    rebalances = group.assignment_epoch < group_epoch
    if not rebalances:
        goal = Goal(
            group.assignment_epoch, target, state.topics.ids(topics_of(updated, subscriptions.resolved))
        )
        updated = progress.reconcile(
            group, updated, goal, reported, now_ms, effects, subscription_changed=changed
        )
    staying = [known for known in group.members.values() if known.member_id != replaced.member_id]
    targets = {known.member_id: group.targets.get(known.member_id, NO_TARGET) for known in staying}
    targets[updated.member_id] = target
    effects.records.clear()  # of the group of consumers, nothing has to be written any more but that it is gone
    records.group_gone(effects, group)
    members = [*staying, updated]
    classic = _classic_group(state, group, members, targets, now_ms, effects, rebalances=rebalances)
    if rebalances:
        prepare_rebalance(state, classic, now_ms, effects)
    return updated


def not_written(state: GroupState, refused: AppendRefused, now_ms: TimestampMs, effects: Effects) -> None:
    """The log could not take in what an event came to: a group that became classic by it is what it was before."""
    event = refused.event
    group_id = str(event.key[1]) if isinstance(event, TimerFired) else _group_id(event)
    group = state.groups.get(group_id)
    if isinstance(group, ClassicGroup) and not group.written and group.former is not None:
        state.groups[group_id] = group.former
    if isinstance(event, TimerFired):
        timers.try_again(state, refused, now_ms, effects)


def _group_id(event: Any) -> str:
    group_id: str = event.request.group_id
    return group_id


def _classic_group(
    state: GroupState,
    group: ConsumerGroup,
    members: Sequence[ConsumerMember],
    targets: dict[str, Target],
    now_ms: TimestampMs,
    effects: Effects,
    *,
    rebalances: bool,
) -> ClassicGroup:
    """Put a stable classic group with these members in the place of one of consumers, and propose its record."""
    classic = ClassicGroup(group.group_id, now_ms)
    classic.former = group
    classic.generation_id = group.group_epoch
    classic.state = ClassicState.STABLE
    for member in members:
        classic.add(_classic_member(group.group_id, member), CONSUMER_PROTOCOL_TYPE)
    name = classic.protocol_name = classic.best_protocol()
    for member_id, known in classic.members.items():
        known.assignment = write_assignment(targets[member_id], state.catalog, known.protocols[name])
    classic.refresh_subscriptions()
    write_group(classic, effects, rebalances=rebalances)
    state.groups[group.group_id] = classic
    for old in group.members:
        timers.cancel_all(group.group_id, old, effects)
    for known in classic.members.values():
        renew_session(known, now_ms, effects)
    return classic


def _classic_member(group_id: str, member: ConsumerMember) -> ClassicMember:
    assert member.classic is not None
    return ClassicMember(
        group_id,
        member.member_id,
        instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        session_timeout_ms=member.classic.session_timeout_ms,
        protocols=dict(member.classic.protocols),
    )
