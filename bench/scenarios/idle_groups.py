"""S18: two thousand groups of five members that send heartbeats, and what a producer beside them notices.

    python -m bench run S18

The members are of the classic protocol and send a heartbeat every 3 s, 3,333 a second in all (clients/group_load.py).
A probe sends one synchronous record of 1 KB every 5 ms, first without the groups' heartbeats, then beside them.
Broker CPU is that of the second part, probe included; `cpu_alone` is the probe's alone. Kafka runs with
group.initial.rebalance.delay.ms=0, like logd, so that making the groups does not take hours.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from typing import ClassVar

from bench.clients.wire import Connection, check_produced, create_topic, produce_frame
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.spread import percentile
from bench.targets.registry import ROOT, Running
from logd.load.batches import batch_of
from logd.load.process_cost import cpu_seconds

_TOPIC = "s18"
_PACE_S = 0.005
_MEMBERS = 5


class IdleGroups(OneByOne):
    name = "S18"
    title = "2,000 groups of 5 members that send heartbeats"
    targets = ("kafka", "logd")
    is_quick = False
    writes = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "cpu_percent": Metric("broker CPU with heartbeats", "% of a core", 1),
        "cpu_alone_percent": Metric("without", "% of a core", 1),
        "p99_us": Metric("produce p99 with heartbeats", "µs", 0),
        "p99_alone_us": Metric("without", "µs", 0),
        "p50_us": Metric("produce p50 with heartbeats", "µs", 0),
    }

    def settings(self) -> Mapping[str, object]:
        return {
            "groups": self._groups(),
            "members": _MEMBERS,
            "heartbeat_every_s": 3,
            "probes": self._probes(),
        }

    def prepare(self, name: str, target: Running) -> None:
        connection = Connection(target.bootstrap)
        create_topic(connection, _TOPIC)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        alone, cpu_alone = self._probe(target)
        load = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bench.clients.group_load",
                target.bootstrap,
                str(self._groups()),
                str(_MEMBERS),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            assert load.stdout is not None
            if load.stdout.readline().strip() != "ready":
                raise AssertionError("the groups were not made")
            load.stdout.readline()  # heartbeats flow
            beside, cpu = self._probe(target)
            assert load.poll() is None, "a heartbeat was refused"
        finally:
            load.kill()
            load.communicate()
        return {
            "cpu_percent": cpu,
            "cpu_alone_percent": cpu_alone,
            "p99_us": percentile(beside, 0.99) / 1000,
            "p99_alone_us": percentile(alone, 0.99) / 1000,
            "p50_us": percentile(beside, 0.5) / 1000,
        }

    def _probe(self, target: Running) -> tuple[list[int], float]:
        """Return how long each produce took, in nanoseconds, and the broker's CPU meanwhile in percent of a core."""
        connection = Connection(target.bootstrap)
        produce = produce_frame(_TOPIC, batch_of(1, 1024).encoded)
        check_produced(connection, connection.exchange(produce), _TOPIC)
        taken = []
        before, started = cpu_seconds(target.pid), time.perf_counter()
        for _ in range(self._probes()):
            time.sleep(_PACE_S)
            start = time.perf_counter_ns()
            connection.exchange(produce)
            taken.append(time.perf_counter_ns() - start)
        cpu = (cpu_seconds(target.pid) - before) / (time.perf_counter() - started) * 100
        connection.close()
        return taken, cpu

    def _groups(self) -> int:
        return 200 if self.options.quick else 2_000

    def _probes(self) -> int:
        return 300 if self.options.quick else 1_500
