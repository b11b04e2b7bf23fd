"""Goal: over the rounds everybody comes after everybody else. Method: count neighbours in all rows, and in five."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from bench.order import order_of


@pytest.mark.parametrize("count", range(1, 9))
def test_everybody_follows_everybody_equally_often(count: int) -> None:
    neighbours: Counter[tuple[int, int]] = Counter()
    rows = count if count % 2 == 0 else 2 * count
    for round_number in range(-1, rows - 1):
        order = order_of(range(count), round_number)
        assert sorted(order) == [*range(count)]
        neighbours.update(pairwise(order))
    assert len(neighbours) == count * (count - 1)
    assert len(set(neighbours.values())) <= 1


@pytest.mark.parametrize("count", range(3, 9))
def test_five_rounds_repeat_no_neighbours_more_than_once(count: int) -> None:
    orders = [order_of(range(count), round_number) for round_number in range(1, 6)]
    neighbours = Counter(pair for order in orders for pair in pairwise(order))
    assert max(neighbours.values()) <= 2


def test_nobody() -> None:
    assert order_of([], 3) == []
