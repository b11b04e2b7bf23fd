"""How often each latency occurred, in buckets that grow with the value, as in HdrHistogram.

Below 128 every value has its own bucket; above, each power of two is cut into 64. A bucket is told by its middle, which
is within 1/128 (0.8 %) of every value in it. Smallest and largest are kept as they are. Any number of values takes the
same room; values are whole numbers from 0 up, here nanoseconds.
"""

from __future__ import annotations

from math import ceil

_EXACT_BITS = 7
_STEPS_BITS = _EXACT_BITS - 1
_BUCKETS = (64 - _EXACT_BITS + 2) << _STEPS_BITS  # up to 2^64 - 1


class Histogram:
    """Add values; ask for percentiles at any time."""

    __slots__ = ("_counts", "count", "highest", "lowest")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.lowest = 0
        self.highest = 0

    def add(self, value: int) -> None:
        shift = value.bit_length() - _EXACT_BITS
        if shift > 0:
            self._counts[(shift << _STEPS_BITS) + (value >> shift)] += 1
        else:
            self._counts[value] += 1
        self.highest = max(self.highest, value)
        if value < self.lowest or not self.count:
            self.lowest = value
        self.count += 1

    def add_many(self, value: int, count: int) -> None:
        """As `count` times `add`."""
        if count:
            self.add(value)
            self._counts[_index(value)] += count - 1
            self.count += count - 1

    def percentile(self, percent: float) -> int:
        """The least value that at least `percent` of all (above 0, up to 100) do not exceed; 0 of nothing."""
        wanted = max(ceil(self.count * percent / 100), 1)
        if wanted >= self.count:  # of the last one more is known than its bucket
            return self.highest
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return min(max(_middle(index), self.lowest), self.highest)
        raise AssertionError("a value was counted, but is in no bucket")


def _index(value: int) -> int:
    """As in `add`, which does without the call."""
    shift = max(value.bit_length() - _EXACT_BITS, 0)
    return (shift << _STEPS_BITS) + (value >> shift)


def _middle(index: int) -> int:
    """The value that stands for all in a bucket."""
    shift = (index >> _STEPS_BITS) - 1
    if shift <= 0:
        return index
    return ((index - (shift << _STEPS_BITS)) << shift) + (1 << shift >> 1)
