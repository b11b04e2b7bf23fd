"""Figures of many rounds, and what a process costs: what every scenario needs of both."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.usage import memory_mb
from logd.load.process_cost import children, cpu_seconds

__all__ = ["children", "cpu_seconds", "memory_mb", "percentile", "spread"]


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return statistics.median(values), min(values), max(values)
