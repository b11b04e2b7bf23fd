"""Goal: whatever order batches, markers, replication, truncations, deletions and restarts come in, the last stable
offset and the aborted transactions are those of the log, a reader of committed records gets exactly these, in order,
and no transaction is begun that nobody will end.

Method: a partition beside a plain list (model.py); lives made by hypothesis, which makes a failing one short, and 600
made from seeds: `python -m tests.simulation.transactional_partition --seeds N --start S` for more.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.transactional_partition.run import run
from tests.simulation.transactional_partition.steps import LIMIT, step_of
from tests.simulation.transactional_partition.world import World

RUNS = 600
_AT_ONCE = 50

number = st.integers(0, LIMIT - 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(number, number, number), max_size=80))
def test_any_life(numbers: list[tuple[int, int, int]]) -> None:
    world = World()
    for each in numbers:
        world.step(step_of(*each))
    world.settle()


@pytest.mark.parametrize("start", range(1, RUNS + 1, _AT_ONCE))
def test_runs(start: int) -> None:
    for seed in range(start, start + _AT_ONCE):
        run(seed)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(100_000, 120_000, 2_000))
def test_many_more_runs(start: int) -> None:
    for seed in range(start, start + 2_000):
        run(seed)


def test_the_runs_do_everything() -> None:
    """What never comes about proves nothing."""
    seen: Counter[str] = Counter()
    for seed in range(1, 201):
        seen += run(seed).seen
    assert seen.keys() >= EXPECTED


EXPECTED = {
    "aborted named",
    "batch refused: INVALID_PRODUCER_EPOCH",
    "batch refused: INVALID_TXN_STATE",
    "batch refused: OUT_OF_ORDER_SEQUENCE_NUMBER",
    "decided, not replicated",
    "held back",
    "marker refused",
    "open, records deleted",
    "producer forgotten",
    "read",
    "segments deleted",
    "truncated",
}
