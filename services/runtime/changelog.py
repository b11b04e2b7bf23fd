"""Opening the state of partitions: the file as it is, then what the changelog has beyond it."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka import Message

from services.runtime.catch_up import log_ends, read_to
from services.runtime.clients import admin, reader
from services.runtime.describe import topic_id
from services.runtime.logs import log
from services.runtime.settings import RuntimeSettings
from services.runtime.store import StateStore


class Changelog:
    """An application's changelog topic and the files of this instance."""

    def __init__(self, settings: RuntimeSettings, topic: str, directory: Path) -> None:
        """Raises KafkaException."""
        self.topic = topic
        self._settings = settings
        self._directory = directory
        self._identity = topic_id(admin(settings), topic)

    def open(self, partitions: list[int]) -> dict[int, StateStore]:
        """Blocks until every store holds what was in the changelog when this was called. Raises KafkaException."""
        stores = {
            number: StateStore(self._directory / f"{number}.sqlite", self._identity) for number in partitions
        }
        ends = log_ends(self._settings, self.topic, partitions)
        for number, store in stores.items():
            if store.position > ends[number]:
                store.reset()
        starts = {number: store.position for number, store in stores.items()}
        behind = {number: end for number, end in ends.items() if starts[number] < end}
        if behind:
            self._read(stores, behind, starts)
        log(__name__, "state restored", topic=self.topic, ends=ends, starts=starts)
        return stores

    def _read(self, stores: dict[int, StateStore], ends: dict[int, int], starts: dict[int, int]) -> None:
        consumer = reader(self._settings, f"{self.topic}-restore")

        def restore(messages: list[Message]) -> None:
            batches: dict[int, list[Message]] = {}
            for message in messages:
                batches.setdefault(message.partition() or 0, []).append(message)
            for number, batch in batches.items():
                entries = [(message.key() or b"", message.value()) for message in batch]
                stores[number].restore(entries, (batch[-1].offset() or 0) + 1)

        def reached(number: int, end: int) -> None:
            stores[number].restore((), end)

        try:
            read_to(consumer, ends, starts, self.topic, restore, reached)
        finally:
            consumer.close()
