"""Leads a member from what it owns to what the target gives it, one heartbeat at a time.

    STABLE ── newer target ──► something to give up? ── yes ──► UNREVOKED_PARTITIONS, old epoch, told what it keeps
                                    │ no, or it reports that it gave it up
                                    ▼
                               target's epoch, told what is free of the rest ──► all of it: STABLE
                                                                            └─► some: UNRELEASED_PARTITIONS

Pure arithmetic: the new member is returned, nothing is changed.
Source: KIP-848; Kafka group-coordinator, CurrentAssignmentBuilder.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from coordinator.consumer.assignment import NOTHING_OWNED, holds_any
from coordinator.consumer.member import ConsumerMember, MemberState
from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from coordinator.consumer.assignment import Owned, Target, TopicPartitions
    from coordinator.consumer.group import ConsumerGroup


class Goal(NamedTuple):
    """Where a member is to get."""

    epoch: int
    target: Target
    topic_ids: frozenset[bytes]
    """Of what it subscribes to now; the target may be older than the subscription."""


def reconciled(
    group: ConsumerGroup,
    member: ConsumerMember,
    goal: Goal,
    reported: Sequence[TopicPartitions] | None,
    *,
    subscription_changed: bool,
) -> ConsumerMember:
    """Return the member as it is after this heartbeat; `reported` is what it says it owns, None for no word.

    Raises: BrokerError FENCED_MEMBER_EPOCH when its state is not one that is known here.
    """
    match member.state:
        case MemberState.STABLE if member.member_epoch == goal.epoch:
            return _without_unsubscribed(member, goal, reported) if subscription_changed else member
        case MemberState.UNREVOKED_PARTITIONS if holds_any(reported, member.revoking):
            return _without_unsubscribed(member, goal, reported) if subscription_changed else member
        case MemberState.UNKNOWN:
            if reported is None or reported:
                raise BrokerError(
                    ErrorCode.FENCED_MEMBER_EPOCH,
                    "The member's state is not known here: it has to give up all partitions and join again.",
                )
            return _next(group, member, goal, reported, goal.epoch)
    return _next(group, member, goal, reported, member.member_epoch)


def _next(
    group: ConsumerGroup,
    member: ConsumerMember,
    goal: Goal,
    reported: Sequence[TopicPartitions] | None,
    epoch_while_revoking: int,
) -> ConsumerMember:
    """Take the next step towards the goal."""
    kept: dict[bytes, dict[int, int]] = {}
    revoking: dict[bytes, dict[int, int]] = {}
    free: dict[bytes, list[int]] = {}
    withheld = False
    for topic_id in {**goal.target, **member.assigned}:
        target = goal.target.get(topic_id, frozenset()) if topic_id in goal.topic_ids else frozenset()
        assigned = member.assigned.get(topic_id, {})
        keep = {partition: epoch for partition, epoch in assigned.items() if partition in target}
        if keep:
            kept[topic_id] = keep
        if len(keep) < len(assigned):
            revoking[topic_id] = {p: epoch for p, epoch in assigned.items() if p not in target}
        # What it is still giving up itself, nobody else can have: it may get it back.
        own = member.revoking.get(topic_id, {})
        missing = [partition for partition in target if partition not in keep]
        available = [p for p in missing if p in own or not group.is_owned(topic_id, p)]
        if available:
            free[topic_id] = available
        withheld = withheld or len(available) < len(missing)

    if revoking and holds_any(reported, revoking):
        return replace(
            member,
            state=MemberState.UNREVOKED_PARTITIONS,
            member_epoch=epoch_while_revoking,
            previous_member_epoch=member.member_epoch,
            assigned=kept,
            revoking=revoking,
        )
    for topic_id, partitions in free.items():
        kept.setdefault(topic_id, {}).update(dict.fromkeys(partitions, goal.epoch))
    return replace(
        member,
        state=MemberState.UNRELEASED_PARTITIONS if withheld else MemberState.STABLE,
        member_epoch=goal.epoch,
        previous_member_epoch=member.member_epoch,
        assigned=kept,
        revoking=NOTHING_OWNED,
    )


def _without_unsubscribed(
    member: ConsumerMember, goal: Goal, reported: Sequence[TopicPartitions] | None
) -> ConsumerMember:
    """Take from a member what it no longer subscribes to, before there is a new target."""
    unsubscribed = {
        topic_id: partitions
        for topic_id, partitions in member.assigned.items()
        if topic_id not in goal.topic_ids
    }
    if not unsubscribed:
        return member
    assigned: Owned = {
        topic_id: partitions
        for topic_id, partitions in member.assigned.items()
        if topic_id not in unsubscribed
    }
    revoking: Owned = {
        topic_id: {**member.revoking.get(topic_id, {}), **unsubscribed.get(topic_id, {})}
        for topic_id in {**member.revoking, **unsubscribed}
    }
    if holds_any(reported, revoking):
        return replace(
            member,
            state=MemberState.UNREVOKED_PARTITIONS,
            previous_member_epoch=member.member_epoch,
            assigned=assigned,
            revoking=revoking,
        )
    return replace(member, previous_member_epoch=member.member_epoch, assigned=assigned)
