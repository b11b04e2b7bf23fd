"""Which bytes of a file were checked: disjoint half-open ranges of positions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class ByteRanges:
    """A set of positions, kept as ascending ranges [start, end) that neither overlap nor touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Adds [start, end), joined with what it overlaps or touches."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def covers(self, start: int, end: int) -> bool:
        """Whether all of [start, end) is in the set; an empty range always is."""
        index = bisect_right(self._starts, start) - 1
        return start >= end or (index >= 0 and end <= self._ends[index])

    def truncate(self, end: int) -> None:
        """Takes out everything at or above `end`."""
        kept = bisect_left(self._starts, end)
        del self._starts[kept:], self._ends[kept:]
        if kept and self._ends[-1] > end:
            self._ends[-1] = end

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return list(zip(self._starts, self._ends, strict=True))
