"""Goal: percentiles within 1 % of the exact ones, whatever the values. Method: hypothesis against a sorted list."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from logd.load.histogram import Histogram

VALUES = st.lists(
    st.one_of(st.integers(0, 300), st.integers(0, 10**7), st.integers(0, 10**13), st.integers(0, 2**64 - 1)),
    min_size=1,
    max_size=300,
)
PERCENTS = st.sampled_from([0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0])


def _exact(values: list[int], percent: float) -> int:
    return sorted(values)[max(ceil(len(values) * percent / 100), 1) - 1]


@given(VALUES, PERCENTS)
def test_percentiles_are_within_one_percent(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = _exact(values, percent)
    assert abs(histogram.percentile(percent) - exact) <= exact / 128
    assert histogram.percentile(100) == histogram.highest == max(values)
    assert histogram.lowest == min(values)
    assert histogram.count == len(values)


@given(st.integers(0, 127))
def test_small_values_are_exact(value: int) -> None:
    histogram = Histogram()
    for each in (value, value, 10**9):
        histogram.add(each)
    assert histogram.percentile(50) == value


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 20)), max_size=30), PERCENTS)
def test_many_at_once_are_as_many_one_by_one(pairs: list[tuple[int, int]], percent: float) -> None:
    at_once, one_by_one = Histogram(), Histogram()
    for value, count in pairs:
        at_once.add_many(value, count)
        for _ in range(count):
            one_by_one.add(value)
    assert at_once.percentile(percent) == one_by_one.percentile(percent)
    assert (at_once.count, at_once.lowest, at_once.highest) == (
        one_by_one.count,
        one_by_one.lowest,
        one_by_one.highest,
    )


def test_nothing_has_no_percentiles() -> None:
    assert Histogram().percentile(99) == 0
