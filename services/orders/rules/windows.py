"""Tumbling windows: time cut into pieces of one size, from the epoch on. A window holds its start and not its end."""

from __future__ import annotations


def window_start(at_ms: int, size_ms: int) -> int:
    return at_ms - at_ms % size_ms
