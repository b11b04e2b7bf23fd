"""What `logd produce` reads: pieces of standard input or of files, cut into records at a delimiter.

Reading waits on the event loop, not in a thread, where the system can say that there is something to read; so Ctrl-C
ends it at once. Regular files are always ready.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
from collections.abc import AsyncIterator
from typing import BinaryIO

CHUNK_BYTES = 256 << 10
RECORD_BYTES_MAX = 100 << 20
"""No broker with default settings takes a request larger than that, so a record is not collected any further."""


class RecordTooLong(Exception):
    """A record goes on beyond RECORD_BYTES_MAX."""


class RecordSplitter:
    """Cuts a stream into records. A last record without a delimiter after it counts, too."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece of the stream; return the records that it completes. Raises RecordTooLong."""
        rest = self._rest
        seen = max(0, len(rest) - len(self._delimiter) + 1)
        rest += data
        records: list[bytes] = []
        if rest.find(self._delimiter, seen) >= 0:
            *records, end = bytes(rest).split(self._delimiter)
            self._rest = bytearray(end)
        if len(self._rest) > RECORD_BYTES_MAX:
            raise RecordTooLong
        return records

    def finish(self) -> list[bytes]:
        """Return the record that the end of the stream completes, if there is one."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []


async def read_chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """Yield what can be read as soon as it can be read, until the end. Raises OSError."""
    descriptor = file.fileno()
    waits = _can_be_waited_for(descriptor)
    while True:
        if waits and not _is_ready(descriptor):
            await _readable(descriptor)
        data = os.read(descriptor, CHUNK_BYTES)
        if not data:
            return
        yield data
        await asyncio.sleep(0)  # whoever sends gets a turn


def _can_be_waited_for(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def _is_ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
