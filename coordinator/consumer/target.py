"""Makes a group's target assignment: what each member is to own in the epoch of the group.

Source: Kafka group-coordinator, TargetAssignmentBuilder.java, GroupMetadataManager.java (maybeUpdateTargetAssignment).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from coordinator.assignors import ASSIGNORS
from coordinator.assignors.contract import MemberSpec
from coordinator.consumer import records
from coordinator.consumer.assignment import NO_TARGET
from coordinator.consumer.subscription import topics_of

if TYPE_CHECKING:
    from coordinator.consumer.assignment import Target
    from coordinator.consumer.group import ConsumerGroup, ResolvedRegex
    from coordinator.consumer.member import ConsumerMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects
    from protocol.types import TimestampMs


def up_to_date_target(
    state: GroupState,
    group: ConsumerGroup,
    group_epoch: int,
    resolved: Mapping[str, ResolvedRegex],
    member: ConsumerMember,
    now_ms: TimestampMs,
    effects: Effects,
) -> tuple[int, Target]:
    """Return the assignment epoch and the target of `member`, which is as its heartbeat leaves it.

    A new assignment is made when the group epoch is ahead of the last and that was made long enough ago.
    """
    if group.assignment_epoch >= group_epoch or not _may_assign(state, group, now_ms):
        return group.assignment_epoch, group.target_of(member)
    specs, counts = _specs(state, group, resolved, member)
    targets = ASSIGNORS[_elected(state, group, member)](specs, counts)
    for member_id, target in targets.items():
        if group.targets.get(member_id) != target:
            records.target(effects, group.group_id, member_id, target)
    records.assignment_epoch(effects, group.group_id, group_epoch, now_ms)
    return group_epoch, targets.get(member.member_id, NO_TARGET)


def elected_assignor(state: GroupState, group: ConsumerGroup) -> str:
    """Return the assignor with most votes, else the first that is configured."""
    return _winner(group.assignors) or state.config.consumer_assignors[0]


def _may_assign(state: GroupState, group: ConsumerGroup, now_ms: TimestampMs) -> bool:
    interval_ms = state.config_of(group.group_id).consumer_assignment_interval_ms
    if group.assignment_timestamp == 0 or interval_ms == 0:
        return True
    return now_ms >= group.assignment_timestamp + interval_ms


def _specs(
    state: GroupState, group: ConsumerGroup, resolved: Mapping[str, ResolvedRegex], member: ConsumerMember
) -> tuple[dict[str, MemberSpec], dict[bytes, int]]:
    """Return what the assignor is told: the members as they will be, and the topics that exist."""
    replaced = group.static_members.get(member.instance_id) if member.instance_id is not None else None
    members = {key: known for key, known in group.members.items() if key != replaced}
    members[member.member_id] = member
    ids_of: dict[tuple[frozenset[str], str | None], frozenset[bytes]] = {}
    specs: dict[str, MemberSpec] = {}
    for key, known in members.items():
        subscription = (known.topic_names, known.topic_regex)
        ids = ids_of.get(subscription)
        if ids is None:
            ids = ids_of[subscription] = state.topics.ids(topics_of(known, resolved))
        target = group.target_of(member) if known is member else group.targets.get(key, NO_TARGET)
        specs[key] = MemberSpec(ids, target, known.instance_id)
    counts = {topic_id: state.topics.partition_count(topic_id) for ids in ids_of.values() for topic_id in ids}
    return specs, counts


def _elected(state: GroupState, group: ConsumerGroup, member: ConsumerMember) -> str:
    votes = group.assignors.copy()
    known = group.members.get(member.member_id) or group.static_member(member.instance_id)
    if known is not None and known.assignor is not None:
        votes[known.assignor] -= 1
    if member.assignor is not None:
        votes[member.assignor] += 1
    name = _winner(votes)
    return name if name in state.config.consumer_assignors else state.config.consumer_assignors[0]


def _winner(votes: Mapping[str, int]) -> str:
    """Return the name with most votes, the first in the alphabet of several; empty without votes."""
    return min(((-count, name) for name, count in votes.items() if count > 0), default=(0, ""))[1]
