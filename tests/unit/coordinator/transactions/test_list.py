"""Goal: an id is listed when every filter lets it through, and a filter that is none lets through everything."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from protocol.messages.list_transactions import ListTransactionsRequest
from tests.support.transactions import P0, TransactionWorld


@pytest.fixture
def world() -> TransactionWorld:
    """Ids: `a-1` empty (1000), `a-2` open for 100 ms (1001), `b-1` committed 30 ms ago, begun 40 ms ago (1002)."""
    world = TransactionWorld()
    identities = [world.init(transactional_id=name) for name in ("a-1", "a-2", "b-1")]
    _, open_, committed = identities
    assert isinstance(open_, Identity)
    assert isinstance(committed, Identity)
    world.add(open_, P0, transactional_id="a-2")
    world.tick(60)
    world.add(committed, P0, transactional_id="b-1")
    world.tick(10)
    world.end(committed, transactional_id="b-1")
    world.answer_markers()
    world.tick(30)
    return world


def listed(world: TransactionWorld, version: int = 2, **filters: Any) -> list[str]:
    response = world.call(ListTransactionsRequest(**filters), version)
    assert response.error_code == ErrorCode.NONE
    return [each.transactional_id for each in response.transaction_states]


@pytest.mark.parametrize("version", [0, 1, 2])
def test_without_filters_all_are_listed(world: TransactionWorld, version: int) -> None:
    response = world.call(ListTransactionsRequest(), version)
    assert [
        (each.transactional_id, each.producer_id, each.transaction_state)
        for each in response.transaction_states
    ] == [("a-1", 1000, "Empty"), ("a-2", 1001, "Ongoing"), ("b-1", 1002, "CompleteCommit")]
    assert response.unknown_state_filters == []


def test_by_state(world: TransactionWorld) -> None:
    assert listed(world, state_filters=["Ongoing", "CompleteCommit"]) == ["a-2", "b-1"]
    assert listed(world, state_filters=["Dead"]) == []


def test_states_that_do_not_exist_are_named_and_let_nothing_through(world: TransactionWorld) -> None:
    response = world.call(ListTransactionsRequest(state_filters=["ongoing", "Odd", "Odd"]), 0)
    assert (response.error_code, response.transaction_states) == (ErrorCode.NONE, [])
    assert response.unknown_state_filters == ["ongoing", "Odd"]


def test_by_producer_id(world: TransactionWorld) -> None:
    assert listed(world, producer_id_filters=[1002, 7]) == ["b-1"]
    assert listed(world, producer_id_filters=[7]) == []


def test_by_duration(world: TransactionWorld) -> None:
    assert listed(world, duration_filter=99) == ["a-1", "a-2"]
    assert listed(world, duration_filter=100) == ["a-1"]
    assert listed(world, duration_filter=0) == ["a-1", "a-2", "b-1"]
    assert listed(world, duration_filter=-1) == ["a-1", "a-2", "b-1"]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("a-.*", ["a-1", "a-2"]),
        ("a", []),
        (".*-1", ["a-1", "b-1"]),
        ("", ["a-1", "a-2", "b-1"]),
        (None, ["a-1", "a-2", "b-1"]),
    ],
)
def test_by_pattern(world: TransactionWorld, pattern: str | None, matched: list[str]) -> None:
    assert listed(world, transactional_id_pattern=pattern) == matched


def test_all_filters_have_to_let_an_id_through(world: TransactionWorld) -> None:
    assert listed(world, transactional_id_pattern=".*-1", state_filters=["Empty"]) == ["a-1"]
    assert listed(world, producer_id_filters=[1001], state_filters=["Empty"]) == []


def test_what_is_no_pattern_is_refused(world: TransactionWorld) -> None:
    response = world.call(ListTransactionsRequest(transactional_id_pattern="(", state_filters=["Odd"]), 2)
    assert response.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert (response.transaction_states, response.unknown_state_filters) == ([], [])
