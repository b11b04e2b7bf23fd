"""A client's process: it crashes, pauses, and is late."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from protocol.types import TimestampMs
from tests.simulation.common.clock import Clock


class Process:
    """One process; when it ended, the next one is another object."""

    def __init__(self, clock: Clock, choose: Random) -> None:
        self.alive = True
        self.paused_until_ms: TimestampMs = 0
        self._clock = clock
        self._choose = choose
        self._backlog: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def crash(self) -> None:
        """kill -9."""
        self.alive = False

    def pause(self, duration_ms: int) -> None:
        """SIGSTOP, or a long collection of garbage: nothing happens inside, what arrives waits."""
        self.paused_until_ms = self._clock.now_ms + duration_ms
        self._clock.after(duration_ms, self._resume)

    def end_pause(self) -> None:
        """Go on now."""
        self.paused_until_ms = self._clock.now_ms
        self._clock.after(0, self._resume)

    def _resume(self) -> None:
        if self._clock.now_ms < self.paused_until_ms:
            return
        backlog, self._backlog = self._backlog, []
        for action, arguments in backlog:
            self.run(action, *arguments)

    @property
    def paused(self) -> bool:
        return self._clock.now_ms < self.paused_until_ms

    def run(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something inside the process, when it runs, and not before what came earlier."""
        if not self.alive:
            return
        if self.paused or self._backlog:
            self._backlog.append((action, arguments))
        else:
            action(*arguments)

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        self._clock.after(delay_ms, self.run, action, *arguments)

    def soon(self, action: Callable[..., None], *arguments: Any) -> None:
        """After a client's pause between two attempts."""
        self.later(self._choose.randint(50, 250), action, *arguments)
