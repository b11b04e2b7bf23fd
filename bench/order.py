"""In which order a round takes its targets: over the rounds, nobody always comes after the same neighbour.

What one target leaves behind (dirty pages, topics that are still being deleted, a warm core) meets the next. So orders
are the rows of a Latin square in which, over all rows, everybody follows everybody else equally often (E. J. Williams,
1949): one square for an even number, and for an odd one the same once more with its rows reversed. Five rounds are not
always all rows; but of three or more targets none follows the same one more than twice in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


def order_of(targets: Sequence[_T], round_number: int) -> list[_T]:
    """Any whole number is a round."""
    count = len(targets)
    if count == 0:
        return []
    row = [targets[(place + round_number) % count] for place in _zigzag(count)]
    return row[::-1] if count % 2 and round_number % 2 else row


def _zigzag(count: int) -> list[int]:
    """0, 1, count - 1, 2, count - 2, …: each difference between neighbours is there once."""
    return [(place + 1) // 2 if place % 2 else -(place // 2) % count for place in range(count)]
