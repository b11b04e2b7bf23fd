"""A whole topic held in memory: the last value of each key, of all partitions, in every instance.

For look-ups by any key that fit into memory. Loaded to the topic's end before the first look-up; from then on either
followed, which never waits and may be a moment behind, or caught up with before each look-up that must not be. It is
not a join by time: what is in the table counts, whenever it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from services.runtime.catch_up import log_ends, read_to
from services.runtime.clients import admin, reader
from services.runtime.describe import partition_count
from services.runtime.logs import log
from services.runtime.settings import RuntimeSettings

T = TypeVar("T")


class GlobalTable(Generic[T]):
    """Used by one thread."""

    def __init__(
        self, settings: RuntimeSettings, topic: str, decode: Callable[[bytes], T | None], **more: Any
    ) -> None:
        """`decode` answers None for what it cannot read; such a record is passed over. `more`: of the reader."""
        self._settings = settings
        self._topic = topic
        self._decode = decode
        self._values: dict[bytes, T] = {}
        self._consumer = reader(settings, f"{topic}-table", **more)
        self._positions: dict[int, int] = {}  # the offset that comes next, by partition

    @property
    def values(self) -> Mapping[bytes, T]:
        return self._values

    def load(self) -> None:
        """Blocks until the table holds what was in the topic. Raises KafkaException."""
        count = partition_count(admin(self._settings), self._topic)
        self._positions = dict.fromkeys(range(count), 0)
        self._read(log_ends(self._settings, self._topic, list(self._positions)))
        log(__name__, "table loaded", topic=self._topic, size=len(self._values))

    def catch_up(self) -> None:
        """Blocks until the table holds what is in the topic now. Reads nothing from then on. Raises KafkaException."""
        ends = log_ends(self._settings, self._topic, list(self._positions))
        if any(self._positions[number] < end for number, end in ends.items()):
            self._read(ends)
        self._consumer.unassign()

    def follow(self) -> bool:
        """Take in what has come since; never waits. Did anything come?"""
        messages = self._consumer.consume(1000, 0)
        self._apply([message for message in messages if message.error() is None])
        return bool(messages)

    def close(self) -> None:
        self._consumer.close()

    def _read(self, ends: Mapping[int, int]) -> None:
        read_to(self._consumer, ends, dict(self._positions), self._topic, self._apply, self._moved)

    def _moved(self, number: int, offset: int) -> None:
        self._positions[number] = max(offset, self._positions[number])

    def _apply(self, messages: list[Message]) -> None:
        for message in messages:
            key, value = message.key() or b"", message.value()
            self._moved(message.partition() or 0, (message.offset() or 0) + 1)
            if value is None:
                self._values.pop(key, None)
                continue
            decoded = self._decode(value)
            if decoded is not None:
                self._values[key] = decoded
