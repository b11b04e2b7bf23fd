"""A scenario: targets that are kept running, and rounds of measurements in turn on each.

Figures of one and the same program spread by a factor of two between runs, so every round measures all targets
one after the other, in an order that changes from round to round; the first round only warms up. Ratios are taken
within a round.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from bench.page_cache import PageCache
from bench.targets import Running, Targets

Metrics = dict[str, float]


class Options(NamedTuple):
    rounds: int
    quick: bool
    only: frozenset[str]  # names of targets, empty for all
    directory: Path
    logd_command: Sequence[str]


class Sample(NamedTuple):
    round: int
    target: str
    metrics: Metrics


class Metric(NamedTuple):
    """How a figure is printed, and what it is compared with. `against` are targets, in order of interest."""

    title: str
    unit: str
    digits: int
    against: tuple[str, ...] = ("kafka",)


class Scenario(ABC):
    name: ClassVar[str]
    title: ClassVar[str]
    targets: ClassVar[tuple[str, ...]]
    metrics: ClassVar[Mapping[str, Metric]]
    remark: ClassVar[str] = ""
    """What whoever reads the figures should know, below them."""
    writes: ClassVar[bool] = True
    """Does a round write so much that the price of fresh memory would show?"""

    def __init__(self, options: Options, targets: Targets, page_cache: PageCache | None) -> None:
        self.options = options
        self._targets = targets
        self._page_cache = page_cache
        self._started_at = time.monotonic()

    def settings(self) -> Mapping[str, object]:
        """The sizes in force, for the record."""
        return {}

    def run(self) -> list[Sample]:
        wanted = [name for name in self.targets if not self.options.only or name in self.options.only]
        missing = {name: reason for name in wanted if (reason := self._targets.missing(name))}
        for name, reason in missing.items():
            print(f"  without {name}: {reason}")
        names = [name for name in wanted if name not in missing]
        running: dict[str, Running] = {}
        self._fill_memory()
        try:
            for name in names:
                self._say(f"starting {name}")
                running[name] = self.start(name)
                self.prepare(name, running[name])
            return self.rounds(names, running)
        finally:
            for target in running.values():
                target.stop()

    def start(self, name: str) -> Running:
        return self._targets.start(name)

    def prepare(self, name: str, target: Running) -> None:  # noqa: B027 - most need nothing
        """Once per target, before the rounds."""

    @abstractmethod
    def rounds(self, names: Sequence[str], running: Mapping[str, Running]) -> list[Sample]: ...

    def _fill_memory(self) -> None:
        if self._page_cache is not None:
            self._page_cache.fill()

    def _report(self, kind: str, name: str, metrics: Metrics) -> None:
        figures = "  ".join(f"{key}={value:,.4g}" for key, value in metrics.items())
        self._say(f"{kind:<14} {name:<6} {figures}")

    def _say(self, text: str) -> None:
        print(f"{self.name:<4} {time.monotonic() - self._started_at:7.1f} s  {text}", flush=True)


class OneByOne(Scenario):
    """A round measures one target after the other."""

    def rounds(self, names: Sequence[str], running: Mapping[str, Running]) -> list[Sample]:
        samples = []
        for round_number in range(self.options.rounds + 1):
            shift = round_number % len(names)
            for name in (*names[shift:], *names[:shift]):
                os.sync()  # nobody pays for the dirty pages of the one before
                if self.writes:
                    self._fill_memory()
                metrics = self.measure(name, running[name], round_number)
                kind = "warm-up" if round_number == 0 else f"round {round_number} of {self.options.rounds}"
                self._report(kind, name, metrics)
                if round_number > 0:
                    samples.append(Sample(round_number, name, metrics))
        return samples

    @abstractmethod
    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        """Round 0 warms up; what it returns is thrown away."""
