"""What an application has done since its last commit, and when the next one is due."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.runtime import metrics
from services.runtime.records import Record
from services.runtime.turn import Turn


class Progress:
    def __init__(self, commit_interval_s: float, idle_commit_interval_s: float) -> None:
        """The idle interval is for records that led to nothing but a higher position."""
        self._commit_interval_s = commit_interval_s
        self._idle_commit_interval_s = idle_commit_interval_s
        self.forget()

    def forget(self) -> None:
        self.positions: dict[tuple[str, int], int] = {}  # of the next record, by topic and partition
        self._first_result_at: float | None = None
        self._first_record_at: float | None = None
        self._record_times: list[tuple[str, int]] = []
        self._actions: list[Callable[[], None]] = []

    def add(self, turn: Turn, record: Record | None) -> None:
        now = time.monotonic()
        if record is not None:
            self.positions[record.topic, record.partition] = record.offset + 1
            self._record_times.append((record.topic, record.timestamp_ms))
            self._first_record_at = self._first_record_at or now
        if turn.has_result:
            self._first_result_at = self._first_result_at or now
        self._actions += turn.actions

    @property
    def is_empty(self) -> bool:
        return not self.positions and self._first_result_at is None

    def seconds_to_commit(self) -> float | None:
        """None: there is nothing to commit."""
        due = []
        if self._first_result_at is not None:
            due.append(self._first_result_at + self._commit_interval_s)
        if self._first_record_at is not None:
            due.append(self._first_record_at + self._idle_commit_interval_s)
        return max(min(due) - time.monotonic(), 0.0) if due else None

    def count(self) -> None:
        """It is committed: tell the metrics, and whoever asked to be told."""
        now_ms = time.time() * 1000
        for topic, timestamp_ms in self._record_times:
            metrics.RECORDS.labels(topic).inc()
            metrics.STAGE_SECONDS.labels(topic).observe(max(now_ms - timestamp_ms, 0) / 1000)
        for action in self._actions:
            action()
