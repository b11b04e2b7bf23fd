"""Did the machine stand still? One that its host stops for a while finds its wall clock ahead of the other clock.

Java's tools take times from the wall clock: a stop of a minute within a run of ten seconds makes a tenth of its rate.
"""

from __future__ import annotations

import time

_NOTICED_S = 0.5
"""Below, it may be a clock that is being set right."""


class Standstill:
    """From when it is made on."""

    def __init__(self) -> None:
        self._apart_s = _apart_s()

    def seconds(self) -> float:
        """How far the clocks have come apart, either way; 0 where that is nothing to speak of."""
        moved_s = abs(_apart_s() - self._apart_s)
        return moved_s if moved_s > _NOTICED_S else 0.0


def _apart_s() -> float:
    return time.time() - time.monotonic()
