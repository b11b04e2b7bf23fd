"""Goal: a commit in a transaction is taken or refused as Kafka does, counts once the transaction commits, and fences
members that the group has gone on without.
"""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.classic.states import ClassicState
from coordinator.group_config import GroupConfig
from coordinator.offsets.store import NEVER, CommittedOffset
from coordinator.shard import TransactionalProducer
from protocol.errors import ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.records_group import OffsetCommitKey, OffsetCommitValue
from tests.support.classic_groups import GROUP, SESSION_MS
from tests.support.consumers import Consumer, settle
from tests.support.offset_world import OffsetWorld
from tests.support.shards import START_MS

CODE = ErrorCode
ONE = ("t", 0, 5)
VERSIONS = range(7)
WITH_MEMBER = range(3, 7)
PRODUCER = TransactionalProducer(7, 2)
OTHER = TransactionalProducer(8, 0)


def code(world: OffsetWorld, producer: TransactionalProducer = PRODUCER, **options: Any) -> ErrorCode:
    """Commit one offset; return its code."""
    return world.commit_in_transaction(producer, ONE, **options)["t", 0]


# -- when it counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("restarted", [False, True])
def test_it_counts_once_the_transaction_commits(version: int, restarted: bool) -> None:
    world = OffsetWorld()
    assert code(world, version=version) is CODE.NONE
    assert world.group.is_simple
    if restarted:
        world.restart()
    assert world.committed() == {}
    world.end_transaction(PRODUCER, commit=True)
    assert world.committed() == {("t", 0): 5}
    world.restart()
    assert world.committed() == {("t", 0): 5}
    assert world.group.is_simple


def test_it_never_counts_when_the_transaction_aborts() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 3))
    code(world)
    world.end_transaction(OTHER, commit=True)
    world.end_transaction(PRODUCER, commit=False)
    assert world.committed() == {("t", 0): 3}
    world.end_transaction(PRODUCER, commit=True)  # repeated, with nothing pending any more
    assert world.committed() == {("t", 0): 3}


def test_the_later_record_wins_whichever_marker_comes_first() -> None:
    for first, second in ((PRODUCER, OTHER), (OTHER, PRODUCER)):
        world = OffsetWorld()
        world.commit_in_transaction(PRODUCER, ("t", 0, 5), ("t", 1, 5))
        world.commit_in_transaction(OTHER, ("t", 0, 6))
        world.commit_offsets(("t", 1, 4))
        world.end_transaction(first, commit=True)
        world.end_transaction(second, commit=True)
        assert world.committed() == {("t", 0): 6, ("t", 1): 4}
        world.restart()
        assert world.committed() == {("t", 0): 6, ("t", 1): 4}


def test_within_a_transaction_the_last_commit_counts() -> None:
    world = OffsetWorld()
    world.commit_in_transaction(PRODUCER, ("t", 0, 5), ("t", 0, 3))
    world.commit_in_transaction(PRODUCER, ("t", 0, 4))
    world.end_transaction(PRODUCER, commit=True)
    assert world.committed() == {("t", 0): 4}


# -- what is written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_was_said_is_written_in_the_transaction(version: int) -> None:
    world = OffsetWorld()
    epoch = 4 if version >= 2 else -1
    world.commit_in_transaction(
        PRODUCER, ("t", 1, 5), ("u", 0, 6), version=version, metadata="m", leader_epoch=epoch
    )
    assert [written.producer for written in world.log] == [PRODUCER, PRODUCER]
    topic_id = world.topics.topic_id("t") or b""
    assert world.records()[0] == (
        OffsetCommitKey(group=GROUP, topic="t", partition=1),
        OffsetCommitValue(
            offset=5, leader_epoch=epoch, metadata="m", commit_timestamp=START_MS, topic_id=topic_id
        ),
    )
    world.end_transaction(PRODUCER, commit=True)
    kept = world.shard.state.offsets.get(GROUP, "t", 1)
    assert kept == CommittedOffset(5, epoch, "m", START_MS, NEVER, topic_id, 0)


def test_one_request_is_one_batch() -> None:
    world = OffsetWorld()
    appends: list[tuple[int, TransactionalProducer | None]] = []
    append = world.writer.append

    def count(records: Any, producer: TransactionalProducer | None, now_ms: int) -> int:
        appends.append((len(records), producer))
        return append(records, producer, now_ms)

    world.writer.append = count  # type: ignore[method-assign]
    world.commit_in_transaction(PRODUCER, ("t", 0, 1), ("t", 1, 1), ("u", 2, 1))
    assert appends == [(3, PRODUCER)]


def test_metadata_that_is_too_long_is_refused_alone() -> None:
    world = OffsetWorld(GroupConfig(offset_metadata_bytes_max=8))
    request = world.txn_commit_request(PRODUCER, ("t", 0, 1), ("t", 1, 1), metadata="x" * 8)
    request.topics[0].partitions[0].committed_metadata = "x" * 9
    answer = world.call(request)
    codes = [row.error_code for topic in answer.topics for row in topic.partitions]
    assert codes == [CODE.OFFSET_METADATA_TOO_LARGE, CODE.NONE]
    assert len(world.log) == 1
    assert code(world, metadata="x" * 9) is CODE.OFFSET_METADATA_TOO_LARGE
    assert len(world.log) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_what_does_not_exist_does_not_keep_the_rest_from_being_committed(version: int) -> None:
    world = OffsetWorld()
    codes = world.commit_in_transaction(PRODUCER, ("t", 2, 1), ("t", 3, 1), ("x", 0, 1), version=version)
    unknown = CODE.UNKNOWN_TOPIC_OR_PARTITION
    topic = {("?", 0): CODE.UNKNOWN_TOPIC_ID} if version >= 6 else {("x", 0): unknown}
    assert codes == {("t", 2): CODE.NONE, ("t", 3): unknown, **topic}
    assert len(world.log) == 1
    only = world.commit_in_transaction(PRODUCER, ("x", 0, 1), version=version, generation_id=99)
    assert only == topic  # says so whoever commits
    assert world.commit_in_transaction(PRODUCER, version=version) == {}


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (CODE.INVALID_PRODUCER_EPOCH, CODE.INVALID_PRODUCER_EPOCH),
        (CODE.INVALID_TXN_STATE, CODE.INVALID_TXN_STATE),
        (CODE.NOT_ENOUGH_REPLICAS, CODE.COORDINATOR_NOT_AVAILABLE),
        (CODE.NOT_LEADER_OR_FOLLOWER, CODE.NOT_COORDINATOR),
    ],
)
def test_what_the_log_refuses_is_not_pending(refused: ErrorCode, told: ErrorCode) -> None:
    world = OffsetWorld()
    world.writer.refusal = refused
    assert world.call(world.txn_commit_request(PRODUCER, ONE)) is told
    assert not world.shard.state.groups
    assert not world.shard.state.offsets.groups()


def test_the_answer_waits_until_it_is_committed() -> None:
    world = OffsetWorld()
    world.writer.commits_at_once = False
    commit = world.send(world.txn_commit_request(PRODUCER, ONE))
    stable = world.send(world.fetch_request({"t": [0]}, stable=True))
    assert [commit.response, stable.response] == [None, None]
    world.commit()
    assert commit.response.topics[0].partitions[0].error_code == CODE.NONE
    (row,) = stable.response.groups[0].topics[0].partitions
    assert row.error_code == CODE.UNSTABLE_OFFSET_COMMIT


# -- who may: groups that do not exist, and classic ones -----------------------------------------------------


@pytest.mark.parametrize("version", WITH_MEMBER)
def test_a_generation_of_a_group_that_does_not_exist(version: int) -> None:
    world = OffsetWorld()
    expected = CODE.GROUP_ID_NOT_FOUND if version >= 6 else CODE.ILLEGAL_GENERATION
    assert code(world, version=version, generation_id=0, member_id="m") is expected
    assert not world.log
    assert not world.shard.state.groups
    assert code(world, version=version, member_id="m") is CODE.NONE  # without generation, as Kafka


def test_a_group_has_a_name() -> None:
    world = OffsetWorld()
    codes = world.commit_in_transaction(PRODUCER, ONE, ("x", 0, 1), version=5, group_id="")
    assert codes == {("t", 0): CODE.INVALID_GROUP_ID, ("x", 0): CODE.UNKNOWN_TOPIC_OR_PARTITION}
    assert not world.log


@pytest.mark.parametrize("version", WITH_MEMBER)
@pytest.mark.parametrize(
    "state",
    [ClassicState.STABLE, ClassicState.PREPARING_REBALANCE, ClassicState.COMPLETING_REBALANCE],
)
def test_a_member_commits_in_its_generation_whatever_the_group_is_about(
    state: ClassicState, version: int
) -> None:
    world = OffsetWorld()
    if state is ClassicState.COMPLETING_REBALANCE:
        _, member = world.begin_generation(2)
    else:
        leader, member = world.stable(2)
        if state is ClassicState.PREPARING_REBALANCE:
            world.join(leader)
    assert world.state is state
    generation = world.group.generation_id
    mine: dict[str, Any] = {"member_id": member, "version": version}
    assert code(world, **mine, generation_id=generation) is CODE.NONE
    assert code(world, **mine, generation_id=generation - 1) is CODE.ILLEGAL_GENERATION
    assert code(world, **mine, generation_id=generation + 1) is CODE.ILLEGAL_GENERATION
    assert code(world, **mine) is CODE.ILLEGAL_GENERATION
    nobody: dict[str, Any] = {"member_id": "nobody", "version": version}
    assert code(world, **nobody, generation_id=generation) is CODE.UNKNOWN_MEMBER_ID
    assert code(world, version=version, generation_id=generation) is CODE.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("version", VERSIONS)
def test_who_says_nothing_of_a_member_may_commit_to_any_group(version: int) -> None:
    world = OffsetWorld()
    world.stable(2)
    assert code(world, version=version) is CODE.NONE


def test_a_former_member_is_fenced() -> None:
    world = OffsetWorld()
    stays, leaves = world.stable(2)
    generation = world.group.generation_id
    world.leave(leaves)
    assert code(world, member_id=leaves, generation_id=generation) is CODE.UNKNOWN_MEMBER_ID
    world.leave(stays)
    assert world.state is ClassicState.EMPTY
    assert code(world, member_id=leaves, generation_id=generation) is CODE.UNKNOWN_MEMBER_ID
    assert code(world, member_id=leaves) is CODE.NONE  # without generation, as Kafka


def test_static_members() -> None:
    world = OffsetWorld()
    (member,) = world.static("i")
    generation = world.group.generation_id
    mine: dict[str, Any] = {"member_id": member, "generation_id": generation}
    assert code(world, **mine, instance_id="i") is CODE.NONE
    assert code(world, **mine) is CODE.NONE
    assert code(world, **mine, instance_id="other") is CODE.UNKNOWN_MEMBER_ID
    assert code(world, **{**mine, "member_id": "twin"}, instance_id="i") is CODE.FENCED_INSTANCE_ID
    assert code(world, instance_id="i") is CODE.FENCED_INSTANCE_ID


def test_a_commit_renews_no_session() -> None:
    world = OffsetWorld()
    (member,) = world.stable(1)
    world.tick(SESSION_MS - 1)
    assert code(world, member_id=member, generation_id=world.group.generation_id) is CODE.NONE
    world.tick(1)
    assert world.state is ClassicState.EMPTY


# -- who may: groups of KIP-848 ------------------------------------------------------------------------------


def with_members() -> tuple[OffsetWorld, Consumer, Consumer]:
    """Return a world with two members that read `t`; the first came earlier, and has given a partition away."""
    world = OffsetWorld()
    first = Consumer(world, "m", "t")
    first.join()
    settle(world, first, rounds=3)
    second = Consumer(world, "n", "t")
    second.join()
    settle(world, first, second, rounds=6)
    assert first.epoch == second.epoch > 1
    return world, first, second


@pytest.mark.parametrize("version", WITH_MEMBER)
def test_a_consumer_commits_in_its_epoch(version: int) -> None:
    world, member, _ = with_members()
    stale = CODE.STALE_MEMBER_EPOCH if version >= 6 else CODE.ILLEGAL_GENERATION
    mine: dict[str, Any] = {"member_id": "m", "version": version}
    assert code(world, **mine, generation_id=member.epoch) is CODE.NONE
    assert code(world, **mine, generation_id=member.epoch + 1) is stale
    assert code(world, **mine) is stale
    unknown = code(world, member_id="nobody", version=version, generation_id=member.epoch)
    assert unknown is CODE.UNKNOWN_MEMBER_ID
    assert code(world, version=version, generation_id=member.epoch) is CODE.UNKNOWN_MEMBER_ID
    assert code(world, version=version) is CODE.NONE  # says nothing of a member


def test_a_consumer_behind_commits_what_it_was_given_and_kept() -> None:
    world, member, other = with_members()
    (_, kept), (_, lost) = min(member.partitions), min(other.partitions)
    behind: dict[str, Any] = {"member_id": "m", "generation_id": member.epoch - 1}
    assert world.commit_in_transaction(PRODUCER, ("t", kept, 5), **behind) == {("t", kept): CODE.NONE}
    both = world.commit_in_transaction(PRODUCER, ("t", kept, 6), ("t", lost, 6), **behind)
    assert set(both.values()) == {CODE.STALE_MEMBER_EPOCH}


def test_an_empty_group_of_consumers_takes_commits_without_epoch() -> None:
    world, first, second = with_members()
    first.leave()
    second.leave()
    assert code(world, member_id="m") is CODE.NONE
    assert code(world, member_id="m", generation_id=first.epoch) is CODE.UNKNOWN_MEMBER_ID


# -- while it is pending -------------------------------------------------------------------------------------


def delete(world: OffsetWorld) -> ErrorCode:
    (result,) = world.call(DeleteGroupsRequest(groups_names=[GROUP])).results
    return ErrorCode(result.error_code)


def test_the_deletion_of_a_group_takes_what_is_pending_with_it() -> None:
    world = OffsetWorld()
    world.commit_offsets(("t", 1, 3))
    world.commit_in_transaction(PRODUCER, ("t", 0, 5), ("t", 1, 5))
    assert delete(world) is CODE.NONE
    world.end_transaction(PRODUCER, commit=True)
    assert world.committed() == {}
    assert GROUP not in world.shard.state.groups
    world.restart()
    assert world.committed() == {}
    assert GROUP not in world.shard.state.groups


def test_deleted_offsets_do_not_come_back_with_the_marker() -> None:
    world = OffsetWorld()
    world.commit_in_transaction(PRODUCER, ("t", 0, 5), ("t", 1, 5))
    world.delete_offsets(("t", 0))
    world.end_transaction(PRODUCER, commit=True)
    assert world.committed() == {("t", 1): 5}


def test_offsets_of_a_deleted_topic_do_not_come_back_with_the_marker() -> None:
    world = OffsetWorld()
    world.commit_in_transaction(PRODUCER, ("t", 0, 5), ("u", 0, 5))
    world.delete_topic("t")
    world.tick(1_000)
    world.create_topic("t", 3)
    world.commit_in_transaction(PRODUCER, ("t", 1, 6))
    world.end_transaction(PRODUCER, commit=True)
    assert world.committed() == {("u", 0): 5, ("t", 1): 6}


def test_a_group_stays_while_something_is_pending() -> None:
    world = OffsetWorld(GroupConfig(offsets_retention_ms=60_000, offsets_retention_check_interval_ms=1_000))
    world.commit_offsets(("t", 0, 3), ("t", 1, 3))
    code(world)
    world.tick(70_000)
    assert world.committed() == {("t", 0): 3}  # not while the transaction may move it
    world.end_transaction(PRODUCER, commit=False)
    world.tick(2_000)
    assert world.committed() == {}
    assert GROUP not in world.shard.state.groups
    code(world)  # pending alone holds the group
    world.tick(70_000)
    assert GROUP in world.shard.state.groups
