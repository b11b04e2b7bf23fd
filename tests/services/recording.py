"""Everything that the topics hold, as a reader of committed records sees it: by partition, in the log's order."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

QUIET_S = 1.5


@dataclass(frozen=True)
class Written:
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None

    @cached_property
    def json(self) -> Any:
        assert self.value is not None
        return json.loads(self.value, parse_float=Decimal)


class Recording:
    def __init__(self, bootstrap: str, topics: list[str]) -> None:
        self._records: dict[str, dict[int, list[Written]]] = defaultdict(lambda: defaultdict(list))
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "judge",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 3,
                "error_cb": lambda _error: None,
            }
        )
        known = self._consumer.list_topics(timeout=30).topics
        self._consumer.assign(
            [
                TopicPartition(topic, number, OFFSET_BEGINNING)
                for topic in topics
                for number in known[topic].partitions
            ]
        )

    def partitions(self, topic: str) -> list[list[Written]]:
        return list(self._records[topic].values())

    def all(self, topic: str) -> Iterator[Written]:
        """One partition after the other."""
        for records in self.partitions(topic):
            yield from records

    def read_until(self, is_settled: Callable[[], str], timeout_s: float) -> None:
        """Until nothing has come for a while, and `is_settled` has nothing to say."""
        deadline = time.monotonic() + timeout_s
        last_at = time.monotonic()
        while True:
            if self._take():
                last_at = time.monotonic()
            elif time.monotonic() - last_at > QUIET_S:
                missing = is_settled()
                if not missing:
                    return
                last_at = time.monotonic() - QUIET_S / 2
                assert time.monotonic() < deadline, f"not settled in {timeout_s} s: {missing}"

    def close(self) -> None:
        self._consumer.close()

    def _take(self) -> bool:
        messages = self._consumer.consume(2000, 0.2)
        for message in messages:
            error = message.error()
            if error is not None:
                assert error.code() != KafkaError._AUTO_OFFSET_RESET, error
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None and partition is not None and offset is not None
            written = Written(partition, offset, message.timestamp()[1], message.key(), message.value())
            self._records[topic][partition].append(written)
        return any(message.error() is None for message in messages)
