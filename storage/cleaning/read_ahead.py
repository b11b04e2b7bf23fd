"""A file that is read from one end to the other: what will be asked for next is read on a thread meanwhile.

The caller works on a piece while the kernel copies the next one, on another core, or the disk finds it. The thread does
nothing but read. Its guess is the piece behind the last one, and as much of that again as the caller is known to go
back: a batch that a piece has cut off is read anew from where it begins. Who asks for something else gets it, only not
ahead of time.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import NamedTuple

from protocol.types import Buffer, Position
from storage.fs import File

_GOES_BACK = 1 << 16
"""How far a caller is taken to go back until it has gone further."""
_GUESS_MAX = 2 << 20
"""Bytes; a single batch may be far larger, and the next one is not."""


class _Ahead(NamedTuple):
    start: Position
    data: Future[bytes]


class ReadAhead:
    """A File, as far as reading goes; not for two readers at once."""

    def __init__(self, file: File, thread: Executor) -> None:
        self.name = file.name
        self._file = file
        self._thread = thread
        self._end: Position = 0
        """Where the last piece ended."""
        self._goes_back = _GOES_BACK
        self._ahead: _Ahead | None = None

    def read_at(self, position: Position, size: int) -> Buffer:
        """As `File.read_at`. Raises: StorageFailure."""
        self._goes_back = max(self._goes_back, min(self._end - position, _GUESS_MAX // 2))
        data = self._taken(position, size)
        if data is None:
            data = self._file.read_at(position, size)
        self._end = end = position + len(data)
        start = max(end - self._goes_back, position)
        if end < self._file.size() and end + size - start <= _GUESS_MAX:
            self._ahead = _Ahead(start, self._thread.submit(self._file.read_at, start, end + size - start))
        return data

    def _taken(self, position: Position, size: int) -> Buffer | None:
        """What was read ahead, if that is what is wanted and it could be read."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.start > position or ahead.data.exception() is not None:
            return None
        data = memoryview(ahead.data.result())[position - ahead.start :]
        return data[:size] if len(data) >= size else None
