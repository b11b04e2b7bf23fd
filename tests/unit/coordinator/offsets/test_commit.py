"""Goal: a commit is taken or refused as Kafka does, on the partition that it concerns, and costs one batch."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.classic.states import ClassicState
from coordinator.group_config import GroupConfig
from coordinator.offsets.store import NEVER, CommittedOffset
from protocol.errors import ErrorCode
from protocol.messages.records_group import OffsetCommitKey, OffsetCommitValue
from protocol.types import ZERO_UUID
from tests.support.classic_groups import GROUP, SESSION_MS
from tests.support.offset_world import OffsetWorld
from tests.support.shards import START_MS

CODE = ErrorCode
ONE = ("t", 0, 5)
VERSIONS = range(2, 11)


def code(world: OffsetWorld, **options: Any) -> ErrorCode:
    """Commit one offset; return its code."""
    return world.commit_offsets(ONE, **options)["t", 0]


def kept(world: OffsetWorld, partition: int = 0) -> CommittedOffset | None:
    return world.shard.state.offsets.get(GROUP, "t", partition)


# -- who may -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_commit_without_generation_makes_a_group(version: int) -> None:
    world = OffsetWorld()
    assert code(world, version=version) is CODE.NONE
    assert world.committed() == {("t", 0): 5}
    assert world.group.is_simple
    assert world.state is ClassicState.EMPTY
    world.restart()
    assert world.committed() == {("t", 0): 5}
    assert world.group.is_simple


@pytest.mark.parametrize("version", VERSIONS)
def test_a_generation_of_a_group_that_does_not_exist(version: int) -> None:
    world = OffsetWorld()
    expected = CODE.GROUP_ID_NOT_FOUND if version >= 9 else CODE.ILLEGAL_GENERATION
    assert code(world, version=version, generation_id=0, member_id="m") is expected
    assert not world.log
    assert not world.shard.state.groups


def test_the_group_without_a_name_may_commit() -> None:
    world = OffsetWorld()
    assert code(world, group_id="") is CODE.NONE
    assert world.committed("") == {("t", 0): 5}


@pytest.mark.parametrize("state", [ClassicState.STABLE, ClassicState.PREPARING_REBALANCE])
def test_a_member_commits_in_its_generation(state: ClassicState) -> None:
    world = OffsetWorld()
    leader, follower = world.stable(2)
    if state is ClassicState.PREPARING_REBALANCE:
        world.join(leader)
    assert world.state is state
    generation = world.group.generation_id
    assert code(world, member_id=follower, generation_id=generation) is CODE.NONE
    assert code(world, member_id=follower, generation_id=generation - 1) is CODE.ILLEGAL_GENERATION
    assert code(world, member_id=follower, generation_id=generation + 1) is CODE.ILLEGAL_GENERATION
    assert code(world, member_id=follower, generation_id=-1) is CODE.ILLEGAL_GENERATION
    assert code(world, member_id="nobody", generation_id=generation) is CODE.UNKNOWN_MEMBER_ID
    assert code(world) is CODE.UNKNOWN_MEMBER_ID


def test_nobody_commits_before_the_assignment() -> None:
    world = OffsetWorld()
    leader, _ = world.begin_generation(2)
    generation = world.group.generation_id
    assert code(world, member_id=leader, generation_id=generation) is CODE.REBALANCE_IN_PROGRESS
    assert code(world, member_id=leader, generation_id=generation - 1) is CODE.ILLEGAL_GENERATION


def test_an_empty_group_takes_commits_of_tools_but_not_of_former_members() -> None:
    world = OffsetWorld()
    (member,) = world.stable(1)
    generation = world.group.generation_id
    world.leave(member)
    assert world.state is ClassicState.EMPTY
    assert code(world) is CODE.NONE
    assert code(world, member_id=member) is CODE.NONE  # without generation, as Kafka
    assert code(world, member_id=member, generation_id=generation) is CODE.UNKNOWN_MEMBER_ID


def test_static_members() -> None:
    world = OffsetWorld()
    (member,) = world.static("i")
    generation = world.group.generation_id
    mine = {"member_id": member, "generation_id": generation}
    assert code(world, **mine, instance_id="i") is CODE.NONE
    assert code(world, **mine) is CODE.NONE
    assert code(world, **mine, instance_id="other") is CODE.UNKNOWN_MEMBER_ID
    assert code(world, **{**mine, "member_id": "twin"}, instance_id="i") is CODE.FENCED_INSTANCE_ID
    assert code(world, instance_id="i") is CODE.FENCED_INSTANCE_ID


def test_a_commit_renews_the_session() -> None:
    world = OffsetWorld()
    silent, busy = world.stable(2)
    generation = world.group.generation_id
    for _ in range(3):
        world.tick(SESSION_MS // 2 - 1)
        assert silent in world.group.members or world.state is ClassicState.PREPARING_REBALANCE
        assert code(world, member_id=busy, generation_id=generation) is CODE.NONE
    assert list(world.group.members) == [busy]


def test_a_refused_commit_renews_nothing() -> None:
    world = OffsetWorld()
    (member,) = world.stable(1)
    world.tick(SESSION_MS - 1)
    assert code(world, member_id=member, generation_id=9) is CODE.ILLEGAL_GENERATION
    world.tick(1)
    assert world.state is ClassicState.EMPTY


# -- which partitions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_partitions_that_do_not_exist_do_not_keep_others_from_being_committed(version: int) -> None:
    world = OffsetWorld()
    codes = world.commit_offsets(("t", 2, 1), ("t", 3, 1), ("t", -1, 1), ("x", 0, 1), version=version)
    unknown = CODE.UNKNOWN_TOPIC_OR_PARTITION
    topic = {("?", 0): CODE.UNKNOWN_TOPIC_ID} if version >= 10 else {("x", 0): unknown}
    assert codes == {("t", 2): CODE.NONE, ("t", 3): unknown, ("t", -1): unknown, **topic}
    assert world.committed() == {("t", 2): 1}


def test_what_does_not_exist_says_so_whoever_commits() -> None:
    world = OffsetWorld()
    world.stable(1)
    codes = world.commit_offsets(ONE, ("t", 3, 1), ("x", 0, 1), version=9)
    unknown = CODE.UNKNOWN_TOPIC_OR_PARTITION
    assert codes == {("t", 0): CODE.UNKNOWN_MEMBER_ID, ("t", 3): unknown, ("x", 0): unknown}
    assert world.commit_offsets(("x", 0, 1), version=9, generation_id=7) == {("x", 0): unknown}


def test_nothing_to_commit_is_no_error() -> None:
    world = OffsetWorld()
    assert world.commit_offsets() == {}
    assert not world.log


def test_a_partition_named_twice_has_the_last_offset() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5), ("t", 0, 3))
    assert world.committed() == {("t", 0): 3}


def test_an_offset_may_go_back() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5))
    world.commit_offsets(("t", 0, 3))
    assert world.committed() == {("t", 0): 3}


# -- what is kept --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_was_said_is_kept(version: int) -> None:
    world = OffsetWorld()
    epoch = 4 if version >= 6 else -1
    world.commit_offsets(("t", 1, 5), version=version, metadata="m", leader_epoch=epoch)
    expected = CommittedOffset(5, epoch, "m", START_MS, NEVER, world.topics.topic_id("t") or b"", 0)
    assert kept(world, 1) == expected
    world.restart()
    assert kept(world, 1) == expected
    assert world.records() == [
        (
            OffsetCommitKey(group=GROUP, topic="t", partition=1),
            OffsetCommitValue(
                offset=5,
                leader_epoch=epoch,
                metadata="m",
                commit_timestamp=START_MS,
                topic_id=expected.topic_id,
            ),
        )
    ]


def test_no_metadata_is_empty_metadata() -> None:
    world = OffsetWorld()
    assert code(world, metadata=None) is CODE.NONE
    assert kept(world) == (5, -1, "", START_MS, NEVER, world.topics.topic_id("t"), 0)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_old_clients_say_how_long(version: int) -> None:
    world = OffsetWorld()
    code(world, version=version, retention_ms=1_000)
    expected = CommittedOffset(5, -1, "", START_MS, START_MS + 1_000, ZERO_UUID, 0)
    assert kept(world) == expected
    world.restart()
    assert kept(world) == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("x" * 8, CODE.NONE),
        ("x" * 9, CODE.OFFSET_METADATA_TOO_LARGE),
        ("ä" * 8, CODE.NONE),
        ("😀" * 4, CODE.NONE),
        ("😀" * 4 + "x", CODE.OFFSET_METADATA_TOO_LARGE),
    ],
)
def test_metadata_is_counted_in_utf_16_units(metadata: str, expected: ErrorCode) -> None:
    world = OffsetWorld(GroupConfig(offset_metadata_bytes_max=8))
    assert code(world, metadata=metadata) is expected
    assert bool(world.log) == (expected is CODE.NONE)


def test_one_request_is_one_batch() -> None:
    world = OffsetWorld()
    appends: list[int] = []
    append = world.writer.append
    world.writer.append = lambda records, *rest: appends.append(len(records)) or append(records, *rest)  # type: ignore[method-assign, func-returns-value]
    world.commit_offsets(("t", 0, 1), ("t", 1, 1), ("u", 2, 1))
    assert appends == [3]


# -- when it is answered -------------------------------------------------------------------------------------


def test_the_answer_waits_until_the_offset_is_committed_and_so_do_readers() -> None:
    world = OffsetWorld()
    world.writer.commits_at_once = False
    commit = world.send(world.commit_request(ONE))
    fetch = world.send(world.fetch_request({"t": [0]}))
    assert [commit.response, fetch.response] == [None, None]
    world.commit()
    assert commit.response.topics[0].partitions[0].error_code == CODE.NONE
    assert fetch.response.groups[0].topics[0].partitions[0].committed_offset == 5


def test_what_cannot_be_written_is_not_committed() -> None:
    world = OffsetWorld()
    world.writer.refusal = CODE.NOT_ENOUGH_REPLICAS
    assert world.call(world.commit_request(ONE)) is CODE.COORDINATOR_NOT_AVAILABLE
    assert world.committed() == {}
    assert not world.shard.state.groups
