"""Goal: a group changes between the protocols, empty or with members, and nobody loses or doubles a partition by it."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.classic.group import ClassicGroup
from coordinator.consumer.group import ConsumerGroup
from coordinator.group_config import GroupConfig
from protocol.codec import encode_bytes, reader_for
from protocol.errors import ErrorCode
from protocol.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from protocol.messages.heartbeat import HeartbeatRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.sync_group import SyncGroupRequest
from tests.support.consumers import Consumer, group_of, heartbeat, joining
from tests.support.groups import GroupWorld
from tests.support.shards import Topics


def a_world(**config: Any) -> GroupWorld:
    config = {"initial_rebalance_delay_ms": 0, "consumer_assignment_interval_ms": 0, **config}
    return GroupWorld(config=GroupConfig(**config), topics=Topics(t=4))


def assignment_bytes(*partitions: int) -> bytes:
    topic = ConsumerProtocolAssignment.TopicPartition(topic="t", partitions=list(partitions))
    return b"\0\1" + encode_bytes(ConsumerProtocolAssignment(assigned_partitions=[topic]), 1)


class Classic:
    """A consumer with the classic protocol, cooperative: it says what it owns."""

    def __init__(self, world: GroupWorld, instance_id: str | None = None) -> None:
        self.world = world
        self.instance_id = instance_id
        self.member_id = ""
        self.generation = -1
        self.owned: list[int] = []

    def request(self) -> JoinGroupRequest:
        owned = ConsumerProtocolSubscription.TopicPartition(topic="t", partitions=self.owned)
        subscription = ConsumerProtocolSubscription(topics=["t"], owned_partitions=[owned])
        return JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=20_000,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(
                    name="cooperative", metadata=b"\0\1" + encode_bytes(subscription, 1)
                )
            ],
        )

    def join(self) -> Any:
        response = self.world.call(self.request())
        if response is not None and response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = response.member_id
            response = self.world.call(self.request())
        if response is not None:
            assert response.error_code == 0, response
            self.member_id, self.generation = response.member_id, response.generation_id
        return response

    def sync(self, **assignments: bytes) -> int:
        response = self.world.call(
            SyncGroupRequest(
                group_id="g",
                member_id=self.member_id,
                generation_id=self.generation,
                group_instance_id=self.instance_id,
                protocol_type="consumer",
                protocol_name="cooperative",
                assignments=[
                    SyncGroupRequest.SyncGroupRequestAssignment(member_id=member_id, assignment=data)
                    for member_id, data in assignments.items()
                ],
            )
        )
        if response.error_code == 0 and response.assignment:
            assignment: Any = reader_for(ConsumerProtocolAssignment, 1)(response.assignment, 2)[0]
            self.owned = [p for topic in assignment.assigned_partitions for p in topic.partitions]
        code: int = response.error_code
        return code

    def beat(self) -> int:
        code: int = self.world.call(
            HeartbeatRequest(
                group_id="g",
                member_id=self.member_id,
                generation_id=self.generation,
                group_instance_id=self.instance_id,
            )
        ).error_code
        return code

    def follow(self) -> None:
        """Do what a heartbeat's answer asks for."""
        if self.beat() == ErrorCode.REBALANCE_IN_PROGRESS:
            self.join()
            self.sync()


def a_classic_group(world: GroupWorld, instance_id: str | None = None) -> Classic:
    """Return the only member of a stable group, which has all partitions."""
    classic = Classic(world, instance_id)
    classic.join()
    assert classic.sync(**{classic.member_id: assignment_bytes(0, 1, 2, 3)}) == 0
    assert isinstance(world.shard.state.groups["g"], ClassicGroup)
    return classic


# -- empty ---------------------------------------------------------------------------------------------------


def test_an_empty_classic_group_becomes_one_of_consumers_and_back() -> None:
    world = a_world()
    classic = a_classic_group(world)
    leave = LeaveGroupRequest(
        group_id="g", members=[LeaveGroupRequest.MemberIdentity(member_id=classic.member_id)]
    )
    assert world.call(leave).members[0].error_code == 0
    assert world.call(joining("a", "t")).member_epoch == 2
    world.restart()
    assert list(group_of(world).members) == ["a"]
    world.call(heartbeat("a", -1))
    a_classic_group(world)
    world.restart()
    assert isinstance(world.shard.state.groups["g"], ClassicGroup)
    assert len(world.shard.state.groups["g"].members) == 1


def test_a_classic_group_whose_first_member_left_before_it_began_becomes_one_of_consumers() -> None:
    world = a_world(initial_rebalance_delay_ms=3_000)
    classic = Classic(world)
    assert classic.join() is None
    leave = LeaveGroupRequest(
        group_id="g", members=[LeaveGroupRequest.MemberIdentity(member_id=classic.member_id)]
    )
    assert world.call(leave).members[0].error_code == 0
    assert world.call(joining("a", "t")).error_code == 0
    world.tick(4_000)
    assert isinstance(world.shard.state.groups["g"], ConsumerGroup)


def test_an_empty_group_of_consumers_stays_where_the_classic_one_cannot_be_written() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    world.call(heartbeat("a", -1))
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    assert world.call(Classic(world).request(), 3) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert group_of(world).is_empty and group_of(world).group_epoch == 3


# -- with members --------------------------------------------------------------------------------------------


def test_members_of_both_protocols_share_the_partitions() -> None:
    world = a_world()
    classic = a_classic_group(world)
    generation = classic.generation
    consumer = Consumer(world, "a", "t")
    assert consumer.join().member_epoch == generation + 1
    assert isinstance(world.shard.state.groups["g"], ConsumerGroup)
    assert not consumer.partitions and classic.generation == generation
    for _ in range(4):
        classic.follow()
        consumer.beat()
    held = {number for _, number in consumer.partitions}
    assert len(held) == len(classic.owned) == 2 and held | set(classic.owned) == {0, 1, 2, 3}
    world.restart()
    assert group_of(world).classic_members == 1
    assert world.timers()["consumer session", "g", classic.member_id] == 10_000
    classic.follow()
    assert consumer.beat().error_code == 0 and classic.beat() == 0


@pytest.mark.parametrize("how", ["leave", "session", "admin"])
def test_the_last_consumer_leaves_and_the_group_is_classic_again(how: str) -> None:
    world = a_world()
    classic = a_classic_group(world)
    consumer = Consumer(world, "a", "t")
    consumer.join()
    for _ in range(4):
        classic.follow()
        consumer.beat()
    if how == "leave":
        assert consumer.leave().error_code == 0
    elif how == "admin":
        leaver = LeaveGroupRequest.MemberIdentity(member_id="a")
        assert world.call(LeaveGroupRequest(group_id="g", members=[leaver])).members[0].error_code == 0
    else:
        for _ in range(5):
            world.tick(9_000)
            classic.beat()
    group = world.shard.state.groups["g"]
    assert isinstance(group, ClassicGroup) and list(group.members) == [classic.member_id]
    assert classic.beat() == ErrorCode.REBALANCE_IN_PROGRESS
    classic.join()
    assert classic.sync(**{classic.member_id: assignment_bytes(0, 1, 2, 3)}) == 0
    assert classic.owned == [0, 1, 2, 3]
    world.restart()
    assert isinstance(world.shard.state.groups["g"], ClassicGroup) and classic.beat() == 0


def test_a_group_that_became_classic_rebalances_even_where_the_coordinator_is_lost_before() -> None:
    world = a_world()
    classic = a_classic_group(world)
    consumer = Consumer(world, "a", "t")
    consumer.join()
    for _ in range(4):
        classic.follow()
        consumer.beat()
    assert len(classic.owned) == 2
    assert consumer.leave().error_code == 0
    for _ in range(2):  # it stays so until there is a new assignment
        world.restart()
        assert classic.beat() == ErrorCode.REBALANCE_IN_PROGRESS
    classic.join()
    assert classic.sync(**{classic.member_id: assignment_bytes(0, 1, 2, 3)}) == 0
    world.restart()
    assert classic.beat() == 0


def test_a_group_that_cannot_be_written_as_classic_stays_one_of_consumers() -> None:
    world = a_world()
    classic = a_classic_group(world)
    consumer = Consumer(world, "a", "t")
    consumer.join()
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    assert consumer.leave() == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert set(group_of(world).members) == {classic.member_id, "a"}
    world.tick(45_000)
    assert set(group_of(world).members) == {classic.member_id, "a"}
    world.writer.refusal = None
    world.tick(500)
    assert "g" in world.shard.state.groups
    world.restart()


def test_a_static_consumer_comes_back_with_the_classic_protocol() -> None:
    world = a_world()
    world.call(joining("a", "t", instance_id="i"))
    classic = Classic(world, "i")
    assert classic.join().generation_id == 2
    assert isinstance(world.shard.state.groups["g"], ClassicGroup)
    assert classic.sync() == 0 and classic.owned == [0, 1, 2, 3] and classic.beat() == 0
    world.restart()
    assert classic.beat() == 0


def test_a_static_classic_member_comes_back_with_the_consumer_protocol() -> None:
    world = a_world()
    a_classic_group(world, "i")
    consumer = Consumer(world, "a", "t", instance_id="i")
    consumer.join()
    assert len(consumer.partitions) == 4 and list(group_of(world).members) == ["a"]


def test_a_static_member_that_changes_the_protocol_finds_what_came_since_its_leader_assigned() -> None:
    world = a_world()
    a_classic_group(world, "i")
    world.create_topic("t", 6)
    response = world.call(joining("a", "t", instance_id="i"))
    assert [entry.partitions for entry in response.assignment.topic_partitions] == [[0, 1, 2, 3, 4, 5]]


def test_members_that_wait_for_each_other_are_told_to_come_again() -> None:
    world = a_world()
    first = a_classic_group(world)
    second = Classic(world)
    second.member_id = world.call(second.request()).member_id
    waiting = world.send(second.request())
    assert waiting.response is None
    world.call(joining("a", subscribed_topic_regex="("))  # refused: nothing happens
    assert waiting.response is None
    world.call(joining("a", "t"))
    assert waiting.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert set(group_of(world).members) == {first.member_id, second.member_id, "a"}


@pytest.mark.parametrize(
    ("policy", "joins"),
    [("disabled", False), ("downgrade", False), ("upgrade", True), ("bidirectional", True)],
)
def test_the_policy_may_keep_consumers_out_of_a_classic_group(policy: str, joins: bool) -> None:
    world = a_world(consumer_migration_policy=policy)
    a_classic_group(world)
    code = world.call(joining("a", "t")).error_code
    assert code == (0 if joins else ErrorCode.GROUP_ID_NOT_FOUND)


def test_the_policy_may_keep_classic_members_out_of_a_group_of_consumers() -> None:
    world = a_world(consumer_migration_policy="disabled")
    world.call(joining("a", "t"))
    response = world.call(Classic(world).request())
    assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_classic_member_that_does_not_come_again_is_out() -> None:
    world = a_world()
    classic = a_classic_group(world)
    consumer = Consumer(world, "a", "t")
    consumer.join()
    for _ in range(4):
        assert classic.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        world.tick(5_000)
    assert list(group_of(world).members) == ["a"]
    consumer.beat()
    assert len(consumer.partitions) == 4


def test_a_classic_member_that_does_not_sync_is_out() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    classic = Classic(world)
    classic.join()
    for _ in range(4):
        world.tick(5_000)
        classic.beat()
        world.call(heartbeat("a", 2))
    assert list(group_of(world).members) == ["a"]


def test_what_else_classic_members_are_refused() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    classic = Classic(world)
    classic.join()
    assert classic.sync() == 0
    member_id, generation = classic.member_id, classic.generation
    classic.generation = generation - 1
    assert classic.beat() == classic.sync() == ErrorCode.ILLEGAL_GENERATION
    classic.member_id, classic.generation = "a", 2
    assert classic.beat() == classic.sync() == ErrorCode.UNKNOWN_MEMBER_ID
    classic.member_id, classic.generation = member_id, generation
    request = classic.request()
    request.protocol_type = "connect"
    assert world.call(request).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    request = classic.request()
    request.protocols[0].metadata = b"\0"
    assert world.call(request).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
