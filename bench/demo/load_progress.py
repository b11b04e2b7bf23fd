"""How far a load of records has come, and its rates: one line that is rewritten on a terminal, elsewhere one in 2 s."""

from __future__ import annotations

import sys
import time

_TERMINAL_INTERVAL_S = 0.1
_PLAIN_INTERVAL_S = 2.0


class LoadProgress:
    """Counts records and bytes of one step towards a total and shows rates. Call `update` often; it is cheap."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._started = time.perf_counter()
        self._terminal = sys.stdout.isatty()
        self._interval = _TERMINAL_INTERVAL_S if self._terminal else _PLAIN_INTERVAL_S
        self._next = self._started + self._interval

    def update(self, records: int, size: int) -> None:
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + self._interval
            self._show(records, size, now, end="" if self._terminal else "\n")

    def finish(self, records: int, size: int) -> None:
        self._show(records, size, time.perf_counter(), end="\n")

    def _show(self, records: int, size: int, now: float, *, end: str) -> None:
        elapsed = max(now - self._started, 1e-9)
        start = "\r" if self._terminal else ""
        sys.stdout.write(
            f"{start}{self._label:<8}{records:>12,} of {self._total:,} records  {size / 1e6:8,.1f} MB  "
            f"{records / elapsed:>9,.0f} records/s  {size / 1e6 / elapsed:7.1f} MB/s  {elapsed:6.1f} s{end}"
        )
        sys.stdout.flush()
