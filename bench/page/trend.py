"""Figures that move one way over the rounds: the median of such a series is no property of its target.

A JVM that is still being compiled gets cheaper from round to round, and so does whatever a broker fills once. Where the
order of the rounds explains the figures (Mann and Kendall's test, one chance in twelve that five rounds look so by
accident) and the last third differs from the first by more than a fifth, the page says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations
from math import sqrt

_ROUNDS_MIN = 5
_BY_ACCIDENT = 1.95
"""Standard deviations: of five rounds one pair may be out of order."""
_CHANGE_MIN = 1.2


def trend(figures: Sequence[float]) -> str | None:
    """`fell` or `rose`, None where neither can be said. `figures` are in the order of their rounds."""
    count = len(figures)
    if count < _ROUNDS_MIN or min(figures) <= 0:
        return None
    ascents = sum((later > earlier) - (later < earlier) for earlier, later in combinations(figures, 2))
    if abs(ascents) < _BY_ACCIDENT * sqrt(count * (count - 1) * (2 * count + 5) / 18):
        return None
    third = count // 3
    first, last = statistics.median(figures[:third]), statistics.median(figures[-third:])
    if max(first, last) < _CHANGE_MIN * min(first, last):
        return None
    return "rose" if ascents > 0 else "fell"
