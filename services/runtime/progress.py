"""What an application has done since its last commit, and when the next one is due."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from services.runtime.records import Record
from services.runtime.turn import Turn


class Progress:
    def __init__(self, commit_interval_s: float, idle_commit_interval_s: float) -> None:
        """From commit to commit; the idle interval is for records that led to nothing but a higher position."""
        self._commit_interval_s = commit_interval_s
        self._idle_commit_interval_s = idle_commit_interval_s
        self.forget()
        self._forgot_at = -math.inf

    def forget(self) -> None:
        """It is committed or given up: the next commit is an interval away."""
        self._forgot_at = time.monotonic()
        self.positions: dict[tuple[str, int], int] = {}  # of the next record, by topic and partition
        self._has_result = False
        self._first_record_at: float | None = None
        self.record_times: list[tuple[str, int]] = []  # topic, and time in ms
        self.actions: list[Callable[[], None]] = []  # for after the commit

    def add(self, turn: Turn, record: Record | None) -> None:
        now = time.monotonic()
        if record is not None:
            self.positions[record.topic, record.partition] = record.offset + 1
            self.record_times.append((record.topic, record.timestamp_ms))
            self._first_record_at = self._first_record_at or now
        self._has_result |= turn.has_result
        self.actions += turn.actions

    @property
    def is_empty(self) -> bool:
        return not self.positions and not self._has_result

    def seconds_to_commit(self) -> float | None:
        """None: there is nothing to commit.

        The interval is the least from one commit's end to the next: a result that comes after a pause does not wait,
        and what comes too soon is gathered for the next. So a transaction's cost is paid a bounded number of times a
        second, and no result waits longer than the interval.
        """
        due = []
        if self._has_result:
            due.append(self._forgot_at + self._commit_interval_s)
        if self._first_record_at is not None:
            due.append(self._first_record_at + self._idle_commit_interval_s)
        return max(min(due) - time.monotonic(), 0.0) if due else None
