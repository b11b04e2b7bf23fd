"""When requests may leave, and from when on their latency counts.

Saturating: whenever a connection has room; latency counts from then.
FixedRate: request n is due n / rate after the start, whatever became of those before it; latency counts from when it
was due. A client that waits for a stalled broker before it sends the next request measures the stall once, and leaves
out all who would have come meanwhile (coordinated omission); here each of them is counted, with its wait.

Times are nanoseconds of any clock that does not go back.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

_S = 1_000_000_000


class Pace(Protocol):
    is_fixed: bool

    def start(self, now_ns: int) -> None:
        """The run begins."""

    def take(self, now_ns: int) -> int | None:
        """The time from which the latency of the next request counts, which leaves now; None: none may leave yet."""

    def next_due(self, now_ns: int) -> int | None:
        """When the next request may leave; None: no more will."""

    def skip_due(self, from_ns: int, until_ns: int) -> Due:
        """Give up what is due before `until_ns` and has not been taken; return what of it is due from `from_ns` on."""


class Due(NamedTuple):
    """Requests that are due evenly."""

    first_ns: int
    interval_ns: float
    requests: int


class Saturating:
    """As much as connections have room for; `count` requests in all, where it is given."""

    is_fixed = False

    def __init__(self, count: int | None = None) -> None:
        self._left = -1 if count is None else count

    def start(self, now_ns: int) -> None:
        pass

    def take(self, now_ns: int) -> int | None:
        if self._left == 0:
            return None
        self._left -= 1
        return now_ns

    def next_due(self, now_ns: int) -> int | None:
        return None if self._left == 0 else now_ns

    def skip_due(self, from_ns: int, until_ns: int) -> Due:
        return Due(until_ns, 0.0, 0)  # nothing is due before it leaves


class FixedRate:
    """So many requests a second, evenly spaced."""

    is_fixed = True

    def __init__(self, per_second: float) -> None:
        self._interval_ns = _S / per_second
        self._start_ns = 0
        self._taken = 0
        self._due_ns = 0

    def start(self, now_ns: int) -> None:
        self._start_ns = self._due_ns = now_ns
        self._taken = 0

    def take(self, now_ns: int) -> int | None:
        due = self._due_ns
        if due > now_ns:
            return None
        self._advance(self._taken + 1)
        return due

    def next_due(self, now_ns: int) -> int | None:
        return self._due_ns

    def skip_due(self, from_ns: int, until_ns: int) -> Due:
        first = max(self._taken, self._number_at(from_ns))
        end = max(self._number_at(until_ns), self._taken)
        self._advance(end)
        return Due(self._due_at(first), self._interval_ns, max(end - first, 0))

    def _advance(self, taken: int) -> None:
        self._taken = taken
        self._due_ns = self._due_at(taken)

    def _due_at(self, number: int) -> int:
        return self._start_ns + int(number * self._interval_ns)

    def _number_at(self, at_ns: int) -> int:
        """The first request that is due at that time or later."""
        number = max(int((at_ns - self._start_ns) / self._interval_ns), 0)
        while self._due_at(number) < at_ns:
            number += 1
        return number
