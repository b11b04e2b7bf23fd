"""Takes in the records of consumer groups: the only writer of their hard state.

A tombstone of what is not there is nothing; a compacted log begins with some. A group that only stored offsets, or a
classic one whose tombstone was compacted away, gives way to the consumer group that took its place.
Source: Kafka group-coordinator, GroupMetadataManager.java (replay).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from coordinator.consumer.assignment import NOTHING_OWNED, target_of
from coordinator.consumer.group import NO_ASSIGNMENT, ConsumerGroup, ResolvedRegex
from coordinator.consumer.member import LEAVE_EPOCH, ClassicMetadata, ConsumerMember, MemberState
from protocol.messages.records_group import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)

if TYPE_CHECKING:
    from coordinator.consumer.assignment import Owned
    from coordinator.group_state import GroupState
    from coordinator.shard import TransactionalProducer
    from protocol.types import Offset


def group_metadata(
    state: GroupState,
    key: ConsumerGroupMetadataKey,
    value: ConsumerGroupMetadataValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        group = _create(state, key.group_id)
        group.group_epoch = value.epoch
        group.metadata_hash = value.metadata_hash
    elif _find(state, key.group_id) is not None:
        del state.groups[key.group_id]


def old_partition_metadata(
    state: GroupState,
    key: ConsumerGroupPartitionMetadataKey,
    value: ConsumerGroupPartitionMetadataValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        _create(state, key.group_id).has_old_metadata = True
    elif (group := _find(state, key.group_id)) is not None:
        group.has_old_metadata = False


def member_metadata(
    state: GroupState,
    key: ConsumerGroupMemberMetadataKey,
    value: ConsumerGroupMemberMetadataValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        group = _create(state, key.group_id)
        old = group.members.get(key.member_id) or ConsumerMember(member_id=key.member_id)
        group.put_member(_with_metadata(old, value))
    elif (known := _find(state, key.group_id)) is not None and key.member_id in known.members:
        known.remove_member(key.member_id)


def current_assignment(
    state: GroupState,
    key: ConsumerGroupCurrentMemberAssignmentKey,
    value: ConsumerGroupCurrentMemberAssignmentValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        group = _create(state, key.group_id)
        old = group.members.get(key.member_id) or ConsumerMember(member_id=key.member_id)
        group.put_member(_with_assignment(old, value))
    elif (known := _find(state, key.group_id)) is not None and key.member_id in known.members:
        known.put_member(
            replace(
                known.members[key.member_id],
                member_epoch=LEAVE_EPOCH,
                previous_member_epoch=LEAVE_EPOCH,
                assigned=NOTHING_OWNED,
                revoking=NOTHING_OWNED,
            )
        )


def target(
    state: GroupState,
    key: ConsumerGroupTargetAssignmentMemberKey,
    value: ConsumerGroupTargetAssignmentMemberValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        _create(state, key.group_id).targets[key.member_id] = target_of(value.topic_partitions)
    elif (group := _find(state, key.group_id)) is not None:
        group.targets.pop(key.member_id, None)


def assignment_epoch(
    state: GroupState,
    key: ConsumerGroupTargetAssignmentMetadataKey,
    value: ConsumerGroupTargetAssignmentMetadataValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        group = _create(state, key.group_id)
        group.assignment_epoch = value.assignment_epoch
        group.assignment_timestamp = value.assignment_timestamp
    elif (known := _find(state, key.group_id)) is not None:
        known.assignment_epoch = NO_ASSIGNMENT
        known.assignment_timestamp = 0


def resolved_regex(
    state: GroupState,
    key: ConsumerGroupRegularExpressionKey,
    value: ConsumerGroupRegularExpressionValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    if value is not None:
        _create(state, key.group_id).put_resolved(
            key.regular_expression, ResolvedRegex(frozenset(value.topics), value.version, value.timestamp)
        )
    elif (group := _find(state, key.group_id)) is not None:
        group.remove_resolved(key.regular_expression)


# -- pieces --------------------------------------------------------------------------------------------------


def _find(state: GroupState, group_id: str) -> ConsumerGroup | None:
    group = state.groups.get(group_id)
    return group if isinstance(group, ConsumerGroup) else None


def _create(state: GroupState, group_id: str) -> ConsumerGroup:
    group = _find(state, group_id)
    if group is None:
        group = state.groups[group_id] = ConsumerGroup(group_id)
    return group


def _with_metadata(member: ConsumerMember, value: ConsumerGroupMemberMetadataValue) -> ConsumerMember:
    classic = value.classic_member_metadata
    return replace(
        member,
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        topic_names=frozenset(value.subscribed_topic_names),
        topic_regex=value.subscribed_topic_regex,
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        assignor=value.server_assignor,
        classic=None
        if classic is None
        else ClassicMetadata(
            classic.session_timeout_ms,
            tuple((protocol.name, bytes(protocol.metadata)) for protocol in classic.supported_protocols),
        ),
    )


def _with_assignment(
    member: ConsumerMember, value: ConsumerGroupCurrentMemberAssignmentValue
) -> ConsumerMember:
    return replace(
        member,
        member_epoch=value.member_epoch,
        previous_member_epoch=value.previous_member_epoch,
        state=MemberState.of(value.state),
        assigned=_owned(value.assigned_partitions, value.member_epoch),
        revoking=_owned(value.partitions_pending_revocation, value.member_epoch),
    )


def _owned(
    topics: list[ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions], member_epoch: int
) -> Owned:
    """Return the partitions with their epochs; versions before 4.3 wrote none, then the member's is as good."""
    owned: dict[bytes, dict[int, int]] = {}
    for topic in topics:
        epochs = topic.assignment_epochs
        if epochs is not None and len(epochs) == len(topic.partitions):
            owned[topic.topic_id] = dict(zip(topic.partitions, epochs, strict=True))
        else:
            owned[topic.topic_id] = dict.fromkeys(topic.partitions, max(member_epoch, 0))
    return owned
