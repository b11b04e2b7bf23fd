"""Ranges of checked bytes behave like a set of positions."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from storage.byte_ranges import ByteRanges

place = st.integers(0, 40)


@given(st.lists(st.tuples(st.sampled_from(["add", "truncate"]), place, place), max_size=30), place, place)
def test_ranges_behave_like_a_set(operations: list[tuple[str, int, int]], start: int, end: int) -> None:
    ranges = ByteRanges()
    positions: set[int] = set()
    for name, first, second in operations:
        if name == "add":
            ranges.add(first, second)
            positions |= set(range(first, second))
        else:
            ranges.truncate(first)
            positions = {p for p in positions if p < first}
    assert ranges.covers(start, end) == (set(range(start, end)) <= positions)
    listed = ranges.ranges
    assert {p for low, high in listed for p in range(low, high)} == positions
    assert all(low < high for low, high in listed)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(listed))
