"""Fires the timers of a coordinator's runtime when they are due, or as late as the clock says."""

from __future__ import annotations

from random import Random

from coordinator.runtime import ShardRuntime
from protocol.types import TimestampMs
from tests.simulation.common.clock import Clock


class Alarm:
    """Of one runtime; a later one has another."""

    def __init__(self, clock: Clock, choose: Random, runtime: ShardRuntime) -> None:
        self._clock = clock
        self._choose = choose
        self._runtime = runtime
        self._armed_ms: TimestampMs | None = None

    def arm(self) -> None:
        """Look at the runtime's timers: whoever lets it decide something calls this afterwards."""
        due_ms = self._runtime.next_due()
        if due_ms is None or (self._armed_ms is not None and self._armed_ms <= due_ms):
            return
        self._armed_ms = due_ms
        late_ms = self._choose.randint(0, self._clock.alarms_late_ms) if self._clock.alarms_late_ms else 0
        self._clock.at(due_ms + late_ms, self._fire, due_ms)

    def _fire(self, due_ms: TimestampMs) -> None:
        if due_ms != self._armed_ms:
            return
        self._armed_ms = None
        self._runtime.fire_timers(self._clock.now_ms)  # does nothing once it is over
        self.arm()
