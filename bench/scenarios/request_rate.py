"""S7: how many requests a second, and how many for a second of the broker's CPU: batches of one record, 64 connections.

    python -m bench run S7

The load is logd's own generator (logd/load): built beforehand, one request in flight on each connection, one record of
100 B in each, acks=all, 16 partitions. It takes a core for itself; the null broker shows what it can do at most. Kafka
may use all cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.processes import cpu_seconds
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets import Running, address_of
from bench.wire import Connection, create_topic, delete_topic
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.pace import Saturating
from logd.load.produce import ProduceConversation
from logd.load.run import Run

_CONNECTIONS = 64
_PARTITIONS = 16
_RECORD_BYTES = 100
_BROKERS = ("kafka", "logd")


class RequestRate(OneByOne):
    name = "S7"
    title = "requests of one record on 64 connections"
    targets = ("kafka", "logd", "null")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "requests_per_s": Metric("rate", "requests/s", 0, ("kafka", "null")),
        "requests_per_cpu_s": Metric("for a second of broker CPU", "requests", 0, ("kafka", "null")),
        "p99_us": Metric("p99", "µs", 0),
    }

    def settings(self) -> Mapping[str, object]:
        return {
            "connections": _CONNECTIONS,
            "partitions": _PARTITIONS,
            "record_bytes": _RECORD_BYTES,
            "seconds": self._seconds(),
        }

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"s7-{round_number}"
        connection = Connection(target.bootstrap)
        if name in _BROKERS:
            create_topic(connection, topic, partitions=_PARTITIONS)
        batch, tally = batch_of(1, _RECORD_BYTES), Tally()
        routes = [
            (
                address_of(target),
                ProduceConversation(topic, [number % _PARTITIONS if name in _BROKERS else 0], batch, tally),
            )
            for number in range(_CONNECTIONS)
        ]
        run = Run(routes, Saturating(), tally, cpu=lambda: cpu_seconds(target.pid))
        try:
            figures = run.go(self._seconds(), warm_up_s=self._seconds() / 5)
        finally:
            run.close()
        if name in _BROKERS:
            delete_topic(connection, topic)
        connection.close()
        assert figures.cpu_s is not None
        return {
            "requests_per_s": figures.requests / figures.seconds,
            "requests_per_cpu_s": figures.requests / max(figures.cpu_s, 0.01),
            "p99_us": figures.latency.percentile(99) / 1000,
        }

    def _seconds(self) -> float:
        return 2.0 if self.options.quick else 10.0
