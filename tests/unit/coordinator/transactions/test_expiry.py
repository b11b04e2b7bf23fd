"""Goal: ids that nobody uses are forgotten, and no id with a transaction that is not over."""

from __future__ import annotations

import pytest

from coordinator.transaction_config import TransactionConfig
from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from tests.support.transactions import ID, P0, TransactionWorld

HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS


def is_known(world: TransactionWorld, transactional_id: str = ID) -> bool:
    return transactional_id in world.shard.state.transactions


@pytest.mark.parametrize("commit", [None, True, False])
def test_an_id_expires_a_week_after_it_was_used(commit: bool | None) -> None:
    world = TransactionWorld()
    world.tick(HOUR_MS // 2)
    world.init()
    if commit is not None:
        world.add(world.identity, P0)
        world.end(world.identity, commit=commit)
        world.answer_markers()
    old = world.identity
    world.tick(WEEK_MS)
    assert is_known(world)
    world.tick(HOUR_MS // 2)
    assert not is_known(world)
    assert world.log[-1].value is None
    world.check_replay()
    assert world.end(old) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert world.init(old) == (1001, 0)


def test_an_id_that_was_used_just_so_long_ago_expires() -> None:
    world = TransactionWorld()
    world.init()
    world.tick(WEEK_MS)
    assert not is_known(world)


def test_being_used_keeps_an_id() -> None:
    world = TransactionWorld()
    world.init()
    world.tick(WEEK_MS - 2 * HOUR_MS)
    world.init()
    world.tick(WEEK_MS - 2 * HOUR_MS)
    assert is_known(world)


def test_a_transaction_that_is_not_over_keeps_its_id() -> None:
    world = TransactionWorld(config=TransactionConfig(id_expiration_ms=1, remove_expired_interval_ms=10))
    world.init()
    world.add(world.identity, P0)
    world.tick(1_000)
    assert is_known(world)
    world.end(world.identity)
    world.answer_markers(ErrorCode.REQUEST_TIMED_OUT)
    world.tick(1_000)
    assert is_known(world)
    world.answer_markers()
    world.tick(1_000)
    assert not is_known(world)


def test_many_expire_in_slices() -> None:
    world = TransactionWorld(config=TransactionConfig(id_expiration_ms=500, remove_expired_interval_ms=1_000))
    for number in range(2_500):
        assert isinstance(world.init(transactional_id=f"id-{number}"), Identity)
    world.tick(1_000)
    assert len(world.shard.state.transactions) == 1_500
    world.init(transactional_id="id-2000")
    world.tick(50)
    assert len(world.shard.state.transactions) == 500
    world.tick(50)
    assert list(world.shard.state.transactions) == ["id-2000"]
    world.check_replay()
    world.tick(1_000)
    assert world.shard.state.transactions == {}


def test_what_could_not_be_written_is_left_to_the_next_sweep() -> None:
    world = TransactionWorld(config=TransactionConfig(id_expiration_ms=100, remove_expired_interval_ms=1_000))
    world.init()
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    world.tick(1_000)
    assert is_known(world)
    world.writer.refusal = None
    world.tick(1_000)
    assert not is_known(world)


def test_nothing_of_a_forgotten_id_is_kept() -> None:
    world = TransactionWorld(config=TransactionConfig(id_expiration_ms=100, remove_expired_interval_ms=1_000))
    world.init()
    world.init(world.identity)
    world.tick(1_000)
    state = world.shard.state
    assert not state.exchanges._given_up
    assert not (state.ongoing or state.decided or state.rounds)
