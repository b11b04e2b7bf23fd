"""Kafka's own consumer and latency tools, as an operator would measure with them.

    python -m bench run consumer-perf e2e-latency

consumer-perf: kafka-consumer-perf-test in a new group reads a topic of 1 KB records in batches of 16 KB from the page
cache; rates leave out the time until the group has its partition, CPU does not. e2e-latency: kafka-e2e-latency sends
one record of 1 KB with acks=all and waits for it with a consumer, then the next; the tool tells percentiles in whole
milliseconds, so its average is the figure to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.clients import perf_client
from bench.clients.wire import Connection, check_produced, create_topic, delete_topic, produce_frame
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import Running
from logd.load.batches import batch_of
from logd.load.process_cost import cpu_seconds

_RECORD_BYTES = 1024
_BATCH_RECORDS = 15


class _KafkaTool(OneByOne):
    targets = ("kafka", "tansu", "logd")
    writes = False

    @classmethod
    def missing(cls) -> str | None:
        return perf_client.missing()


class ConsumerPerf(_KafkaTool):
    name = "consumer-perf"
    title = "Kafka's consumer performance tool, 1 KB records"
    warms_up_by_producing = False  # filling the topic does
    warm_ups = 2
    metrics: ClassVar[Mapping[str, Metric]] = {
        "records_per_s": Metric("rate", "records/s", 0),
        "cpu_s_per_gb": Metric("broker CPU", "s/GB", 3),
    }

    def settings(self) -> Mapping[str, object]:
        return {"records": self._records(), "record_bytes": _RECORD_BYTES, "batch_records": _BATCH_RECORDS}

    def prepare(self, name: str, target: Running) -> None:
        connection = Connection(target.bootstrap)
        create_topic(connection, self.name)
        frame = produce_frame(self.name, batch_of(_BATCH_RECORDS, _RECORD_BYTES).encoded)
        for _ in range(self._records() // _BATCH_RECORDS):
            size = connection.exchange(frame)
        check_produced(connection, size, self.name)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        before = cpu_seconds(target.pid)
        consumed = perf_client.consume(
            target.bootstrap, self.name, f"{self.name}-{round_number}", self._records()
        )
        used = cpu_seconds(target.pid) - before
        return {
            "records_per_s": consumed.records / consumed.fetch_s,
            "cpu_s_per_gb": used / (consumed.records * _RECORD_BYTES / 1e9),
        }

    def _records(self) -> int:
        return 45_000 if self.options.quick else 1_500_000  # whole batches


class EndToEndLatency(_KafkaTool):
    name = "e2e-latency"
    title = "Kafka's end-to-end latency tool, one 1 KB record at a time"
    warm_ups = 2
    metrics: ClassVar[Mapping[str, Metric]] = {
        "average_ms": Metric("average", "ms", 3),
        "p50_ms": Metric("p50", "ms", 0, ()),
        "p99_ms": Metric("p99", "ms", 0, ()),
        "p999_ms": Metric("p99.9", "ms", 0, ()),
    }

    def settings(self) -> Mapping[str, object]:
        return {"records": self._records(), "record_bytes": _RECORD_BYTES}

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"{self.name}-{round_number}"
        connection = Connection(target.bootstrap)
        create_topic(connection, topic)
        found = perf_client.end_to_end(target.bootstrap, topic, self._records(), _RECORD_BYTES)
        delete_topic(connection, topic)
        connection.close()
        return found._asdict()

    def _records(self) -> int:
        return 200 if self.options.quick else 5_000
