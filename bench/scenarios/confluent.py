"""confluent-kafka as its users use it: a loop around `produce`, a loop around `consume`, its defaults otherwise.

    python -m bench run confluent-kafka

Records of 1 KB without keys to 4 partitions, a callback for each, `flush` at the end; then a consumer in a new group
takes up to 500 at a time until it has them all. The Python loop is what takes longest, for every broker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from confluent_kafka import Consumer, KafkaError, Message, Producer

from bench.clients.wire import Connection, create_topic, delete_topic
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import Running
from logd.load.process_cost import cpu_seconds

_RECORD_BYTES = 1024
_PARTITIONS = 4
_AT_ONCE = 500
_TIMEOUT_S = 60


class ConfluentKafka(OneByOne):
    name = "confluent-kafka"
    title = "confluent-kafka in a loop, 1 KB records"
    targets = ("kafka", "tansu", "logd", "logd-full")
    warm_ups = 2
    metrics: ClassVar[Mapping[str, Metric]] = {
        "produced_per_s": Metric("produced", "records/s", 0),
        "produce_cpu_s_per_gb": Metric("broker CPU of that", "s/GB", 2),
        "consumed_per_s": Metric("consumed, joining the group included", "records/s", 0),
        "consume_cpu_s_per_gb": Metric("broker CPU of that", "s/GB", 2),
    }

    def settings(self) -> Mapping[str, object]:
        return {"records": self._records(), "record_bytes": _RECORD_BYTES, "partitions": _PARTITIONS}

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"{self.name}-{round_number}"
        connection = Connection(target.bootstrap)
        create_topic(connection, topic, {"file.delete.delay.ms": "1000"}, _PARTITIONS)
        gb = self._records() * _RECORD_BYTES / 1e9
        before, began = cpu_seconds(target.pid), time.perf_counter()
        _produce(target.bootstrap, topic, self._records())
        between, produced_s = cpu_seconds(target.pid), time.perf_counter() - began
        began = time.perf_counter()
        _consume(target.bootstrap, topic, self._records())
        after, consumed_s = cpu_seconds(target.pid), time.perf_counter() - began
        delete_topic(connection, topic)
        connection.close()
        return {
            "produced_per_s": self._records() / produced_s,
            "produce_cpu_s_per_gb": (between - before) / gb,
            "consumed_per_s": self._records() / consumed_s,
            "consume_cpu_s_per_gb": (after - between) / gb,
        }

    def _records(self) -> int:
        return 30_000 if self.options.quick else 300_000


def _produce(bootstrap: str, topic: str, records: int) -> None:
    acknowledged = 0

    def done(error: KafkaError | None, message: Message) -> None:
        nonlocal acknowledged
        if error is not None:
            raise RuntimeError(f"produce to {topic}: {error}")
        acknowledged += 1

    producer = Producer({"bootstrap.servers": bootstrap})
    value = b"x" * _RECORD_BYTES
    for _ in range(records):
        while True:
            try:
                producer.produce(topic, value, on_delivery=done)
                break
            except BufferError:  # its queue is full
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(_TIMEOUT_S)
    if acknowledged < records:
        raise RuntimeError(f"{records - acknowledged} records were not acknowledged")


def _consume(bootstrap: str, topic: str, records: int) -> None:
    settings = {"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    deadline = time.monotonic() + _TIMEOUT_S
    left = records
    while left > 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} records have not come within {_TIMEOUT_S} s")
        left -= sum(message.error() is None for message in consumer.consume(_AT_ONCE, timeout=1))
    consumer.close()
