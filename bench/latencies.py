"""Latency as scenarios tell it: percentiles of a histogram of logd/load. At a fixed rate no wait is left out.

That includes the client's own: how late requests left, though there was room for them, is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.metric import Metric, Metrics
from logd.load.histogram import Histogram
from logd.load.run import Figures

PERCENTILES: Mapping[str, float] = {
    "p50_us": 50,
    "p90_us": 90,
    "p99_us": 99,
    "p999_us": 99.9,
    "p9999_us": 99.99,
    "max_us": 100,
}
"""All that are kept."""
LATENCY: Mapping[str, Metric] = {
    "p50_us": Metric("p50", "µs", 0),
    "p99_us": Metric("p99", "µs", 0),
    "p999_us": Metric("p99.9", "µs", 0),
    "max_us": Metric("longest", "µs", 0, ()),
}
"""What a table shows of it."""
LATENESS: Mapping[str, Metric] = {
    "late_p99_us": Metric("p99 of how late they left", "µs", 0, ()),
    "unsent": Metric("never left", "requests", 0, ()),
}
"""What a table shows beside it where there is a fixed rate."""

_BEYOND_MIN = 5


def latencies(taken: Histogram) -> Metrics:
    """`taken` is in nanoseconds. A percentile beyond which there are too few to tell it is left out."""
    return {
        name: taken.percentile(percent) / 1000
        for name, percent in PERCENTILES.items()
        if percent == 100 or taken.count * (100 - percent) / 100 >= _BEYOND_MIN
    }


def lateness(figures: Figures) -> Metrics:
    """Of a run at a fixed rate."""
    return {"late_p99_us": figures.late.percentile(99) / 1000, "unsent": float(figures.unsent)}
