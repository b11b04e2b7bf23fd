"""A reader of committed records that follows a topic through every crash, and puts down what it was given."""

from __future__ import annotations

import threading
from types import TracebackType

from confluent_kafka import Consumer, TopicPartition


class CommittedReader:
    """Reads all partitions of a topic from the beginning, on a thread of its own, until the block ends."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self.found: list[list[bytes]] = [[] for _ in range(partitions)]
        """The values of each partition, in the order in which they came."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> CommittedReader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def count(self) -> int:
        return sum(map(len, self.found))

    def _run(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "assigned-only",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(self._topic, index, 0) for index in range(len(self.found))])
        while not self._stop.is_set():
            for message in consumer.consume(500, 0.1):
                if message.error() is not None:
                    continue
                partition, value = message.partition(), message.value()
                assert partition is not None and isinstance(value, bytes)
                self.found[partition].append(value)
        consumer.close()
