"""S5: one record at a time, each waited for; what the broker adds to an echo over the same loopback.

    python -m bench run S5

A loopback round trip is bimodal on a virtual machine (across cores or on one, by the scheduler's choice alone). So a
round is many short blocks, in turn on each target and on an echo: all of them meet the same mixture, and what lies
above the echo of the same round is compared. Nothing is pinned: a peer of many threads on one core would be
handicapped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.clients.wire import Connection, check_produced, create_topic, produce_frame
from bench.cost import cost_since
from bench.order import order_of
from bench.scenarios.base import Metric, Metrics, Options, Sample, Scenario
from bench.spread import percentile
from bench.targets.registry import BROKERS, Running
from bench.usage import usage
from logd.load.batches import batch_of

RECORD_BYTES = 1024
BLOCK = 100


class SynchronousProduce(Scenario):
    name = "S5"
    title = "one synchronous 1 KB record, acks=all"
    targets = ("kafka", "tansu", "logd", "logd-full", "echo", "null")
    writes = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "p50_us": Metric("p50", "µs", 0),
        "p99_us": Metric("p99", "µs", 0),
        "p50_excess_us": Metric("p50 above the echo", "µs", 0),
        "p99_excess_us": Metric("p99 above the echo", "µs", 0),
    }

    @classmethod
    def steps(cls, options: Options) -> int:
        return len(cls.names(options)) * options.rounds  # no round warms up

    def settings(self) -> Mapping[str, object]:
        return {"requests_per_round": self._requests(), "block": BLOCK, "warm_up_requests": self._warm_up()}

    def rounds(self, names: Sequence[str], running: Mapping[str, Running]) -> list[Sample]:
        probes: dict[str, _Probe] = {}
        for name in names:
            with self._unless_it_fails(name):
                probes[name] = _Probe(name, running[name])
        self._take(probes, self._warm_up())
        samples = self._until_enough(lambda number: self._round(probes, running, number))
        for probe in probes.values():
            probe.close()
        return samples

    def _round(
        self, probes: Mapping[str, _Probe], running: Mapping[str, Running], number: int
    ) -> list[Sample]:
        samples = []
        before = {name: usage(running[name].pid) for name in self._taking_part(probes)}
        taken = self._take(probes, self._requests())
        for name in self._taking_part(probes):
            metrics = _metrics(taken[name], taken.get("echo") if name != "echo" else None)
            metrics |= cost_since(running[name].pid, before[name])
            self._report(number, name, metrics)
            samples.append(Sample(number, name, metrics))
        return samples

    def _take(self, probes: Mapping[str, _Probe], requests: int) -> dict[str, list[int]]:
        """Latencies in nanoseconds."""
        taken: dict[str, list[int]] = {name: [] for name in probes}
        for block in range(requests // BLOCK):
            for name in order_of(self._taking_part(probes), block):
                with self._unless_it_fails(name):
                    taken[name] += probes[name].block()
        return taken

    def _taking_part(self, probes: Mapping[str, _Probe]) -> list[str]:
        return [name for name in probes if name not in self.left_out]

    def _requests(self) -> int:
        return 2_000 if self.options.quick else 10_000

    def _warm_up(self) -> int:
        return 2_000 if self.options.quick else 20_000


class _Probe:
    """A connection that is kept, and the one request that it sends."""

    def __init__(self, name: str, target: Running) -> None:
        self._connection = Connection(target.bootstrap)
        if name in BROKERS:
            create_topic(self._connection, "s5")
        self._frame = produce_frame("s5", batch_of(1, RECORD_BYTES).encoded)
        if name != "echo":
            check_produced(self._connection, self._connection.exchange(self._frame), "s5")

    def block(self) -> list[int]:
        exchange, frame, clock = self._connection.exchange, self._frame, time.perf_counter_ns
        exchange(frame)  # the caches held another target's code
        taken = []
        for _ in range(BLOCK):
            start = clock()
            exchange(frame)
            taken.append(clock() - start)
        return taken

    def close(self) -> None:
        self._connection.close()


def _metrics(taken: Sequence[int], echo: Sequence[int] | None) -> Metrics:
    metrics = {}
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        metrics[f"{name}_us"] = percentile(taken, fraction) / 1000
        if echo is not None:
            metrics[f"{name}_excess_us"] = (percentile(taken, fraction) - percentile(echo, fraction)) / 1000
    return metrics
