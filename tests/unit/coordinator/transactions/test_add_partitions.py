"""Goal: what takes part in a transaction is written before anybody is told so, and leaders are told what is written."""

from __future__ import annotations

import pytest

from coordinator.transactions.states import TransactionState
from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from protocol.types import TopicPartition
from tests.support.transactions import P0, P1, P2, TransactionWorld, add_request

U1 = TopicPartition("u", 1)


@pytest.fixture
def world() -> TransactionWorld:
    world = TransactionWorld()
    world.init()
    return world


@pytest.mark.parametrize(("version", "client_version"), [(0, 0), (3, 0), (4, 2), (5, 2)])
def test_partitions_are_added_once(world: TransactionWorld, version: int, client_version: int) -> None:
    assert world.add(world.identity, P1, U1, version=version) is ErrorCode.NONE
    started_ms = world.now_ms
    world.tick(7)
    assert world.add(world.identity, P0, P1, version=version) is ErrorCode.NONE
    transaction = world.transaction
    assert set(transaction.partitions) == {P0, P1, U1}
    assert (transaction.started_ms, transaction.updated_ms) == (started_ms, started_ms + 7)
    assert transaction.client_version == client_version
    length = len(world.log)
    assert world.add(world.identity, U1, P0, version=version) is ErrorCode.NONE
    assert len(world.log) == length
    world.check_replay()


def test_an_answer_waits_until_what_it_says_is_committed(world: TransactionWorld) -> None:
    world.writer.commits_at_once = False
    added = world.send(add_request(world.identity, [P0]), 4)
    again = world.send(add_request(world.identity, [P0]), 4)
    asked = world.send(add_request(world.identity, [P0], verify_only=True), 4)
    assert (added.response, again.response, asked.response) == (None, None, None)
    world.commit()
    assert all(answer.response is not None for answer in (added, again, asked))


def test_a_leader_is_told_of_each_partition(world: TransactionWorld) -> None:
    assert world.add(world.identity, P0, U1) is ErrorCode.NONE
    length = len(world.log)
    assert world.add(world.identity, P0, P2, U1, verify_only=True) == {
        P0: ErrorCode.NONE,
        P2: ErrorCode.TRANSACTION_ABORTABLE,
        U1: ErrorCode.NONE,
    }
    assert len(world.log) == length


def test_what_was_not_written_does_not_take_part(world: TransactionWorld) -> None:
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    request = add_request(world.identity, [P0])
    assert world.call(request, 4) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    world.writer.refusal = None
    assert world.add(world.identity, P0, verify_only=True) is ErrorCode.TRANSACTION_ABORTABLE


def test_a_new_producer_id_waits_for_the_markers_of_the_one_before(world: TransactionWorld) -> None:
    world.given(world.transaction._replace(producer_epoch=2**15 - 2))
    last = world.identity
    assert world.add(last, P0) is ErrorCode.NONE
    new = world.end(last)
    assert new == (1001, 0)
    assert isinstance(new, Identity)
    assert world.add(new, P1) is ErrorCode.CONCURRENT_TRANSACTIONS
    world.answer_markers()
    assert world.add(new, P1) is ErrorCode.NONE
    assert world.add(last, P1) is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_a_transaction_may_begin_without_partitions_and_then_has_nobody_to_wait_for(
    world: TransactionWorld,
) -> None:
    response = world.call(add_request(world.identity, []), 4)
    assert response.results_by_transaction[0].topic_results == []
    assert world.transaction.state is TransactionState.ONGOING
    assert world.end(world.identity) == (1000, 1)
    assert world.transaction.state is TransactionState.COMPLETE_COMMIT
    assert world.outbox.sent == []
