"""Goal: static members (KIP-345) keep their places: they may come back, and of two of the same name one is fenced."""

from __future__ import annotations

import pytest

from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode
from protocol.messages.records_group import GroupMetadataValue
from tests.support.classic_groups import REBALANCE_MS, SESSION_MS, ClassicWorld


@pytest.fixture
def world() -> ClassicWorld:
    return ClassicWorld()


def test_a_follower_comes_back_unnoticed(world: ClassicWorld) -> None:
    leader, follower = world.static("a", "b")
    written = len(world.log)
    told = world.join(instance_id="b").response
    assert told.error_code == ErrorCode.NONE
    assert told.member_id not in (leader, follower)
    assert (told.generation_id, told.leader, told.members, told.skip_assignment) == (2, leader, [], False)
    assert world.state is ClassicState.STABLE
    assert world.heartbeat(leader, 2, "a") is ErrorCode.NONE
    assert world.sync(told.member_id, 2, instance_id="b").response.assignment == follower.encode()
    (record,) = world.records(written)
    assert isinstance(record.value, GroupMetadataValue)
    assert {m.member_id: m.assignment for m in record.value.members} == {
        leader: leader.encode(),
        told.member_id: follower.encode(),
    }


def test_a_leader_that_comes_back_is_told_to_assign_nothing(world: ClassicWorld) -> None:
    _, follower = world.static("a", "b")
    told = world.join(instance_id="a").response
    assert (told.leader, told.skip_assignment, told.generation_id) == (told.member_id, True, 2)
    assert [(m.member_id, m.group_instance_id) for m in told.members] == [
        (told.member_id, "a"),
        (follower, "b"),
    ]
    assert world.group.leader_id == told.member_id


@pytest.mark.parametrize("version", range(5, 9))
def test_a_leader_that_cannot_be_told_so_takes_itself_for_a_follower(
    world: ClassicWorld, version: int
) -> None:
    leader, _ = world.static("a", "b")
    told = world.join(instance_id="a", version=version).response
    assert (told.leader, told.members, told.skip_assignment) == (leader, [], False)
    assert world.group.leader_id == told.member_id
    assert world.sync(told.member_id, 2, instance_id="a").response.assignment == leader.encode()


def test_the_older_of_two_is_fenced(world: ClassicWorld) -> None:
    _, old = world.static("a", "b")
    world.join(instance_id="b")
    assert world.heartbeat(old, 2, "b") is ErrorCode.FENCED_INSTANCE_ID
    assert world.sync(old, 2, instance_id="b").response.error_code == ErrorCode.FENCED_INSTANCE_ID
    fenced = world.join(old, instance_id="b").response
    assert (fenced.error_code, fenced.protocol_name) == (ErrorCode.FENCED_INSTANCE_ID, None)
    assert world.leave((old, "b")) == [ErrorCode.FENCED_INSTANCE_ID]
    assert world.heartbeat(old, 2) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_known_member_id_without_its_name_is_served(world: ClassicWorld) -> None:
    leader, _ = world.static("a", "b")
    assert world.heartbeat(leader, 2) is ErrorCode.NONE


def test_the_older_of_two_is_told_while_it_waits_to_join(world: ClassicWorld) -> None:
    leader, old = world.static("a", "b")
    waiting = world.join(old, instance_id="b", protocols=[("range", b"new")])
    twin = world.join(instance_id="b")
    told = waiting.response
    assert (told.error_code, told.member_id) == (ErrorCode.FENCED_INSTANCE_ID, old)
    assert twin.response is None
    world.join(leader, instance_id="a")
    assert twin.response.generation_id == 3


def test_the_older_of_two_is_told_while_it_waits_for_its_assignment(world: ClassicWorld) -> None:
    leader, old = world.static("a", "b")
    answers = (
        world.join(old, instance_id="b", protocols=[("range", b"new")]),
        world.join(leader, instance_id="a"),
    )
    assert [answer.response.generation_id for answer in answers] == [3, 3]
    waiting = world.sync(old, 3, instance_id="b")
    twin = world.join(instance_id="b")
    # The leader may be assigning to the old id, so all join again.
    assert waiting.response.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert (twin.response, world.state) == (None, ClassicState.PREPARING_REBALANCE)
    world.join(leader, instance_id="a")
    assert twin.response.generation_id == 4


def test_a_change_of_the_protocol_that_is_chosen_rebalances(world: ClassicWorld) -> None:
    both = [("range", b""), ("sticky", b"")]
    leader, _ = world.static("a", "b", protocols=both)
    answer = world.join(instance_id="b", protocols=[("sticky", b"")])
    assert (answer.response, world.state) == (None, ClassicState.PREPARING_REBALANCE)
    again = world.join(leader, instance_id="a", protocols=both)
    assert {answer.response.protocol_name, again.response.protocol_name} == {"sticky"}


def test_metadata_that_changed_does_not_rebalance(world: ClassicWorld) -> None:
    world.static("a", "b")
    told = world.join(instance_id="b", protocols=[("range", b"new")]).response
    assert (told.error_code, world.state) == (ErrorCode.NONE, ClassicState.STABLE)
    assert world.group.members[told.member_id].protocols == {"range": b"new"}


def test_it_keeps_its_place_when_it_does_not_join_in_time(world: ClassicWorld) -> None:
    leader, follower = world.static("a", "b", session_ms=1_000_000)
    answer = world.join(leader, instance_id="a", session_ms=1_000_000)
    world.tick(REBALANCE_MS)
    assert [m.member_id for m in answer.response.members] == [leader, follower]


def test_it_loses_its_place_when_its_session_ends(world: ClassicWorld) -> None:
    leader, follower = world.static("a", "b")
    world.tick(SESSION_MS - 1)
    world.heartbeat(leader, 2, "a")
    world.tick(1)
    assert list(world.group.members) == [leader]
    assert world.heartbeat(follower, 2, "b") is ErrorCode.UNKNOWN_MEMBER_ID


def test_it_loses_its_place_when_it_does_not_sync(world: ClassicWorld) -> None:
    leader, _ = world.static("a", "b", session_ms=1_000_000)
    world.join(leader, instance_id="a", session_ms=1_000_000)
    world.tick(REBALANCE_MS)
    world.sync(leader, 3, {leader: b"x"}, instance_id="a")
    world.tick(REBALANCE_MS)
    assert list(world.group.members) == [leader]
    assert world.state is ClassicState.PREPARING_REBALANCE


def test_a_rebalance_in_which_only_absent_ones_are_left_goes_on(world: ClassicWorld) -> None:
    """There is nobody to lead; members that come back find the group waiting."""
    _, follower = world.static("a", "b", session_ms=1_000_000)
    (dynamic,) = [world.new_id(session_ms=1_000_000)]
    world.join(dynamic, session_ms=1_000_000)
    world.leave(dynamic)
    world.tick(REBALANCE_MS)
    assert world.state is ClassicState.PREPARING_REBALANCE
    answer = world.join(follower, instance_id="b", session_ms=1_000_000)
    assert answer.response is None
    world.tick(REBALANCE_MS)
    assert answer.response.leader == follower


def test_an_administrator_removes_it_by_name(world: ClassicWorld) -> None:
    leader, _ = world.static("a", "b")
    assert world.leave(("", "b"), ("", "nobody"), ("", "b")) == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert list(world.group.members) == [leader]
    assert world.state is ClassicState.PREPARING_REBALANCE


def test_leaving_under_the_name_of_another_is_fenced(world: ClassicWorld) -> None:
    leader, follower = world.static("a", "b")
    assert world.leave((leader, "b"), (follower, "c")) == [
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert world.state is ClassicState.STABLE


def test_names_survive_a_restart(world: ClassicWorld) -> None:
    leader, follower = world.static("a", "b")
    world.restart()
    told = world.join(instance_id="b").response
    assert (told.generation_id, told.leader) == (2, leader)
    assert world.heartbeat(follower, 2, "b") is ErrorCode.FENCED_INSTANCE_ID
    world.restart()
    assert world.heartbeat(told.member_id, 2, "b") is ErrorCode.NONE


def test_when_the_record_cannot_be_written_it_is_as_it_was(world: ClassicWorld) -> None:
    leader, follower = world.static("a", "b")
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    assert world.join(instance_id="b").response is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert world.heartbeat(follower, 2, "b") is ErrorCode.NONE
    world.writer.refusal = None
    world.tick(SESSION_MS - 1)
    assert list(world.group.members) == [leader, follower]
    told = world.join(instance_id="b").response
    assert list(world.group.members) == [leader, told.member_id]
