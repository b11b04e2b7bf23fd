"""Produce with batches built ahead (logd/load): the client is cheap and the same for all. S7 is made of it, too.

    python -m bench run producers-1 producers-8 producers-64     one core of clients, more and more connections
    python -m bench run partitions-1 partitions-1000             8 connections on fewer and on more partitions
    python -m bench run lz4                                      batches compressed by the client
    python -m bench run paced                                    latency at a fixed rate, free of coordinated omission

Batches of 16 KB, 15 records of 1 KB in each, acks=all, five requests in flight on each connection, 16 partitions that
the connections share. A run that saturates waits for room, so its latency is that of a full queue. At a fixed rate
latency counts from when a request was due. Every partition gets two batches before the clock starts. GB are those of
records before compression.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from bench.clients.wire import Connection, check_produced, create_topic, delete_topic, produce_frame
from bench.latencies import LATENCY, LATENESS, latencies, lateness
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import BROKERS, Running, address_of
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.pace import FixedRate, Pace, Saturating
from logd.load.process_cost import cpu_seconds
from logd.load.produce import ProduceConversation
from logd.load.run import Figures, Route, Run
from protocol.compression import Codec


class WireProduce(OneByOne):
    targets = ("kafka", "tansu", "logd", "logd-full", "null", "floor")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "records_per_s": Metric("rate", "records/s", 0, ("kafka", "null")),
        "cpu_s_per_gb": Metric("broker CPU", "s/GB", 3, ("kafka", "floor")),
        **LATENCY,
    }
    connections: ClassVar[int] = 8
    partitions: ClassVar[int] = 16
    in_flight: ClassVar[int] = 5
    record_bytes: ClassVar[int] = 1024
    batch_records: ClassVar[int] = 15
    codec: ClassVar[Codec] = Codec.NONE
    requests_per_s: ClassVar[int | None] = None
    """A fixed rate; None: as many as there is room for."""
    seconds: ClassVar[float] = 2.0

    def settings(self) -> Mapping[str, object]:
        return {
            "connections": self.connections,
            "partitions": self._partitions(),
            "in_flight": self.in_flight,
            "record_bytes": self.record_bytes,
            "batch_records": self.batch_records,
            "compression": self.codec.name.lower(),
            "requests_per_s": self.requests_per_s or "as fast as it goes",
            "seconds": self._seconds(),
            "client": "logd/load",
        }

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"{self.name.lower()}-{round_number}"
        connection = Connection(target.bootstrap)
        if name in BROKERS:
            create_topic(connection, topic, {"file.delete.delay.ms": "1000"}, self._partitions())
        partitions = self._partitions() if name in BROKERS else 1
        first_ms = self._produce_first(connection, topic, partitions)
        figures = self._run(target, topic, partitions)
        if name in BROKERS:
            delete_topic(connection, topic)
        connection.close()
        return {"first_ms": first_ms, **_metrics(figures)}

    def _produce_first(self, connection: Connection, topic: str, partitions: int) -> float:
        """Two batches to every partition, mean milliseconds of each. A broker may open its files with the first, and
        only the second makes an index entry: Kafka's indexes are mapped, and the first touch takes milliseconds here.
        """
        batch = batch_of(self.batch_records, self.record_bytes, self.codec).encoded
        frames = [produce_frame(topic, batch, partition=each) for each in range(partitions)]
        began = time.perf_counter()
        for frame in frames * 2:
            check_produced(connection, connection.exchange(frame), topic)
        return (time.perf_counter() - began) / len(frames * 2) * 1000

    def _run(self, target: Running, topic: str, partitions: int) -> Figures:
        batch, tally = batch_of(self.batch_records, self.record_bytes, self.codec), Tally()
        routes: list[Route] = [
            (
                address_of(target),
                ProduceConversation(
                    topic, share_of(number, self.connections, partitions), batch, tally, room=self.in_flight
                ),
            )
            for number in range(self.connections)
        ]
        run = Run(routes, self._pace(), tally, cpu=lambda: cpu_seconds(target.pid))
        try:
            return run.go(self._seconds(), warm_up_s=self._seconds() / 5)
        finally:
            run.close()

    def _pace(self) -> Pace:
        return Saturating() if self.requests_per_s is None else FixedRate(self.requests_per_s)

    def _partitions(self) -> int:
        return min(self.partitions, 100) if self.options.quick else self.partitions

    def _seconds(self) -> float:
        return 0.5 if self.options.quick else self.seconds


class OneProducer(WireProduce):
    name = "producers-1"
    title = "1 producer, 16 partitions"
    is_quick = False  # as the next
    connections = 1


class EightProducers(WireProduce):
    name = "producers-8"
    title = "8 producers, 16 partitions"


class ManyProducers(WireProduce):
    name = "producers-64"
    title = "64 producers, 16 partitions"
    connections = 64


class OnePartition(WireProduce):
    name = "partitions-1"
    title = "8 producers, 1 partition"
    is_quick = False
    partitions = 1


class ManyPartitions(WireProduce):
    name = "partitions-1000"
    title = "8 producers, 1,000 partitions"
    metrics: ClassVar[Mapping[str, Metric]] = {
        **WireProduce.metrics,
        "first_ms": Metric("each of the first two batches on a partition, before", "ms", 2),
    }
    partitions = 1000


class Compressed(WireProduce):
    name = "lz4"
    title = "8 producers, 16 partitions, compressed with lz4"
    codec = Codec.LZ4


class Paced(WireProduce):
    name = "paced"
    title = "latency of 16 KB batches at 1,000 a second"
    metrics: ClassVar[Mapping[str, Metric]] = {
        **LATENCY,
        **LATENESS,
        "cpu_s_per_gb": Metric("broker CPU", "s/GB", 3, ("kafka", "floor")),
    }
    requests_per_s = 1000
    seconds = 6.0


def share_of(number: int, connections: int, partitions: int) -> list[int]:
    """The partitions of one of the connections: every so many, or one that it shares with others."""
    return [*range(number, partitions, connections)] or [number % partitions]


def _metrics(figures: Figures) -> Metrics:
    assert figures.cpu_s is not None
    return {
        "requests_per_s": figures.requests / figures.seconds,
        "requests_per_cpu_s": figures.requests / max(figures.cpu_s, 0.01),
        "records_per_s": figures.records / figures.seconds,
        "cpu_s_per_gb": figures.cpu_s / (figures.payload_bytes / 1e9),
        **lateness(figures),
        **latencies(figures.latency),
    }
