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

from bench.cost import cost_since
from bench.metric import Metric, Metrics, Sample
from bench.page_cache import PageCache
from bench.progress_bar import ProgressBar
from bench.promise import Promise
from bench.targets import Running, Targets, missing
from bench.usage import usage

__all__ = ["Metric", "Metrics", "OneByOne", "Options", "Sample", "Scenario"]


class Options(NamedTuple):
    rounds: int
    quick: bool
    """Small sizes, and no round that warms up."""
    only: frozenset[str]  # names of targets, empty for all
    directory: Path
    logd_command: Sequence[str]


class Scenario(ABC):
    name: ClassVar[str]
    title: ClassVar[str]
    targets: ClassVar[tuple[str, ...]]
    metrics: ClassVar[Mapping[str, Metric]]
    remark: ClassVar[str] = ""
    """What whoever reads the figures should know, below them."""
    writes: ClassVar[bool] = True
    """Does a round write so much that the price of fresh memory would show?"""
    warm_ups: ClassVar[int] = 1
    """Rounds before the first that counts: more where one is not the gigabyte that Kafka takes to get warm."""
    is_quick: ClassVar[bool] = True
    """Does its small size fit into the three minutes of --quick?"""

    def __init__(
        self, options: Options, targets: Targets, page_cache: PageCache | None, progress: ProgressBar
    ) -> None:
        self.options = options
        self.promises: dict[str, Promise] = {}
        """What each target promised, known once it has started."""
        self._targets = targets
        self._page_cache = page_cache
        self._progress = progress
        self._started_at = time.monotonic()

    @classmethod
    def missing(cls) -> str | None:
        """What it needs, beside its targets, and is not here."""
        return None

    @classmethod
    def names(cls, options: Options) -> list[str]:
        """The targets that are asked for and can be made here."""
        wanted = (name for name in cls.targets if not options.only or name in options.only)
        return [name for name in wanted if missing(name) is None]

    @classmethod
    def steps(cls, options: Options) -> int:
        """How many measurements it takes; it reports as many."""
        return len(cls.names(options)) * (options.rounds + (0 if options.quick else cls.warm_ups))

    def settings(self) -> Mapping[str, object]:
        """The sizes in force, for the record."""
        return {}

    def run(self) -> list[Sample]:
        names = self.names(self.options)
        running: dict[str, Running] = {}
        self._started_at = time.monotonic()
        self._fill_memory()
        try:
            for name in names:
                running[name] = self.start(name)
                self.promises[name] = self._targets.promise(name, running[name])
                self._progress.say_once(f"{name}: {self.promises[name]}")
                self.prepare(name, running[name])
            return self.rounds(names, running)
        finally:
            for target in running.values():
                self._targets.release(target)

    def start(self, name: str) -> Running:
        return self._targets.start(name)

    def prepare(self, name: str, target: Running) -> None:  # noqa: B027 - most need nothing
        """Once per target, before the rounds."""

    @abstractmethod
    def rounds(self, names: Sequence[str], running: Mapping[str, Running]) -> list[Sample]: ...

    def _fill_memory(self) -> None:
        if self._page_cache is not None and not self.options.quick:
            self._page_cache.fill()

    def _report(self, round_number: int, name: str, metrics: Metrics) -> None:
        """One measurement is done; rounds up to 0 warm up."""
        kind = f"round {round_number} of {self.options.rounds}" if round_number > 0 else "warm-up"
        figures = "  ".join(f"{key}={metrics[key]:,.4g}" for key in self.metrics if key in metrics)
        self._progress.step(self._line(f"{kind:<14} {name:<9} {figures}"))

    def _say(self, text: str) -> None:
        self._progress.say(self._line(text))

    def _line(self, text: str) -> str:
        return f"{self.name:<15} {time.monotonic() - self._started_at:7.1f} s  {text}"


class OneByOne(Scenario):
    """A round measures one target after the other."""

    def rounds(self, names: Sequence[str], running: Mapping[str, Running]) -> list[Sample]:
        samples = []
        first = 1 if self.options.quick else 1 - self.warm_ups
        for round_number in range(first, self.options.rounds + 1):
            shift = round_number % max(len(names), 1)
            for name in (*names[shift:], *names[:shift]):
                self._settle()
                metrics = self._measure_with_cost(name, running[name], round_number)
                self._report(round_number, name, metrics)
                if round_number > 0:
                    samples.append(Sample(round_number, name, metrics))
        return samples

    @abstractmethod
    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        """Rounds up to 0 warm up; what they return is thrown away."""

    def _settle(self) -> None:
        if not self.options.quick:
            os.sync()  # nobody pays for the dirty pages of the one before
        if self.writes:
            self._fill_memory()

    def _measure_with_cost(self, name: str, target: Running, round_number: int) -> Metrics:
        before = usage(target.pid)
        metrics = self.measure(name, target, round_number)
        return {**cost_since(target.pid, before), **metrics}
