"""ConsumerGroupDescribe: the members of consumer groups, what they own and are to own.

Versions 0–1. 1: which protocol each member uses (KIP-1099). Partitions of topics that are gone are left out.
Source: Kafka group-coordinator, ConsumerGroup.java (asDescribedGroup), ConsumerGroupMember.java.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from coordinator.consumer.assignment import NO_TARGET
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.target import elected_assignor
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)

if TYPE_CHECKING:
    from coordinator.consumer.member import ConsumerMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_DescribedGroup = ConsumerGroupDescribeResponse.DescribedGroup
_Member = ConsumerGroupDescribeResponse.Member
_Assignment = ConsumerGroupDescribeResponse.Assignment

_CLASSIC: Final = 0
_CONSUMER: Final = 1
"""Types of members."""


def describe(state: GroupState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Answer for every group of the request; all belong to this shard."""
    request = call.request
    assert isinstance(request, ConsumerGroupDescribeRequest)
    groups = [_described(state, group_id) for group_id in request.group_ids]
    effects.answer(call.waiter, ConsumerGroupDescribeResponse(groups=groups))


def _described(state: GroupState, group_id: str) -> _DescribedGroup:
    group = state.groups.get(group_id)
    if not isinstance(group, ConsumerGroup):
        what = "no group" if group is None else "no consumer group"
        return _DescribedGroup(
            group_id=group_id,
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=f"There is {what} {group_id}.",
        )
    return _DescribedGroup(
        group_id=group_id,
        group_state=group.state.value,
        group_epoch=group.group_epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=elected_assignor(state, group),
        members=[_member(state, group, member) for member in group.members.values()],
    )


def _member(state: GroupState, group: ConsumerGroup, member: ConsumerMember) -> _Member:
    # What it was told to give up, it is still responsible for.
    owned = {
        topic_id: [*member.assigned.get(topic_id, ()), *member.revoking.get(topic_id, ())]
        for topic_id in {**member.assigned, **member.revoking}
    }
    return _Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.member_epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topic_names),
        subscribed_topic_regex=member.topic_regex,
        assignment=_assignment(state, owned),
        target_assignment=_assignment(state, group.targets.get(member.member_id, NO_TARGET)),
        member_type=_CONSUMER if member.classic is None else _CLASSIC,
    )


def _assignment(state: GroupState, partitions: Mapping[bytes, Collection[int]]) -> _Assignment:
    topics = []
    for topic_id, numbers in partitions.items():
        name = state.catalog.topic_name(topic_id)
        if name is not None:
            topics.append(
                ConsumerGroupDescribeResponse.TopicPartitions(
                    topic_id=topic_id, topic_name=name, partitions=sorted(numbers)
                )
            )
    return _Assignment(topic_partitions=topics)
