"""CPU time and memory of a process and its children, from /proc."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process and its living children, in steps of 10 ms."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    user, system, user_of_dead_children, system_of_dead_children = map(int, fields[11:15])
    own = (user + system + user_of_dead_children + system_of_dead_children) / _TICKS_PER_S
    return own + sum(cpu_seconds(child) for child in children(pid))


def children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            found += map(int, file.read().split())
    return found


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
