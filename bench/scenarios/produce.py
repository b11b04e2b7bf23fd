"""S1, S3, S4: produce with Kafka's perf client; what a gigabyte or a million records costs the broker in CPU.

    python -m bench run S1 S3 S4

The same runs give S2, the rate: against Kafka and against the null broker, which shows what the client can do.
Client and broker share the machine's cores, as in the goals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.clients import perf_client
from bench.clients.perf_client import Load
from bench.clients.wire import Connection, create_topic, delete_topic
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import BROKERS, Running
from logd.load.process_cost import cpu_seconds

_RATE = Metric("rate", "records/s", 0, ("kafka", "null"))


class Produce(OneByOne):
    targets = ("kafka", "tansu", "logd", "logd-full", "null", "floor")
    record_bytes: ClassVar[int]
    records: ClassVar[int]
    quick_records: ClassVar[int]
    client_settings: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def missing(cls) -> str | None:
        return perf_client.missing()

    def settings(self) -> Mapping[str, object]:
        return {**self._load()._asdict(), "client": "kafka-producer-perf-test, defaults beyond settings"}

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"{self.name.lower()}-{round_number}"
        connection = Connection(target.bootstrap)
        if name in BROKERS:
            create_topic(connection, topic, {"file.delete.delay.ms": "1000"})
        before = cpu_seconds(target.pid)
        outcome = perf_client.produce(target.bootstrap, topic, self._load())
        used = cpu_seconds(target.pid) - before
        if name in BROKERS:
            delete_topic(connection, topic)
        connection.close()
        return {**self._cost(used), "records_per_s": outcome.records_per_s, "p99_ms": outcome.p99_ms}

    def _load(self) -> Load:
        records = self.quick_records if self.options.quick else self.records
        return Load(records, self.record_bytes, self.client_settings)

    def _cost(self, cpu_s: float) -> Metrics:
        load = self._load()
        return {"cpu_s_per_gb": cpu_s / (load.records * load.record_bytes / 1e9)}


_PER_GB = {
    "cpu_s_per_gb": Metric("broker CPU", "s/GB", 2, ("kafka", "floor")),
    "records_per_s": _RATE,
}


class LargeBatches(Produce):
    name = "S1"
    title = "produce, 1 KB records, 128 KB batches, acks=all"
    metrics = _PER_GB
    record_bytes = 1024
    records = 600_000
    quick_records = 60_000
    client_settings: ClassVar[Mapping[str, str]] = {"batch.size": "131072", "acks": "all"}


class DefaultBatches(Produce):
    name = "S3"
    title = "produce, 1 KB records, client defaults (16 KB batches)"
    is_quick = False  # S1 and S4 show whether it works
    metrics = _PER_GB
    record_bytes = 1024
    records = 500_000
    quick_records = 60_000


class SmallRecords(Produce):
    name = "S4"
    title = "produce, 100 B records, client defaults"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "cpu_s_per_million": Metric("broker CPU", "s per 1 M records", 3, ("kafka", "floor")),
        "records_per_s": _RATE,
    }
    record_bytes = 100
    records = 2_500_000
    quick_records = 200_000

    def _cost(self, cpu_s: float) -> Metrics:
        return {"cpu_s_per_million": cpu_s / (self._load().records / 1e6)}
