"""Which connection sends next, and how long each request took. No sockets and no clock: the loop in run.py has those.

A connection has room for a fixed number of requests in flight. Room is given out in the order in which it became free,
so that all connections take their turns. Answers of one connection come in the order of its requests.
Requests are counted whose latency counts from `count_from_ns` on: what was before is warm-up.
"""

from __future__ import annotations

from collections import deque

from logd.load.histogram import Histogram
from logd.load.pace import Pace

_GROUPS = 10_000
"""A rate far above what goes leaves millions of requests behind: told apart to a ten-thousandth of the time."""


class Flights:
    """Requests in the air."""

    __slots__ = ("_free", "_pace", "_since", "count_from_ns", "in_flight", "late", "taken", "unsent")

    def __init__(self, pace: Pace, connections: int, room: int) -> None:
        self._pace = pace
        self._since: list[deque[int]] = [deque() for _ in range(connections)]
        self._free = deque(list(range(connections)) * room)
        self.count_from_ns = 0
        self.in_flight = 0
        self.taken = Histogram()
        """Nanoseconds from when a request was due to its answer."""
        self.late = Histogram()
        """Nanoseconds from when a request was due to when it left."""
        self.unsent = 0
        """Requests that were due and had not left when the run was over."""

    def depart(self, now_ns: int) -> int | None:
        """The connection whose next request leaves now; None: nothing is due, or no connection has room."""
        if not self._free:
            return None
        since = self._pace.take(now_ns)
        if since is None:
            return None
        connection = self._free.popleft()
        self._since[connection].append(since)
        self.in_flight += 1
        if since >= self.count_from_ns:
            self.late.add(now_ns - since)
        return connection

    @property
    def has_room(self) -> bool:
        return bool(self._free)

    def land(self, connection: int, now_ns: int) -> int | None:
        """The oldest request of a connection is answered: since when it was due, None where that does not count."""
        since = self._since[connection].popleft()
        self._free.append(connection)
        self.in_flight -= 1
        if since < self.count_from_ns:
            return None
        self.taken.add(now_ns - since)
        return since

    def give_up_unsent(
        self, until_ns: int, now_ns: int, *, also: Histogram | None = None, also_times: int = 1
    ) -> None:
        """The run is over: requests due before `until_ns` that never left have waited until now, at the least, for
        their answers and for what `also` counts, `also_times` for each.
        """
        due = self._pace.skip_due(self.count_from_ns, until_ns)
        self.unsent += due.requests
        group = -(-due.requests // _GROUPS) or 1
        for number in range(0, due.requests, group):
            size = min(group, due.requests - number)
            middle = number + size // 2
            waited_ns = max(now_ns - due.first_ns - int(middle * due.interval_ns), 0)
            self.taken.add_many(waited_ns, size)
            if also is not None:
                also.add_many(waited_ns, size * also_times)
