"""A clock that moves from one thing that happens to the next."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from protocol.types import TimestampMs


class Clock:
    """What is due at the same time happens in the order in which it was asked for."""

    def __init__(self, now_ms: TimestampMs) -> None:
        self.now_ms = now_ms
        self.alarms_late_ms = 0
        """How late timers of coordinators may fire."""
        self._queue: list[tuple[TimestampMs, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()

    def after(self, delay_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        self.at(self.now_ms + delay_ms, action, *arguments)

    def at(self, time_ms: TimestampMs, action: Callable[..., None], *arguments: Any) -> None:
        heappush(self._queue, (max(time_ms, self.now_ms), next(self._order), action, arguments))

    def run_until(self, end_ms: TimestampMs) -> None:
        """Let happen all that is due until then (inclusive)."""
        queue = self._queue
        while queue and queue[0][0] <= end_ms:
            self.now_ms, _, action, arguments = heappop(queue)
            action(*arguments)
        self.now_ms = end_ms
