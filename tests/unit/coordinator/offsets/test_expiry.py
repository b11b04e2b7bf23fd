"""Goal: an offset goes when nobody has used it for the retention, not before; the last one takes its group along."""

from __future__ import annotations

import pytest

from coordinator.classic.states import ClassicState
from coordinator.group_config import GroupConfig
from coordinator.offsets import expiry
from coordinator.offsets.expiry import EXPIRY_TIMER
from protocol.errors import ErrorCode
from protocol.messages.records_group import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from tests.support.classic_groups import GROUP
from tests.support.offset_world import OffsetWorld
from tests.support.shards import START_MS, Topics
from tests.support.subscriptions import subscribed_to

CODE = ErrorCode
RETENTION_MS = 10_000_000
CHECK_MS = 1_000
SESSION_MS = 300_000
CONFIG = GroupConfig(
    initial_rebalance_delay_ms=0,
    offsets_retention_ms=RETENTION_MS,
    offsets_retention_check_interval_ms=CHECK_MS,
)


def new_world(topics: Topics | None = None) -> OffsetWorld:
    return OffsetWorld(CONFIG, topics)


def exists(world: OffsetWorld, group_id: str = GROUP) -> bool:
    return group_id in world.shard.state.groups


# -- groups that only store offsets --------------------------------------------------------------------------


def test_each_offset_lives_from_its_commit() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1))
    world.tick(RETENTION_MS // 2)
    world.commit_offsets(("t", 1, 1))
    world.tick(RETENTION_MS // 2 - 1)
    assert world.committed() == {("t", 0): 1, ("t", 1): 1}
    world.tick(CHECK_MS)
    assert world.committed() == {("t", 1): 1}
    assert exists(world)
    world.commit_offsets(("t", 1, 2))
    world.tick(RETENTION_MS // 2 + CHECK_MS)
    assert world.committed() == {("t", 1): 2}
    world.tick(RETENTION_MS // 2 + CHECK_MS)
    assert world.committed() == {}
    assert not exists(world)
    assert world.records()[-2:] == [
        (OffsetCommitKey(group=GROUP, topic="t", partition=1), None),
        (GroupMetadataKey(group=GROUP), None),
    ]
    world.restart()
    assert not exists(world)


def test_an_offset_may_have_a_time_of_its_own() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1), version=4, retention_ms=5_000)
    world.commit_offsets(("t", 1, 1), version=4, retention_ms=2 * RETENTION_MS)
    world.tick(4_999)
    assert len(world.committed()) == 2
    world.tick(CHECK_MS)
    assert world.committed() == {("t", 1): 1}
    world.restart()
    world.tick(RETENTION_MS + CHECK_MS)
    assert world.committed() == {("t", 1): 1}
    world.tick(RETENTION_MS)
    assert not exists(world)


# -- groups with members -------------------------------------------------------------------------------------


def test_nothing_expires_while_the_members_read_it() -> None:
    world = new_world()
    ids = world.stable(1, protocols=[("range", subscribed_to("t"))], session_ms=SESSION_MS)
    generation = world.group.generation_id
    world.commit_offsets(("t", 0, 1), ("u", 0, 1), member_id=ids[0], generation_id=generation)
    for _ in range(RETENTION_MS // SESSION_MS + 2):
        world.tick(SESSION_MS - 1)
        assert world.heartbeat(ids[0], world.group.generation_id) is CODE.NONE
    assert world.state is ClassicState.STABLE
    assert world.committed() == {("t", 0): 1}  # the other one is not subscribed


def test_nothing_expires_where_nobody_knows_what_the_members_read() -> None:
    world = new_world()
    ids = world.stable(1, session_ms=SESSION_MS, protocols=[("range", b"\xff")])
    world.commit_offsets(("t", 0, 1), member_id=ids[0], generation_id=world.group.generation_id)
    for _ in range(RETENTION_MS // SESSION_MS + 2):
        world.tick(SESSION_MS - 1)
        world.heartbeat(ids[0], world.group.generation_id)
    assert world.committed() == {("t", 0): 1}


def test_all_expires_at_once_after_the_last_member_left() -> None:
    world = new_world()
    (member,) = world.stable(1, session_ms=SESSION_MS)
    world.commit_offsets(("t", 0, 1), member_id=member, generation_id=world.group.generation_id)
    world.tick(SESSION_MS - 1)
    world.leave(member)
    since = world.now_ms
    world.tick(10)
    world.commit_offsets(("t", 1, 1))
    world.restart()
    world.tick(since + RETENTION_MS - 1 - world.now_ms)
    assert world.committed() == {("t", 0): 1, ("t", 1): 1}
    world.tick(CHECK_MS)
    assert world.committed() == {}
    assert not exists(world)


def test_an_empty_group_whose_record_has_no_time_goes_by_the_commits() -> None:
    world = new_world()
    world.write(GroupMetadataKey(group=GROUP), GroupMetadataValue(protocol_type="consumer"))
    assert world.records()[0].value is not None
    world.commit_offsets(("t", 0, 1))
    world.restart()
    assert world.group.state_since_ms == -1
    world.tick(RETENTION_MS - 1)
    assert world.committed() == {("t", 0): 1}
    world.tick(CHECK_MS)
    assert not exists(world)


def test_a_group_without_offsets_goes_with_the_next_sweep_once_it_is_empty() -> None:
    world = new_world()
    (member,) = world.stable(1)
    world.tick(CHECK_MS)
    assert exists(world)
    world.leave(member)
    world.tick(CHECK_MS)
    assert not exists(world)
    world.restart()
    assert not exists(world)


# -- transactions --------------------------------------------------------------------------------------------


def test_what_a_transaction_may_move_stays() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1))
    producer = world.pend(1, "t", 0, 2)
    world.tick(RETENTION_MS + CHECK_MS)
    assert world.committed() == {("t", 0): 1}
    world.end_transaction(producer, commit=False)
    world.tick(CHECK_MS)
    assert not exists(world)


def test_a_group_stays_for_what_a_transaction_may_bring() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1))
    producer = world.pend(1, "t", 1, 2)
    world.tick(RETENTION_MS + CHECK_MS)
    assert world.committed() == {}
    assert exists(world)
    world.end_transaction(producer, commit=True)
    assert world.committed() == {("t", 1): 2}
    assert not world.log[-1].value


# -- sweeps --------------------------------------------------------------------------------------------------


def test_a_sweep_goes_on_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    world = new_world(Topics(t=40))
    for group_id in ("g", "h", "i"):
        world.commit_offsets(*(("t", partition, 1) for partition in range(40)), group_id=group_id)
    end = len(world.log)
    monkeypatch.setattr(expiry, "_SLICE", 7)
    monkeypatch.setattr(expiry, "_STEP", 3)
    world.tick(RETENTION_MS - 1)
    assert len(world.log) == end
    appended = []
    while world.shard.state.groups:
        before = len(world.log)
        world.tick(world.timers()[EXPIRY_TIMER,])
        appended.append(len(world.log) - before)
    assert 6 <= max(appended) <= 7
    assert sum(appended) == 3 * 41
    world.restart()
    assert not world.shard.state.groups


def test_commits_during_a_sweep_stay() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1), ("t", 1, 1))
    world.tick(RETENTION_MS - 1)
    world.commit_offsets(("t", 1, 2))
    world.tick(CHECK_MS)
    assert world.committed() == {("t", 1): 2}


def test_a_sweep_that_cannot_be_written_is_not_the_last() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1))
    world.writer.refusal = CODE.NOT_ENOUGH_REPLICAS
    world.tick(RETENTION_MS + CHECK_MS)
    assert world.committed() == {("t", 0): 1}
    world.writer.refusal = None
    world.tick(CHECK_MS)
    assert not exists(world)


def test_the_clock_that_goes_back_expires_nothing() -> None:
    world = new_world()
    world.commit_offsets(("t", 0, 1))
    world.write(
        OffsetCommitKey(group=GROUP, topic="t", partition=1),
        OffsetCommitValue(offset=1, commit_timestamp=START_MS + 2 * RETENTION_MS),
    )
    world.tick(RETENTION_MS + CHECK_MS)
    assert world.committed() == {("t", 1): 1}
