"""Whether a stretch of a file is in the page cache, so that reading it would not wait for the disk.

Two ways to ask. A read of one byte with RWF_NOWAIT fails where its page is missing or still on its way: exact for
that page, half a microsecond. cachestat(2), Linux 6.5, counts the pages of a whole range that are there, on their way
included: for 1 MiB that costs as much as one probe, where nine would be due. So a small range is probed at its ends,
in one call if these lie in one page or in two that touch; a large one is counted and its end probed; without cachestat
it is probed at every read-ahead window.

An answer is true when it is given, and no promise.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.types import Position

_RWF_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)

_NOT_NOW = (errno.EAGAIN, errno.EOPNOTSUPP)
"""The disk would be waited for, or the file system cannot tell."""

_BYTE = [bytearray(1)]
"""Where a probe puts what nobody looks at."""

_TWO_BYTES = [bytearray(2)]

_STRIDE = 128 * 1024
"""The kernel's default read-ahead window: a page inside one is rarely cold alone."""

_COUNT_FROM_BYTES = 2 * _STRIDE
"""From here on counting is cheaper than probing."""

_CACHESTAT = 451
"""The call's number on every architecture."""

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_CountPages = Callable[[int, "Position", int], int]


def is_resident(descriptor: int, position: Position, size: int) -> bool:
    """Whether all of the range seems to be in memory. Where the system cannot tell, it is not.

    Raises: OSError.
    """
    if size <= 0:
        return True
    if _RWF_NOWAIT is None:
        return False
    if size < _COUNT_FROM_BYTES:
        return _probe(descriptor, position, size)
    last = position + size - 1
    pages = last // _PAGE_SIZE - position // _PAGE_SIZE + 1
    counted = count_pages(descriptor, position, size)
    if counted < 0:
        return _probe(descriptor, position, size)
    return counted >= pages and _probe(descriptor, last, 1)


def read_resident(descriptor: int, position: Position, size: int) -> bytes | None:
    """The bytes of a small range if all of it is there; None where it is not, or the system cannot tell.

    Raises: OSError.
    """
    if _RWF_NOWAIT is None:
        return None
    data = bytearray(size)
    try:
        got = os.preadv(descriptor, (data,), position, _RWF_NOWAIT)
    except OSError as error:
        if error.errno in _NOT_NOW:
            return None
        raise
    return bytes(data) if got == size else None


def _probe(descriptor: int, position: Position, size: int) -> bool:
    """Read one byte in every window of the range, and its last one, without waiting."""
    assert _RWF_NOWAIT is not None
    last = position + size - 1
    last_page = last - last % _PAGE_SIZE
    try:
        if position >= last_page:
            os.preadv(descriptor, _BYTE, position, _RWF_NOWAIT)
            return True
        if position >= last_page - _PAGE_SIZE:
            return os.preadv(descriptor, _TWO_BYTES, last_page - 1, _RWF_NOWAIT) == 2
        for place in range(position, last, _STRIDE):
            os.preadv(descriptor, _BYTE, place, _RWF_NOWAIT)
        os.preadv(descriptor, _BYTE, last, _RWF_NOWAIT)
    except OSError as error:
        if error.errno in _NOT_NOW:
            return False
        raise
    return True


def _unsupported(_descriptor: int, _position: Position, _size: int) -> int:
    return -1


def _load(descriptor: int, position: Position, size: int) -> int:
    """The first call: find out whether the system has cachestat."""
    global count_pages  # noqa: PLW0603 - found out once per process
    count_pages = _cachestat()
    if count_pages(descriptor, position, size) < 0:
        count_pages = _unsupported
    return count_pages(descriptor, position, size)


count_pages: _CountPages = _load
"""Pages of (descriptor, position, size) that are in the page cache; -1 where that cannot be told."""


def _cachestat() -> _CountPages:
    import ctypes  # noqa: PLC0415 - ten milliseconds that a start need not pay

    class Range(ctypes.Structure):
        _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))

    class Counts(ctypes.Structure):
        _fields_ = tuple(
            (name, ctypes.c_uint64)
            for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted")
        )

    try:
        call = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return _unsupported
    asked, counts = Range(), Counts()
    asked_at, counts_at = ctypes.byref(asked), ctypes.byref(counts)

    def count(descriptor: int, position: Position, size: int) -> int:
        asked.offset, asked.length = position, size
        if call(_CACHESTAT, descriptor, asked_at, counts_at, 0):
            return -1
        return int(counts.cached)

    return count
