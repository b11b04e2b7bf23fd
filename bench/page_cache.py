"""Keeps free memory low, so that writing does not pay for a hypervisor's memory management.

A guest with free page reporting gives unused memory back to its host within seconds, and touching it again costs
about 2 s of CPU per GB, charged to whoever writes: measured here, ten times the price of writing a gigabyte into
pages that the guest still has. A broker that has run for a while never sees that, for its page cache fills the memory
and new pages are old ones reclaimed. `PageCache` brings that state about: a file of holes, read until little is free.
What it holds is clean and goes first.
"""

from __future__ import annotations

import os
from pathlib import Path

_KEEP_FREE = 1 << 29
_TURN_OVER = 2 << 30  # read beyond that point, so that what is free was in use a moment ago
_BLOCK = 1 << 20


def gives_memory_back() -> bool:
    """Is this a guest that reports free pages to its host?"""
    return os.path.isdir("/sys/module/page_reporting")


class PageCache:
    """Fills the page cache with pages of one sparse file in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._size = _memory("MemTotal")
        self._position = 0
        self._file = os.open(directory / "holes", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.truncate(self._file, self._size)
        self._buffer = bytearray(_BLOCK)

    def fill(self) -> int:
        """Read on, round and round, until little is free; returns the bytes read."""
        read = 0
        missing = _memory("MemFree") - _KEEP_FREE
        while missing > 0 and read < 2 * self._size:  # others may free memory all the time
            read += self._read(missing)
            missing = _memory("MemFree") - _KEEP_FREE
        return read + self._read(_TURN_OVER)

    def _read(self, size: int) -> int:
        read = 0
        while read < size:
            read += os.preadv(self._file, [self._buffer], self._position)
            self._position = (self._position + _BLOCK) % (self._size - self._size % _BLOCK)
        return read

    def close(self) -> None:
        os.close(self._file)


def _memory(name: str) -> int:
    with open("/proc/meminfo") as info:
        for line in info:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    raise KeyError(name)
