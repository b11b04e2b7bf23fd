"""What one node can do at most: its loop has one core, so a second of CPU is all that a second gives.

The ceiling is taken from the CPU that a unit of load costs; a client that shares the machine does not come into it.
Threads of the pool (fsync, cold reads) may use further cores, so a node may reach a little more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.results import Result
from bench.spread import spread


class Ceiling(NamedTuple):
    load: str
    scenario: str
    metric: str
    unit: str
    digits: int
    of: Callable[[float], float]
    """From the measured figure to what a full core does in a second."""


def _per_cost(cost: float) -> float:
    return 1 / cost


_CEILINGS = (
    Ceiling("produce, 128 KB batches", "S1", "cpu_s_per_gb", "GB/s", 2, _per_cost),
    Ceiling("produce, 16 KB batches", "S3", "cpu_s_per_gb", "GB/s", 2, _per_cost),
    Ceiling("produce, 100 B records", "S4", "cpu_s_per_million", "million records/s", 2, _per_cost),
    Ceiling("consume from the page cache", "S6", "cpu_s_per_gb", "GB/s", 2, _per_cost),
    Ceiling("requests of one record", "S7", "requests_per_cpu_s", "requests/s", 0, float),
)
_TARGETS = ("logd", "logd-full", "kafka", "floor")


def table(found: Mapping[str, Result]) -> str:
    """For a core of each target; empty where nothing of it was measured."""
    rows = [row for ceiling in _CEILINGS if ceiling.scenario in found and (row := _row(ceiling, found))]
    if not rows:
        return ""
    head = ["| on one core | " + " | ".join(_TARGETS) + " |", "|---" * (len(_TARGETS) + 1) + "|"]
    return "\n".join([*head, *rows])


def _row(ceiling: Ceiling, found: Mapping[str, Result]) -> str:
    cells = []
    for target in _TARGETS:
        measured = found[ceiling.scenario].values(target, ceiling.metric)
        cells.append(_cell(ceiling, [ceiling.of(value) for value in measured if value > 0]))
    return f"| {ceiling.load}, {ceiling.unit} | " + " | ".join(cells) + " |"


def _cell(ceiling: Ceiling, values: list[float]) -> str:
    if not values:
        return ""
    median, low, high = (f"{value:,.{ceiling.digits}f}" for value in spread(values))
    return f"{median} [{low}–{high}]"
