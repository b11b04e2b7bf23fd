"""Goal: a transaction that nobody ends is aborted when its time is over, and its producer fenced."""

from __future__ import annotations

import pytest

from coordinator.transaction_config import TransactionConfig
from coordinator.transactions.states import TransactionState
from coordinator.transactions.transaction import NO_TIMEOUT_MS, Identity
from protocol.errors import ErrorCode
from protocol.types import TopicPartition
from tests.support.shards import START_MS
from tests.support.transactions import P0, P1, TransactionWorld

ONGOING, DECIDED = TransactionState.ONGOING, TransactionState.PREPARE_ABORT


def ongoing(world: TransactionWorld, timeout_ms: int = 60_000) -> Identity:
    world.init(timeout_ms=timeout_ms)
    identity = world.identity
    assert world.add(identity, P0) is ErrorCode.NONE
    return identity


@pytest.mark.parametrize("level", [0, 1, 2])
def test_it_is_aborted_when_its_time_is_over(level: int) -> None:
    world = TransactionWorld(level=level)
    world.tick(5_000)
    old = ongoing(world)
    world.tick(60_000)
    assert world.transaction.state is ONGOING
    world.tick(1)
    assert world.transaction.state is DECIDED
    assert world.identity == (old.producer_id, 1)
    markers = world.answer_markers()
    assert (markers.committed, markers.producer_epoch, markers.transaction_version) == (
        False,
        1,
        2 if level == 2 else 0,
    )
    assert world.add(old, P0) is ErrorCode.PRODUCER_FENCED
    world.check_replay()


def test_a_transaction_has_the_whole_of_its_time() -> None:
    world = TransactionWorld()
    ongoing(world, timeout_ms=10_000)
    world.tick(10_000)
    assert world.transaction.state is ONGOING
    world.tick(1)
    assert world.transaction.state is DECIDED


def test_one_that_asked_for_less_than_the_interval_is_aborted_in_time_too() -> None:
    world = TransactionWorld()
    world.tick(500)
    ongoing(world, timeout_ms=1_000)
    world.tick(1_000)
    assert world.transaction.state is ONGOING
    world.tick(1)
    assert world.transaction.state is DECIDED


def test_a_timer_that_outlived_its_transaction_ends_no_other() -> None:
    world = TransactionWorld()
    ongoing(world, timeout_ms=5_000)
    world.tick(4_000)
    world.end(world.identity)
    world.answer_markers()
    ongoing(world, timeout_ms=60_000)
    world.tick(10_000)
    assert world.transaction.state is ONGOING


def test_each_is_aborted_in_its_turn() -> None:
    world = TransactionWorld()
    identities = {}
    for number, timeout_ms in enumerate((31_000, 20_000, 500, 26_000)):
        name = f"id-{number}"
        identity = world.init(transactional_id=name, timeout_ms=timeout_ms)
        assert isinstance(identity, Identity)
        identities[name] = identity
        world.add(identity, P0, transactional_id=name)
    for due_ms, name in ((501, "id-2"), (20_001, "id-1"), (26_001, "id-3"), (31_001, "id-0")):
        world.tick(START_MS + due_ms - 1 - world.now_ms)
        assert world.shard.state.transactions[name].state is ONGOING
        world.tick(1)
        assert world.shard.state.transactions[name].state is DECIDED


def test_partitions_that_come_later_give_no_more_time() -> None:
    world = TransactionWorld()
    ongoing(world)
    world.tick(55_000)
    world.add(world.identity, P1)
    world.tick(15_000)
    assert world.transaction.state is DECIDED


def test_only_open_transactions_time_out() -> None:
    world = TransactionWorld()
    world.init()
    world.tick(120_000)
    assert world.transaction.state is TransactionState.EMPTY
    assert world.add(world.identity, P0) is ErrorCode.NONE
    world.end(world.identity)
    world.answer_markers(ErrorCode.REQUEST_TIMED_OUT)
    world.tick(120_000)
    assert world.transaction.state is TransactionState.PREPARE_COMMIT


def test_a_transaction_without_a_timeout_has_none() -> None:
    world = TransactionWorld(config=TransactionConfig(timeout_ms_max=NO_TIMEOUT_MS))
    ongoing(world, timeout_ms=NO_TIMEOUT_MS)
    world.tick(2 * NO_TIMEOUT_MS)
    assert world.transaction.state is ONGOING


def test_its_time_runs_while_nobody_leads() -> None:
    world = TransactionWorld()
    ongoing(world)
    world.now_ms += 600_000
    world.restart()
    world.tick(10_000)
    assert world.transaction.state is DECIDED


def test_what_could_not_be_written_is_tried_again_soon() -> None:
    world = TransactionWorld()
    ongoing(world)
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    world.tick(70_000)
    assert world.transaction.state is ONGOING
    world.writer.refusal = None
    world.tick(500)
    assert world.transaction.state is DECIDED


def test_an_exhausted_producer_waits_for_a_producer_id() -> None:
    world = TransactionWorld()
    world.init()
    world.given(world.transaction._replace(producer_epoch=2**15 - 2))
    assert world.add(world.identity, P0) is ErrorCode.NONE
    world.producer_ids.used_up = True
    world.tick(70_000)
    assert world.transaction.state is ONGOING
    world.producer_ids.used_up = False
    world.tick(10_000)
    assert world.transaction.state is DECIDED
    assert world.transaction.goes_on_as == (1001, 0)


def test_many_are_aborted_in_batches_that_a_log_takes() -> None:
    world = TransactionWorld()
    partitions = [TopicPartition("t", index) for index in range(99)]
    for number in range(25):
        name = f"id-{number}"
        identity = world.init(transactional_id=name)
        assert isinstance(identity, Identity)
        world.add(identity, *partitions, transactional_id=name)
    length = len(world.log)
    world.tick(60_001)
    assert len(world.log) == length + 10
    world.tick(50)
    assert len(world.log) == length + 20
    world.tick(50)
    assert len(world.log) == length + 25
    assert len(world.outbox.sent) == 25
    world.tick(100_000)
    assert len(world.log) == length + 25


def test_the_interval_is_that_of_the_settings() -> None:
    world = TransactionWorld(config=TransactionConfig(abort_timed_out_interval_ms=100))
    ongoing(world, timeout_ms=50)
    world.tick(100)
    assert world.transaction.state is DECIDED
