"""Goal: what is told of an id is what is known of it."""

from __future__ import annotations

from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from protocol.messages.describe_transactions import DescribeTransactionsRequest
from protocol.types import TopicPartition
from tests.support.transactions import ID, P0, P2, TransactionWorld


def test_an_open_transaction() -> None:
    world = TransactionWorld()
    world.init(timeout_ms=77)
    world.tick(9)
    world.add(world.identity, P2, TopicPartition("u", 1), P0)
    described = world.describe()
    assert (described.error_code, described.transactional_id) == (ErrorCode.NONE, ID)
    assert (described.transaction_state, described.transaction_timeout_ms) == ("Ongoing", 77)
    assert (described.producer_id, described.producer_epoch) == world.identity
    assert described.transaction_start_time_ms == world.now_ms
    assert {(t.topic, tuple(t.partitions)) for t in described.topics} == {("t", (2, 0)), ("u", (1,))}


def test_an_id_without_a_transaction() -> None:
    world = TransactionWorld()
    world.init()
    described = world.describe()
    assert (described.transaction_state, described.transaction_start_time_ms) == ("Empty", -1)
    assert described.topics == []


def test_several_ids_each_with_its_own_error() -> None:
    world = TransactionWorld()
    assert isinstance(world.init(), Identity)
    response = world.call(DescribeTransactionsRequest(transactional_ids=["gone", "", ID]))
    assert [(each.transactional_id, each.error_code) for each in response.transaction_states] == [
        ("gone", ErrorCode.TRANSACTIONAL_ID_NOT_FOUND),
        ("", ErrorCode.INVALID_REQUEST),
        (ID, ErrorCode.NONE),
    ]
