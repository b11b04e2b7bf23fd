"""Who a heartbeat is of: finds the group and the member, or makes them, or says why not.

Source: Kafka group-coordinator, GroupMetadataManager.java (getOrMaybeSubscribe…, throwIf…).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from coordinator.consumer import records, timers
from coordinator.consumer.assignment import NO_TARGET, covers
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import JOIN_EPOCH, STATIC_LEAVE_EPOCH, ConsumerMember
from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from coordinator.consumer.assignment import TopicPartitions
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects


def existing_group(state: GroupState, group_id: str) -> ConsumerGroup:
    """Raises: BrokerError GROUP_ID_NOT_FOUND."""
    group = state.groups.get(group_id)
    if not isinstance(group, ConsumerGroup):
        raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, f"There is no consumer group {group_id}.")
    return group


def check_room(state: GroupState, group: ConsumerGroup, member_id: str, instance_id: str | None) -> None:
    """Let in who is a member, or comes in the place of one, or finds room.

    Kafka refuses also a static member that comes back to a full group, and whoever is not a member before it says so.
    Raises: BrokerError GROUP_MAX_SIZE_REACHED.
    """
    limit = state.config.consumer_group_size_max
    if (
        len(group.members) >= limit
        and member_id not in group.members
        and instance_id not in group.static_members
    ):
        raise BrokerError(ErrorCode.GROUP_MAX_SIZE_REACHED, f"The consumer group has {limit} members.")


def existing_member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """Return a member of the group. Raises: BrokerError UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID."""
    if instance_id is None:
        member = group.members.get(member_id)
        if member is None:
            raise _unknown(f"{member_id} is not a member of group {group.group_id}.")
        return member
    static = group.static_member(instance_id)
    if static is None:
        raise _unknown(f"No member of group {group.group_id} has the instance id {instance_id}.")
    if static.member_id != member_id:
        raise BrokerError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"The instance id {instance_id} belongs to the member {static.member_id}.",
        )
    return static


def joining_member(
    group: ConsumerGroup, member_id: str, instance_id: str | None, effects: Effects, *, classic: bool
) -> ConsumerMember:
    """Return who joins, new or as it was; records move a static one to its new id.

    One that comes again with the same id is the same member, as a dynamic one would be: its join was answered, and the
    answer lost. (Kafka refuses it until its session ends.)
    Raises: BrokerError UNRELEASED_INSTANCE_ID while another has its instance id and did not leave.
    """
    static = group.static_member(instance_id)
    if static is None:
        return group.members.get(member_id) or ConsumerMember(member_id=member_id)
    is_away = static.member_epoch == STATIC_LEAVE_EPOCH
    if static.member_id == member_id and not is_away:
        return static
    if not (is_away or classic or static.classic is not None):
        raise BrokerError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"The instance id {instance_id} belongs to the member {static.member_id}, which has not left.",
        )
    successor = replace(static, member_id=member_id, member_epoch=0, previous_member_epoch=0)
    _replace(group, static, successor, effects)
    return successor


def check_epoch(member: ConsumerMember, epoch: int, reported: Sequence[TopicPartitions] | None) -> None:
    """Raises: BrokerError FENCED_MEMBER_EPOCH: the member has to give up everything and join again."""
    if epoch in (JOIN_EPOCH, member.member_epoch):
        return
    # The answer that told the present epoch may be lost; then it has nothing that it should not have.
    is_previous = epoch == member.previous_member_epoch and epoch < member.member_epoch
    if is_previous and reported is not None and covers(member.assigned, reported):
        return
    relation = "above" if epoch > member.member_epoch else "below"
    raise BrokerError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The epoch {epoch} of the member is {relation} the one known here, {member.member_epoch}. "
        "It has to give up all partitions and join again.",
    )


def new_id(state: GroupState) -> str:
    """Return a member id as Kafka makes them: a random UUID in URL-safe base64 without padding."""
    from base64 import urlsafe_b64encode  # noqa: PLC0415 - of clients of version 0 only

    return urlsafe_b64encode(state.entropy.uuid()).rstrip(b"=").decode()


def _replace(group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, effects: Effects) -> None:
    records.member_gone(effects, group.group_id, old.member_id)
    timers.cancel_all(group.group_id, old.member_id, effects)
    records.member_metadata(effects, group.group_id, new)
    records.target(effects, group.group_id, new.member_id, group.targets.get(old.member_id, NO_TARGET))
    records.current_assignment(effects, group.group_id, new)


def _unknown(reason: str) -> BrokerError:
    return BrokerError(ErrorCode.UNKNOWN_MEMBER_ID, reason)
