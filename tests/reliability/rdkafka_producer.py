"""librdkafka's idempotent producer through every crash: each message is there once, at the offset it was told."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import count

from confluent_kafka import KafkaError, Message, Producer

from logd.clients.client import Client
from protocol.records import iter_batches, iter_records
from protocol.types import TopicPartition


class RdkafkaProducer:
    """Produces numbered messages on a thread of its own until `finish`."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._partitions = partitions
        self._stop = threading.Event()
        self._failures: list[str] = []
        self.delivered: dict[tuple[int, int], bytes] = {}
        """Partition and offset to value."""
        self._sent = 0
        self._thread = threading.Thread(target=self._run, name="librdkafka", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until everything is delivered."""
        self._stop.set()
        self._thread.join(90)
        assert not self._failures, self._failures[:5]
        assert len(self.delivered) == self._sent, (len(self.delivered), self._sent)

    async def audit(self, client: Client) -> None:
        found: Counter[bytes] = Counter()
        for index in range(self._partitions):
            partition = TopicPartition(self._topic, index)
            for offset, value in await _values(client, partition):
                found[value] += 1
                assert self.delivered.get((index, offset)) == value, f"{partition} offset {offset}"
        assert set(found.values()) <= {1}, "a message was written twice"
        assert sum(found.values()) == self._sent

    def _run(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 2,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                "log_level": 0,
            }
        )
        for number in count():
            value = b"message %d" % number
            producer.produce(
                self._topic, value, partition=number % self._partitions, on_delivery=self._on_delivery
            )
            self._sent += 1
            producer.poll(0.002)
            if self._stop.is_set():
                break
        left = producer.flush(60)
        if left:
            self._failures.append(f"{left} messages were not delivered")

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        value = message.value()
        if error is not None:
            self._failures.append(f"{value!r}: {error}")
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None and offset is not None and isinstance(value, bytes)
        if self.delivered.setdefault((partition, offset), value) != value:
            self._failures.append(f"offset {offset} was acknowledged twice")


async def _values(client: Client, partition: TopicPartition) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    offset = 0
    end = await client.list_offset(*partition)
    while offset < end:
        answer = await client.fetch(*partition, offset, max_bytes=8 << 20)
        assert isinstance(answer.records, memoryview) and answer.records
        for batch in iter_batches(answer.records):
            for record in iter_records(batch):
                assert record.offset == offset, f"{partition}: {record.offset} where {offset} was due"
                found.append((offset, bytes(record.value or b"")))
                offset += 1
    return found
