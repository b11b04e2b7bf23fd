"""One producer at a fixed rate, and one or five consumers that each get every record: CPU, and latency end to end.

    python -m bench run fan-out-1 fan-out-5

1,000 batches of 15 records of 1 KB a second to one partition, acks=all (logd/load). Every consumer has a connection on
which a fetch is always open. Latency is from when a batch was due to leave until a consumer has it, all consumers
together, so five consumers that are served one after the other show in it; and until the producer has its answer. GB
are those produced: with five consumers, five times as much goes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.clients.wire import Connection, create_topic, delete_topic
from bench.latencies import LATENCY, LATENESS, latencies, lateness
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import Running, address_of
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.end_to_end import EndToEnd, Writer, reader
from logd.load.histogram import Histogram
from logd.load.pace import FixedRate
from logd.load.process_cost import cpu_seconds
from logd.load.run import Figures, Run

_RECORD_BYTES = 1024
_BATCH_RECORDS = 15
_BATCHES_PER_S = 1000
_IN_FLIGHT = 1000


class OneToOne(OneByOne):
    name = "fan-out-1"
    title = "15 MB/s from a producer to 1 consumer"
    targets = ("kafka", "tansu", "logd", "logd-full")
    warm_ups = 3
    metrics: ClassVar[Mapping[str, Metric]] = {
        **{name: each._replace(title=f"end to end {each.title}") for name, each in LATENCY.items()},
        "acknowledged_p99_us": Metric("acknowledged p99", "µs", 0),
        "cpu_s_per_gb": Metric("broker CPU", "s/GB produced", 3),
        **LATENESS,
    }
    consumers: ClassVar[int] = 1

    def settings(self) -> Mapping[str, object]:
        return {
            "consumers": self.consumers,
            "record_bytes": _RECORD_BYTES,
            "batch_records": _BATCH_RECORDS,
            "batches_per_s": _BATCHES_PER_S,
            "seconds": self._seconds(),
            "client": "logd/load",
        }

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"{self.name}-{round_number}"
        connection = Connection(target.bootstrap)
        create_topic(connection, topic, {"file.delete.delay.ms": "1000"})
        received = Histogram()
        figures = self._run(target, topic, received)
        delete_topic(connection, topic)
        connection.close()
        assert figures.cpu_s is not None
        return {
            **latencies(received),
            "acknowledged_p99_us": figures.latency.percentile(99) / 1000,
            "cpu_s_per_gb": figures.cpu_s / (figures.payload_bytes / 1e9),
            **lateness(figures),
        }

    def _run(self, target: Running, topic: str, received: Histogram) -> Figures:
        tally = Tally()
        writer = Writer(topic, [0], batch_of(_BATCH_RECORDS, _RECORD_BYTES), tally, room=_IN_FLIGHT)
        writer.readers = readers = [EndToEnd(received) for _ in range(self.consumers)]
        run = Run(
            [(address_of(target), writer)],
            FixedRate(_BATCHES_PER_S),
            tally,
            listeners=[(address_of(target), reader(topic, 0, 0, each)) for each in readers],
            settled=lambda: not any(each.waiting for each in readers),
            end_to_end=received,
            cpu=lambda: cpu_seconds(target.pid),
        )
        try:
            return run.go(self._seconds(), warm_up_s=self._seconds() / 5)
        finally:
            run.close()

    def _seconds(self) -> float:
        return 0.5 if self.options.quick else 6.0


class OneToFive(OneToOne):
    name = "fan-out-5"
    title = "15 MB/s from a producer to each of 5 consumers"
    consumers = 5
