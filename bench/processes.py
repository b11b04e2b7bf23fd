"""CPU time and memory of a process and its children, from /proc."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from logd.load.process_cost import children, cpu_seconds

__all__ = ["children", "cpu_seconds", "memory_mb", "percentile", "spread"]


def memory_mb(pid: int) -> dict[str, float]:
    """Resident memory now and at its highest, in MB of 10^6 bytes."""
    sizes = {}
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            name, _, rest = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                sizes[name] = int(rest.split()[0]) * 1024 / 1e6
    return {"rss_mb": sizes["VmRSS"], "rss_peak_mb": sizes["VmHWM"]}


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return statistics.median(values), min(values), max(values)
