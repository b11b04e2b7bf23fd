"""What many figures come to: a percentile of one round's, median and range of the rounds'."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Spread = tuple[float, float, float]
"""Median, smallest, largest."""


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def spread(values: Sequence[float]) -> Spread:
    return statistics.median(values), min(values), max(values)
