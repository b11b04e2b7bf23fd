"""Goal: a series that still moves is told from one that only spreads. Method: series that were measured, and noise."""

from __future__ import annotations

import random

import pytest

from bench.page.trend import trend

COLD = [
    [3.05, 1.43, 1.37, 1.01, 0.73],
    [2648, 2327, 2001, 2365, 1816, 1228, 1013, 1063, 1346, 1118],
    [6.77, 5.11, 3.5, 3.08, 3.1],
]


@pytest.mark.parametrize("figures", COLD)
def test_a_broker_that_gets_warm(figures: list[float]) -> None:
    assert trend(figures) == "fell"
    assert trend([1 / each for each in figures]) == "rose"


@pytest.mark.parametrize(
    "figures",
    [
        [1.28, 1.92, 1.72, 1.81, 1.45],
        [0.86, 1.11, 1.2, 0.9, 0.87],
        [1.0, 1.02, 1.04, 1.06, 1.08],  # too little to matter
        [4.0, 3.0, 2.0],
        [0.0, 1.0, 2.0, 3.0, 4.0],
        [],
    ],
)
def test_others(figures: list[float]) -> None:
    assert trend(figures) is None


def test_noise_is_seldom_taken_for_a_trend() -> None:
    source = random.Random(1)
    told = sum(trend([source.uniform(1, 2) for _ in range(5)]) is not None for _ in range(2000))
    assert told < 0.1 * 2000
