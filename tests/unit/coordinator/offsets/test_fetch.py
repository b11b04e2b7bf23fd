"""Goal: what was committed is read back, in the layout of every version; what was not has offset -1 and no error."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.errors import ErrorCode
from protocol.messages.offset_fetch import OffsetFetchRequest
from protocol.types import ZERO_UUID
from tests.support.offset_world import UNKNOWN_ID, OffsetWorld

CODE = ErrorCode
VERSIONS = range(1, 11)

Row = tuple[str, int, int, int, str, ErrorCode]
"""(topic, partition, offset, leader epoch, metadata, code)"""


def rows(world: OffsetWorld, answer: Any) -> list[Row]:
    assert answer.error_code == CODE.NONE
    return [
        (
            topic.name or world.topics.topic_name(topic.topic_id) or "?",
            row.partition_index,
            row.committed_offset,
            row.committed_leader_epoch,
            row.metadata,
            ErrorCode(row.error_code),
        )
        for topic in answer.topics
        for row in topic.partitions
    ]


def with_offsets() -> OffsetWorld:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5), ("u", 2, 7), metadata="m", leader_epoch=3)
    return world


def row(version: int, topic: str, partition: int, offset: int) -> Row:
    return (topic, partition, offset, 3 if version >= 5 else -1, "m", CODE.NONE)


def nothing(topic: str, partition: int, code: ErrorCode = CODE.NONE) -> Row:
    return (topic, partition, -1, -1, "", code)


@pytest.mark.parametrize("version", VERSIONS)
def test_named_partitions_are_answered_in_order(version: int) -> None:
    world = with_offsets()
    answer = world.fetch({"u": [2, 0], "t": [0, 99]}, version=version)
    assert rows(world, answer) == [
        row(version, "u", 2, 7),
        nothing("u", 0),
        row(version, "t", 0, 5),
        nothing("t", 99),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_group_that_does_not_exist_has_no_offsets(version: int) -> None:
    world = with_offsets()
    answer = world.fetch({"t": [0]}, version=version, group_id="other")
    assert rows(world, answer) == [nothing("t", 0)]
    assert "other" not in world.shard.state.groups


@pytest.mark.parametrize("version", range(2, 11))
def test_all_that_is_committed(version: int) -> None:
    world = with_offsets()
    world.pend(1, "t", 1, 9)  # not yet there
    answer = world.fetch(None, version=version)
    assert sorted(rows(world, answer)) == [row(version, "t", 0, 5), row(version, "u", 2, 7)]
    assert rows(world, world.fetch(None, version=version, group_id="other")) == []


@pytest.mark.parametrize("version", range(2, 10))
def test_a_topic_that_does_not_exist_has_no_offset_and_no_error(version: int) -> None:
    world = with_offsets()
    assert rows(world, world.fetch({"x": [0]}, version=version)) == [nothing("x", 0)]


def test_an_id_that_is_not_known_is_an_error() -> None:
    world = with_offsets()
    answer = world.fetch({"x": [0, 1], "t": [0]})
    assert rows(world, answer) == [
        nothing("?", 0, CODE.UNKNOWN_TOPIC_ID),
        nothing("?", 1, CODE.UNKNOWN_TOPIC_ID),
        row(10, "t", 0, 5),
    ]
    assert answer.topics[0].topic_id == UNKNOWN_ID


def test_all_by_id_leaves_out_what_has_none() -> None:
    world = with_offsets()
    del world.topics.partitions["u"]  # its offsets are still there
    answer = world.fetch(None)
    assert rows(world, answer) == [row(10, "t", 0, 5)]
    assert answer.topics[0].topic_id == world.topics.topic_id("t") != ZERO_UUID
    assert sorted(name for name, *_ in rows(world, world.fetch(None, version=9))) == ["t", "u"]


def test_an_offset_of_an_earlier_topic_is_not_told_under_the_id_of_a_later_one() -> None:
    world = with_offsets()
    world.topics.generation["t"] = 1  # its deletion is not heard of yet
    assert rows(world, world.fetch({"t": [0]})) == [nothing("t", 0)]
    assert nothing("t", 0) in rows(world, world.fetch(None))
    assert rows(world, world.fetch({"t": [0]}, version=9)) == [row(9, "t", 0, 5)]


@pytest.mark.parametrize("version", [7, 8, 9, 10])
def test_who_wants_stable_offsets_is_told_to_wait(version: int) -> None:
    world = with_offsets()
    producer = world.pend(1, "t", 0, 9)
    world.pend(2, "t", 1, 9)
    wanted = {"t": [0, 1, 2]}
    unstable = CODE.UNSTABLE_OFFSET_COMMIT
    assert rows(world, world.fetch(wanted, version=version, stable=True)) == [
        nothing("t", 0, unstable),
        nothing("t", 1, unstable),
        nothing("t", 2),
    ]
    assert rows(world, world.fetch(wanted, version=version)) == [
        row(version, "t", 0, 5),
        nothing("t", 1),
        nothing("t", 2),
    ]
    assert sorted(rows(world, world.fetch(None, version=version, stable=True))) == [
        nothing("t", 0, unstable),
        row(version, "u", 2, 7),
    ]
    world.end_transaction(producer, commit=False)
    assert rows(world, world.fetch({"t": [0]}, version=version, stable=True)) == [row(version, "t", 0, 5)]


def test_several_groups_in_one_request() -> None:
    world = with_offsets()
    world.commit_offsets(("t", 0, 1), group_id="h")
    group = OffsetFetchRequest.OffsetFetchRequestGroup
    request = OffsetFetchRequest(groups=[group(group_id=name, topics=None) for name in ("h", "x", "g")])
    answers = world.call(request).groups
    assert [(answer.group_id, len(answer.topics)) for answer in answers] == [("h", 1), ("x", 0), ("g", 2)]


def test_members_of_classic_groups_need_not_say_who_they_are() -> None:
    world = with_offsets()
    world.stable(1)
    answer = world.fetch({"t": [0]}, member_id="nobody", member_epoch=99)
    assert rows(world, answer) == [row(10, "t", 0, 5)]
