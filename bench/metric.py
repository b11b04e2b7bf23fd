"""A figure, how it is printed and what it is compared with, and the figures of one round."""

from __future__ import annotations

from typing import NamedTuple

Metrics = dict[str, float]


class Metric(NamedTuple):
    """How a figure is printed, and what it is compared with. `against` are targets, in order of interest."""

    title: str
    unit: str
    digits: int
    against: tuple[str, ...] = ("kafka",)


class Sample(NamedTuple):
    round: int
    target: str
    metrics: Metrics
