"""The records of `__consumer_offsets` that say what a consumer group is.

    3  group        epoch, hash of the topics          5  member   who it is, what it subscribes to
    6  group        assignment epoch, when             7  member   what it is to own
    8  member       its epoch, what it owns           16  pattern  the topics that it matches
    4  group        topics' metadata: only removed here, versions before 4.1 wrote it

Source: Kafka group-coordinator, GroupCoordinatorRecordHelpers.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.messages.records_group import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)

if TYPE_CHECKING:
    from coordinator.consumer.assignment import Owned, Target
    from coordinator.consumer.group import ConsumerGroup, ResolvedRegex
    from coordinator.consumer.member import ClassicMetadata, ConsumerMember
    from coordinator.shard import Effects
    from protocol.types import TimestampMs


def group_epoch(effects: Effects, group_id: str, epoch: int, metadata_hash: int) -> None:
    effects.record(
        ConsumerGroupMetadataKey(group_id=group_id),
        ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
    )


def member_metadata(effects: Effects, group_id: str, member: ConsumerMember) -> None:
    effects.record(
        ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id),
        ConsumerGroupMemberMetadataValue(
            instance_id=member.instance_id,
            rack_id=member.rack_id,
            client_id=member.client_id,
            client_host=member.client_host,
            subscribed_topic_names=sorted(member.topic_names),
            subscribed_topic_regex=member.topic_regex,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            server_assignor=member.assignor,
            classic_member_metadata=None if member.classic is None else _classic_metadata(member.classic),
        ),
    )


def target(effects: Effects, group_id: str, member_id: str, partitions: Target) -> None:
    effects.record(
        ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id),
        ConsumerGroupTargetAssignmentMemberValue(
            topic_partitions=[
                ConsumerGroupTargetAssignmentMemberValue.TopicPartition(
                    topic_id=topic_id, partitions=sorted(numbers)
                )
                for topic_id, numbers in partitions.items()
            ]
        ),
    )


def assignment_epoch(effects: Effects, group_id: str, epoch: int, timestamp: TimestampMs) -> None:
    effects.record(
        ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id),
        ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=timestamp),
    )


def current_assignment(effects: Effects, group_id: str, member: ConsumerMember) -> None:
    effects.record(
        ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id),
        ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=member.member_epoch,
            previous_member_epoch=member.previous_member_epoch,
            state=member.state,
            assigned_partitions=_with_epochs(member.assigned),
            partitions_pending_revocation=_with_epochs(member.revoking),
        ),
    )


def resolved_regex(effects: Effects, group_id: str, regex: str, resolved: ResolvedRegex) -> None:
    effects.record(
        ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex),
        ConsumerGroupRegularExpressionValue(
            topics=sorted(resolved.topics), version=resolved.version, timestamp=resolved.timestamp
        ),
    )


# -- tombstones ----------------------------------------------------------------------------------------------


def regex_gone(effects: Effects, group_id: str, regex: str) -> None:
    effects.record(ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex), None)


def old_metadata_gone(effects: Effects, group_id: str) -> None:
    effects.record(ConsumerGroupPartitionMetadataKey(group_id=group_id), None)


def member_gone(effects: Effects, group_id: str, member_id: str) -> None:
    """Remove all that is written about a member; replay wants this order."""
    effects.record(ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id), None)
    effects.record(ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id), None)
    effects.record(ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id), None)


def group_gone(effects: Effects, group: ConsumerGroup) -> None:
    """Remove all that is written about a group and its members."""
    group_id = group.group_id
    for member_id in group.members:
        effects.record(ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id), None)
    for member_id in group.members:
        effects.record(ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id), None)
    effects.record(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), None)
    for member_id in group.members:
        effects.record(ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id), None)
    for regex in group.resolved:
        regex_gone(effects, group_id, regex)
    old_metadata_gone(effects, group_id)
    effects.record(ConsumerGroupMetadataKey(group_id=group_id), None)


# -- pieces --------------------------------------------------------------------------------------------------


def _with_epochs(owned: Owned) -> list[ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions]:
    return [
        ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions(
            topic_id=topic_id,
            partitions=sorted(epochs),
            assignment_epochs=[epochs[p] for p in sorted(epochs)],
        )
        for topic_id, epochs in owned.items()
    ]


def _classic_metadata(classic: ClassicMetadata) -> ConsumerGroupMemberMetadataValue.ClassicMemberMetadata:
    return ConsumerGroupMemberMetadataValue.ClassicMemberMetadata(
        session_timeout_ms=classic.session_timeout_ms,
        supported_protocols=[
            ConsumerGroupMemberMetadataValue.ClassicProtocol(name=name, metadata=metadata)
            for name, metadata in classic.protocols
        ],
    )
