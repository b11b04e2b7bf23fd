"""Goal: what the log says of a classic group is what Kafka writes, and what a restart brings back.

Method: records decoded from the bytes that were written; restarts by replay of these bytes.
"""

from __future__ import annotations

import pytest

from coordinator.classic.states import ClassicState
from coordinator.group_config import GroupConfig
from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.consumer_protocol import ConsumerProtocolSubscription
from protocol.messages.records_group import GroupMetadataKey, GroupMetadataValue
from tests.support.classic_groups import GROUP, REBALANCE_MS, SESSION_MS, ClassicWorld
from tests.support.shards import START_MS, Written


@pytest.fixture
def world() -> ClassicWorld:
    return ClassicWorld()


def _values(world: ClassicWorld, since: int = 0) -> list[GroupMetadataValue | None]:
    values = []
    for key, value in world.records(since):
        assert key == GroupMetadataKey(group=GROUP)
        assert value is None or isinstance(value, GroupMetadataValue)
        values.append(value)
    return values


def test_a_group_is_written_when_it_comes_into_being_gets_assigned_and_gets_empty(
    world: ClassicWorld,
) -> None:
    member_id = world.new_id()
    world.tick(5)
    world.join(member_id)
    world.assign([member_id])
    world.tick(5)
    world.leave(member_id)
    member = GroupMetadataValue.MemberMetadata(
        member_id=member_id,
        group_instance_id=None,
        client_id="client",
        client_host="/127.0.0.1",
        rebalance_timeout=REBALANCE_MS,
        session_timeout=SESSION_MS,
        subscription=b"topics",
        assignment=member_id.encode(),
    )
    assert _values(world) == [
        GroupMetadataValue(
            protocol_type="", generation=0, protocol=None, leader=None, current_state_timestamp=START_MS
        ),
        GroupMetadataValue(
            protocol_type="consumer",
            generation=1,
            protocol="range",
            leader=member_id,
            current_state_timestamp=START_MS + 5,
            members=[member],
        ),
        GroupMetadataValue(
            protocol_type="consumer",
            generation=2,
            protocol=None,
            leader=None,
            current_state_timestamp=START_MS + 10,
        ),
    ]


def test_nothing_else_is_written(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    written = len(world.log)
    world.heartbeat(leader, 2)
    world.sync(follower, 2)
    world.join(leader)
    world.join(follower)
    world.sync(follower, 3)
    world.new_id()
    assert len(world.log) == written


def test_a_join_that_is_refused_leaves_an_empty_group_behind(world: ClassicWorld) -> None:
    """As in Kafka."""
    assert world.join(protocols=[]).response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    world.restart()
    assert (world.state, world.group.generation_id) == (ClassicState.EMPTY, 0)


def test_a_stable_group_goes_on_after_a_restart(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    world.tick(SESSION_MS - 1)
    world.restart()
    group = world.group
    assert (group.state, group.generation_id, group.leader_id) == (ClassicState.STABLE, 2, leader)
    assert (group.protocol_type, group.protocol_name) == ("consumer", "range")
    world.tick(SESSION_MS - 1)  # sessions begin with the load
    assert world.heartbeat(follower, 2) is ErrorCode.NONE
    assert world.sync(follower, 2).response.assignment == follower.encode()
    assert world.join(follower).response.error_code == ErrorCode.NONE
    assert world.state is ClassicState.STABLE
    world.tick(1)
    assert list(world.group.members) == [follower]


def test_a_rebalance_is_forgotten_by_a_restart(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    waiting = world.join(leader)
    world.restart()
    assert waiting.response is ErrorCode.NOT_COORDINATOR
    assert (world.state, world.group.generation_id) == (ClassicState.STABLE, 2)
    assert world.heartbeat(follower, 2) is ErrorCode.NONE


def test_a_generation_without_assignment_is_forgotten_by_a_restart(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    world.join(leader)
    world.join(follower)
    waiting = world.sync(follower, 3)
    world.restart()
    assert waiting.response is ErrorCode.NOT_COORDINATOR
    assert world.heartbeat(follower, 3) is ErrorCode.ILLEGAL_GENERATION
    assert world.heartbeat(follower, 2) is ErrorCode.NONE


def test_an_empty_group_keeps_its_generation(world: ClassicWorld) -> None:
    world.leave(*world.stable(2))
    world.restart()
    assert (world.state, world.group.generation_id) == (ClassicState.EMPTY, 3)
    assert world.join(version=3).response.generation_id == 4


def test_answers_wait_for_what_they_rest_on(world: ClassicWorld) -> None:
    (leader,) = world.begin_generation(1)
    world.writer.commits_at_once = False
    answer = world.sync(leader, 1, {leader: b"x"})
    assert answer.response is None
    world.commit()
    assert answer.response.assignment == b"x"


def test_when_the_assignment_cannot_be_written_all_begin_anew(world: ClassicWorld) -> None:
    leader, follower = world.begin_generation(2)
    waiting = world.sync(follower, 2)
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    answer = world.sync(leader, 2, {leader: b"x", follower: b"y"})
    assert [answer.response, waiting.response] == [ErrorCode.COORDINATOR_NOT_AVAILABLE] * 2
    world.writer.refusal = None
    assert world.state is ClassicState.PREPARING_REBALANCE
    assert world.heartbeat(leader, 2) is ErrorCode.REBALANCE_IN_PROGRESS
    world.join(leader)
    assert world.join(follower).response.generation_id == 3
    world.assign([leader, follower])


def test_when_a_new_group_cannot_be_written_there_is_none(world: ClassicWorld) -> None:
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    assert world.join().response is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert world.join(version=3).response is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert world.shard.state.groups == {}


def test_when_a_new_group_cannot_be_written_who_waits_in_it_is_told() -> None:
    world = ClassicWorld(GroupConfig(initial_rebalance_delay_ms=3_000))
    world.writer.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert world.join(version=3).response is ErrorCode.NOT_COORDINATOR
    assert world.shard.state.groups == {}
    world.writer.refusal = None
    answer = world.join(version=3)
    world.tick(3_000)
    assert answer.response.generation_id == 1


def test_when_it_cannot_be_written_that_a_group_is_empty_it_is(world: ClassicWorld) -> None:
    """As in Kafka: a restart finds the members again, and their sessions end."""
    (member_id,) = world.stable(1)
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    world.tick(SESSION_MS)
    world.writer.refusal = None
    assert world.state is ClassicState.EMPTY
    world.restart()
    assert world.heartbeat(member_id, 1) is ErrorCode.NONE


def test_a_tombstone_removes_the_group(world: ClassicWorld) -> None:
    world.leave(*world.stable(1))
    world.log.append(Written(world.log[-1].key, None, None))
    world.restart()
    assert world.shard.state.groups == {}


# -- what other writers left -------------------------------------------------------------------------------


def _load(world: ClassicWorld, value: GroupMetadataValue, version: int) -> None:
    key = b"\0\2" + encode_bytes(GroupMetadataKey(group=GROUP), 0)
    world.log.append(Written(key, version.to_bytes(2, "big") + encode_bytes(value, version), None))
    world.restart()


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_the_record_is_read(world: ClassicWorld, version: int) -> None:
    member = GroupMetadataValue.MemberMetadata(
        member_id="m",
        client_id="c",
        client_host="/h",
        session_timeout=7_000,
        rebalance_timeout=50_000 if version else -1,
        group_instance_id="i" if version >= 3 else None,
        subscription=b"s",
        assignment=b"a",
    )
    value = GroupMetadataValue(
        protocol_type="consumer", generation=9, protocol="range", leader="m", members=[member]
    )
    _load(world, value, version)
    loaded = world.group.members["m"]
    assert (world.state, world.group.generation_id, world.group.leader_id) == (ClassicState.STABLE, 9, "m")
    assert loaded.rebalance_timeout_ms == (50_000 if version else 7_000)
    assert (loaded.assignment, loaded.protocols) == (b"a", {"range": b"s"})
    assert world.group.static_members == ({"i": "m"} if version >= 3 else {})
    assert world.timers()["classic session", GROUP, "m"] == 7_000


def test_a_leader_that_is_no_member_is_not_taken_over(world: ClassicWorld) -> None:
    member = GroupMetadataValue.MemberMetadata(member_id="m", session_timeout=7_000)
    _load(
        world,
        GroupMetadataValue(
            protocol_type="connect", generation=1, protocol="p", leader="gone", members=[member]
        ),
        3,
    )
    assert world.group.leader_id == "m"


# -- subscriptions -----------------------------------------------------------------------------------------


def _subscription(*topics: str, version: int = 3) -> bytes:
    value = ConsumerProtocolSubscription(topics=list(topics), owned_partitions=[], generation_id=4)
    return version.to_bytes(2, "big") + encode_bytes(value, version)


@pytest.mark.parametrize("version", range(4))
def test_the_topics_of_consumers_are_known(world: ClassicWorld, version: int) -> None:
    ids = [world.new_id(), world.new_id()]
    world.join(ids[0], protocols=[("range", _subscription("a", "b", version=version))])
    world.join(ids[1], protocols=[("range", _subscription("b", "c", version=version))])
    world.join(ids[0], protocols=[("range", _subscription("a", "b", version=version))])
    assert world.group.subscribed_topics == {"a", "b", "c"}
    world.assign(ids)
    world.restart()
    assert world.group.subscribed_topics == {"a", "b", "c"}
    world.leave(*ids)
    assert world.group.subscribed_topics == frozenset()


@pytest.mark.parametrize("metadata", [b"", b"\0", b"\xff\xff", b"\0\0\0\0\0\1", b"\0\0\x7f\xff\xff\xff"])
def test_topics_that_cannot_be_read_may_be_any(world: ClassicWorld, metadata: bytes) -> None:
    world.join(version=3, protocols=[("range", metadata)])
    assert world.group.subscribed_topics is None
    assert world.group.is_subscribed_to("any")


def test_only_consumers_subscribe(world: ClassicWorld) -> None:
    world.join(version=3, protocol_type="connect", protocols=[("default", _subscription("a"))])
    assert world.group.subscribed_topics is None
    assert not world.group.is_subscribed_to("a")
