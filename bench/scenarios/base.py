"""A scenario: targets that are kept running, and rounds of measurements in turn on each.

Figures of one and the same program spread by a factor of two between runs, so every round measures all targets
one after the other, in an order that changes from round to round (order.py); the first round only warms up, and what
runs on a JVM has had a load of its own before (targets/warm_up.py). Ratios are taken within a round. A peer that fails
is left out, and said to be; where logd, Kafka or a baseline fails, the scenario fails.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple

from bench.cost import cost_since
from bench.metric import Metric, Metrics, Sample
from bench.order import order_of
from bench.other_work import OtherWork
from bench.page_cache import PageCache
from bench.progress_bar import ProgressBar
from bench.standstill import Standstill
from bench.targets.promise import Promise
from bench.targets.registry import PEERS_THAT_MAY_FAIL, Running, Targets, missing
from bench.targets.warm_up import JVMS, warm_up
from bench.usage import usage

_ROUNDS_MORE = 3
"""At most so many are taken again."""

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
    """Rounds before the first that counts. What runs on a JVM takes them all, others the last of them."""
    warms_up_by_producing: ClassVar[bool] = True
    """Is producing (targets/warm_up.py) a way to warm up a JVM for it?"""
    is_quick: ClassVar[bool] = True
    """Does its small size fit into the three minutes of --quick?"""

    def __init__(
        self, options: Options, targets: Targets, page_cache: PageCache | None, progress: ProgressBar
    ) -> None:
        self.options = options
        self.promises: dict[str, Promise] = {}
        """What each target promised, known once it has started."""
        self.left_out: dict[str, str] = {}
        """Peers that failed, and how."""
        self.other_cores: list[float] = []
        """How many cores others kept busy, in each round that counts."""
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
        """How many measurements it takes; it reports as many, unless a peer fails."""
        return sum(options.rounds + cls._warm_ups(name, options) for name in cls.names(options))

    @classmethod
    def _warm_ups(cls, name: str, options: Options) -> int:
        if options.quick:
            return 0
        return cls.warm_ups if name in JVMS else min(cls.warm_ups, 1)

    def settings(self) -> Mapping[str, object]:
        """The sizes in force, for the record."""
        return {}

    def run(self) -> list[Sample]:
        running: dict[str, Running] = {}
        self._started_at = time.monotonic()
        self._fill_memory()
        try:
            for name in self.names(self.options):
                with self._unless_it_fails(name):
                    self._start_and_prepare(name, running)
            names = [name for name in running if name not in self.left_out]
            samples = self.rounds(names, running)
            return [sample for sample in samples if sample.target not in self.left_out]
        finally:
            for target in running.values():
                self._targets.release(target)

    def _start_and_prepare(self, name: str, running: dict[str, Running]) -> None:
        running[name] = self.start(name)
        self.promises[name] = self._targets.promise(name, running[name])
        self._progress.say_once(f"{name}: {self.promises[name]}")
        if name in JVMS and self.warms_up_by_producing and not self.options.quick:
            warm_up(running[name])
        self.prepare(name, running[name])

    @contextmanager
    def _unless_it_fails(self, name: str) -> Iterator[None]:
        """A peer that does not do what is asked of it is left out; what else fails does so for the caller."""
        try:
            yield
        except Exception as error:
            if name not in PEERS_THAT_MAY_FAIL:
                raise
            self.left_out[name] = f"{type(error).__name__}: {error}"
            self._say(f"without {name} from here on: {self.left_out[name]}")

    def start(self, name: str) -> Running:
        return self._targets.start(name)

    def prepare(self, name: str, target: Running) -> None:  # noqa: B027 - most need nothing
        """Once per target, before the rounds."""

    @abstractmethod
    def rounds(self, names: Sequence[str], running: Mapping[str, Running]) -> list[Sample]: ...

    def _until_enough(self, take: Callable[[int], list[Sample]], first: int = 1) -> list[Sample]:
        """Take rounds from number `first` on until as many count as are asked for. Those up to 0 warm up, and one in
        which the machine stood still is taken once more.
        """
        samples: list[Sample] = []
        number, counted = first, 0
        while counted < self.options.rounds and number <= self.options.rounds + _ROUNDS_MORE:
            standstill, other_work = Standstill(), OtherWork()
            taken = take(number)
            other_cores = other_work.cores()
            if stood_s := standstill.seconds():
                self._say(f"the machine stood still for {stood_s:.1f} s: this round does not count")
            elif number > 0:
                samples += taken
                self.other_cores.append(other_cores)
                counted += 1
            number += 1
        return samples

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
        first = 1 if self.options.quick else 1 - self.warm_ups
        return self._until_enough(lambda number: self._round(names, running, number), first)

    def _round(self, names: Sequence[str], running: Mapping[str, Running], number: int) -> list[Sample]:
        samples = []
        for name in order_of(names, number):
            if name in self.left_out or number <= -self._warm_ups(name, self.options):
                continue
            with self._unless_it_fails(name):
                if number > 0:
                    self._settle()
                metrics = self._measure_with_cost(name, running[name], number)
                self._report(number, name, metrics)
                samples.append(Sample(number, name, metrics))
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
