"""Goal: ConsumerGroupDescribe tells members, epochs, what they own and are to own, and which protocol they use."""

from __future__ import annotations

from coordinator.group_config import GroupConfig
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from tests.support.consumers import Consumer, joining
from tests.support.groups import GroupWorld
from tests.support.shards import Topics


def test_members_on_their_way_to_a_new_assignment() -> None:
    world = GroupWorld(config=GroupConfig(consumer_assignment_interval_ms=0), topics=Topics(t=4, gone=1))
    a, b = Consumer(world, "a", "t", "gone", rack_id="r"), Consumer(world, "b", "t")
    a.join()
    b.join()
    a.slow = True
    a.beat()
    del world.topics.partitions["gone"]
    group = world.call(ConsumerGroupDescribeRequest(group_ids=["g"])).groups[0]
    assert (group.group_id, group.group_state, group.assignor_name) == ("g", "Reconciling", "uniform")
    assert (group.group_epoch, group.assignment_epoch, group.error_code) == (3, 3, 0)
    first, second = group.members
    assert (first.member_id, first.member_epoch, first.rack_id, first.member_type) == ("a", 2, "r", 1)
    assert first.subscribed_topic_names == ["gone", "t"] and first.subscribed_topic_regex == ""
    # What it is to give up it still has; what is gone is not told.
    (owned,) = first.assignment.topic_partitions
    assert (owned.topic_name, owned.partitions) == ("t", [0, 1, 2, 3])
    assert [topic.topic_name for topic in first.target_assignment.topic_partitions] == ["t"]
    assert (second.member_epoch, second.assignment.topic_partitions) == (3, [])
    assert len(second.target_assignment.topic_partitions[0].partitions) in (2, 3)


def test_groups_that_are_none_of_consumers() -> None:
    world = GroupWorld(topics=Topics(t=1))
    world.call(joining("a", "t"))
    groups = world.call(ConsumerGroupDescribeRequest(group_ids=["absent", "g"])).groups
    assert [group.error_code for group in groups] == [ErrorCode.GROUP_ID_NOT_FOUND, 0]
    assert groups[0].error_message and groups[0].group_id == "absent"
    old = world.call(ConsumerGroupDescribeRequest(group_ids=["g"]), 0).groups[0]
    assert old.members[0].member_type == -1
