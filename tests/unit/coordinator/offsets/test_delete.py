"""Goal: offsets go when they are asked to, or their topic does, and others stay."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.classic.states import ClassicState
from coordinator.offsets import delete
from protocol.errors import ErrorCode
from protocol.messages.records_group import OffsetCommitKey
from tests.support.classic_groups import GROUP
from tests.support.offset_world import OffsetWorld
from tests.support.shards import Topics
from tests.support.subscriptions import subscribed_to

CODE = ErrorCode


def codes(response: Any) -> list[tuple[str, int, ErrorCode]]:
    assert response.error_code == CODE.NONE
    return [
        (topic.name, row.partition_index, ErrorCode(row.error_code))
        for topic in response.topics
        for row in topic.partitions
    ]


# -- the request ---------------------------------------------------------------------------------------------


def test_what_is_asked_for_goes_and_stays_gone() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5), ("t", 1, 6), ("u", 0, 7))
    response = world.delete_offsets(("t", 0), ("u", 0), ("u", 1), ("t", 9), ("x", 0))
    unknown = CODE.UNKNOWN_TOPIC_OR_PARTITION
    assert codes(response) == [
        ("t", 0, CODE.NONE),
        ("u", 0, CODE.NONE),
        ("u", 1, CODE.NONE),
        ("t", 9, unknown),
        ("x", 0, unknown),
    ]
    assert world.committed() == {("t", 1): 6}
    world.restart()
    assert world.committed() == {("t", 1): 6}
    assert [record.key for record in world.records() if record.value is None] == [
        OffsetCommitKey(group=GROUP, topic="t", partition=0),
        OffsetCommitKey(group=GROUP, topic="u", partition=0),
    ]


def test_a_pending_offset_goes_too() -> None:
    world = OffsetWorld()
    producer = world.pend(1, "t", 0, 5)
    assert codes(world.delete_offsets(("t", 0))) == [("t", 0, CODE.NONE)]
    world.end_transaction(producer, commit=True)
    assert world.committed() == {}


@pytest.mark.parametrize(
    ("group_id", "expected"), [("", CODE.INVALID_GROUP_ID), ("other", CODE.GROUP_ID_NOT_FOUND)]
)
def test_groups_that_do_not_exist(group_id: str, expected: ErrorCode) -> None:
    world = OffsetWorld()
    assert world.delete_offsets(("t", 0), group_id=group_id).error_code == expected


def test_consumers_keep_the_offsets_of_the_topics_that_they_read() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5), ("u", 0, 7))
    world.stable(1, protocols=[("range", subscribed_to("t"))])
    response = world.delete_offsets(("t", 0), ("u", 0))
    assert codes(response) == [("t", 0, CODE.GROUP_SUBSCRIBED_TO_TOPIC), ("u", 0, CODE.NONE)]
    assert world.committed() == {("t", 0): 5}


def test_of_other_members_nobody_knows_what_they_read() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5))
    (member,) = world.begin_generation(1, protocol_type="connect")
    assert world.delete_offsets(("t", 0)).error_code == CODE.NON_EMPTY_GROUP
    world.leave(member)
    assert codes(world.delete_offsets(("t", 0))) == [("t", 0, CODE.NONE)]


# -- deleted topics ------------------------------------------------------------------------------------------


def test_offsets_go_with_their_topic() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5), ("u", 1, 7))
    world.commit_offsets(("t", 2, 8), group_id="h")
    producer = world.pend(1, "t", 1, 6)
    world.delete_topic("t")
    assert (world.committed(), world.committed("h")) == ({("u", 1): 7}, {})
    world.end_transaction(producer, commit=True)
    world.restart()
    assert (world.committed(), world.committed("h")) == ({("u", 1): 7}, {})


def test_a_later_topic_of_the_same_name_keeps_its_offsets() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5))
    old_id = world.topics.topic_id("t")
    assert old_id is not None
    world.topics.generation["t"] = 1  # deleted and created again, and only then the news come
    world.commit_offsets(("t", 1, 6))
    world.news_of_deletion("t", old_id)
    assert world.committed() == {("t", 1): 6}


def test_an_offset_of_an_old_record_has_no_id_and_goes() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5), version=2, retention_ms=1 << 40)
    world.delete_topic("t")
    assert world.committed() == {}


def test_other_news_of_topics_write_nothing() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5))
    end = len(world.log)
    world.create_topic("v", 1)
    world.delete_topic("u")
    assert len(world.log) == end


def test_many_offsets_go_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "SLICE", 10)
    world = OffsetWorld(topics=Topics(t=25, u=25))
    for group_id in ("g", "h", "i"):
        topics = ("t", "u")
        world.commit_offsets(*((topic, p, 1) for topic in topics for p in range(25)), group_id=group_id)
    end = len(world.log)
    world.delete_topic("t")
    assert len(world.log) == end + 10
    world.tick(1_000)
    assert len(world.log) == end + 75
    for group_id in ("g", "h", "i"):
        assert world.committed(group_id) == {("u", p): 1 for p in range(25)}
    assert not world.shard.state.orphans
    assert (delete.ORPHANS_TIMER,) not in world.timers()


def test_what_cannot_be_written_is_tried_again() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 5))
    world.writer.refusal = CODE.NOT_ENOUGH_REPLICAS
    world.delete_topic("t")
    world.tick(10_000)
    assert world.committed() == {("t", 0): 5}
    world.writer.refusal = None
    world.tick(1_000)
    assert world.committed() == {}
    assert world.state is ClassicState.EMPTY
