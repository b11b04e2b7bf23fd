"""What one record, or one tick, leads to: gathered while its handler runs, passed on only if the handler succeeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from services.runtime.records import Headers, check_size
from services.runtime.store import StateStore


class Emitted(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None
    headers: Headers
    partition: int | None


class Turn:
    """The context of topology.py."""

    def __init__(self, partition: int, store: StateStore | None) -> None:
        self.partition = partition
        self.now_ms = int(time.time() * 1000)
        self.emitted: list[Emitted] = []
        self.actions: list[Callable[[], None]] = []
        self._store = store
        if store is not None:
            store.begin_turn()

    @property
    def store(self) -> StateStore:
        assert self._store is not None, "this application keeps no state"
        return self._store

    @property
    def has_result(self) -> bool:
        return bool(self.emitted) or (self._store is not None and self._store.changed_in_turn)

    def emit(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        timestamp_ms: int | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> None:
        check_size(topic, key, value, headers)
        self.emitted.append(Emitted(topic, key, value, timestamp_ms, headers, partition))

    def after_commit(self, action: Callable[[], None]) -> None:
        self.actions.append(action)

    def undo(self) -> None:
        """The handler refused: nothing of it stays."""
        self.emitted, self.actions = [], []
        if self._store is not None:
            self._store.undo_turn()
