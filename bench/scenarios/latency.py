"""S5: one record at a time, each waited for; what the broker adds to an echo over the same loopback.

    python -m bench run S5

A loopback round trip is bimodal on a virtual machine (across cores or on one, by the scheduler's choice alone), so
the echo runs in the same round and what lies above it is compared. Nothing is pinned: a peer of many threads on
one core would be handicapped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from bench.processes import percentile
from bench.scenarios.base import Metric, Metrics, Sample, Scenario
from bench.targets import Running
from bench.wire import Connection, batch_of, check_produced, create_topic, produce_frame

RECORD_BYTES = 1024


class SynchronousProduce(Scenario):
    name = "S5"
    title = "one synchronous 1 KB record, acks=all"
    targets = ("kafka", "logd", "echo", "null")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "p50_us": Metric("p50", "µs", 0),
        "p99_us": Metric("p99", "µs", 0),
        "p50_excess_us": Metric("p50 above the echo", "µs", 0),
        "p99_excess_us": Metric("p99 above the echo", "µs", 0),
    }

    def settings(self) -> Mapping[str, object]:
        return {"requests_per_round": self._requests(), "warm_up_requests": self._warm_up()}

    def run(self) -> list[Sample]:
        samples = super().run()
        echoes = {sample.round: sample.metrics for sample in samples if sample.target == "echo"}
        for sample in samples:
            echo = echoes.get(sample.round)
            if echo is not None and sample.target != "echo":
                for name in ("p50", "p99"):
                    excess = sample.metrics[f"{name}_us"] - echo[f"{name}_us"]
                    sample.metrics[f"{name}_excess_us"] = excess
        return samples

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        connection = Connection(target.bootstrap)
        topic = f"s5-{round_number}"
        if name in ("kafka", "logd"):
            create_topic(connection, topic)
        frame = produce_frame(topic, batch_of(1, RECORD_BYTES))
        exchange = connection.exchange
        if name != "echo":
            check_produced(connection, exchange(frame), topic)
        clock = time.perf_counter_ns
        for _ in range(self._warm_up() if round_number == 0 else 100):
            exchange(frame)
        taken = []
        for _ in range(self._requests()):
            start = clock()
            exchange(frame)
            taken.append(clock() - start)
        connection.close()
        return {"p50_us": percentile(taken, 0.5) / 1000, "p99_us": percentile(taken, 0.99) / 1000}

    def _requests(self) -> int:
        return 1_000 if self.options.quick else 5_000

    def _warm_up(self) -> int:
        return 2_000 if self.options.quick else 20_000
