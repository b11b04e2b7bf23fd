"""A clock that moves when a test says so, with the timers of an event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class FakeTimer:
    """One scheduled call."""

    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakeTimers:
    """Seconds since the test began; `advance` makes the calls that fall due."""

    now: float = 0.0
    scheduled: list[FakeTimer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> FakeTimer:
        timer = FakeTimer(when, callback)
        self.scheduled.append(timer)
        return timer

    @property
    def live(self) -> list[FakeTimer]:
        """Timers that are still to fire."""
        return [timer for timer in self.scheduled if not timer.cancelled]

    def advance(self, ms: float) -> None:
        """Let time pass; calls are made at their times, in order."""
        end = self.now + ms / 1000
        while True:
            due = [timer for timer in self.live if timer.when <= end]
            if not due:
                break
            timer = min(due, key=lambda candidate: candidate.when)
            self.scheduled.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.scheduled = self.live
        self.now = end
