"""Walking the batches of a segment file by their headers, and checking them whole.

A walk starts at the first byte of a batch and goes forward only. Nothing here decompresses or looks at
records. What does not look like a batch raises CorruptLog with its position; a walk over bytes that nobody has
checked proves nothing until `iter_checked` has been over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple, Protocol

from protocol.crc import crc32c
from protocol.records import (
    ATTRIBUTES_POSITION,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC,
    BatchHeader,
)
from protocol.types import Buffer, Offset, Position
from storage.errors import CorruptLog
from storage.fs import File
from storage.leader_epochs import LeaderEpochCache

_SPAN = Struct(">qi4xb4x2xi8xq")  # base offset, length, magic, last offset delta, max timestamp
HEADER_CHUNK = 4096
"""Bytes read at once while walking headers: the default distance between two index entries."""
_CHECK_CHUNK = 1 << 20
"""Bytes read at once while checking: enough to keep the disk busy, little enough to hold in memory."""


class Readable(Protocol):
    """What a walk needs of a File."""

    name: str

    def read_at(self, position: Position, size: int) -> Buffer:
        """Up to `size` bytes from `position`; fewer only at end of file. Raises: StorageFailure."""


class OutOfPlace(CorruptLog):
    """A batch is sound in itself but does not follow the one before: either may be the damaged one."""


class BatchSpan(NamedTuple):
    """A batch at bytes [position, position + size_bytes) with offsets [base_offset, last_offset]."""

    position: int
    size_bytes: int
    base_offset: int
    last_offset: int
    max_timestamp: int


def iter_spans(file: File, position: int, end: int) -> Iterator[BatchSpan]:
    """Yields the batches in [position, end) by reading headers only. Raises: CorruptLog, StorageFailure."""
    unpack = _SPAN.unpack_from
    chunk = b""
    chunk_start = chunk_end = position
    while position < end:
        if position + HEADER_SIZE > chunk_end:
            chunk = file.read_at(position, min(HEADER_CHUNK, end - position))
            chunk_start, chunk_end = position, position + len(chunk)
            if len(chunk) < HEADER_SIZE:
                raise CorruptLog(file.name, position, "the file ends inside a batch header")
        base_offset, length, magic, delta, max_timestamp = unpack(chunk, position - chunk_start)
        size = length + LOG_OVERHEAD
        if size < HEADER_SIZE or magic != MAGIC or delta < 0 or base_offset < 0:
            raise CorruptLog(file.name, position, "not the header of a record batch")
        if position + size > end:
            raise CorruptLog(file.name, position, f"a batch of {size} bytes reaches beyond byte {end}")
        yield BatchSpan(position, size, base_offset, base_offset + delta, max_timestamp)
        position += size


def iter_checked(
    file: Readable,
    position: int,
    end: int,
    *,
    due: Offset | None,
    gaps: bool,
    read_ahead: int = _CHECK_CHUNK,
) -> Iterator[tuple[int, BatchHeader, memoryview]]:
    """Yields (position, header, whole batch) for each batch in [position, end), everything about it checked:
    length, CRC, and that its offsets follow those before it.

    The CRC does not cover the base offset, so its neighbours must vouch for it: a batch begins where the one before
    ended, or behind that where a cleaner left `gaps`. `due` is where the first one begins, None when nobody knows.
    Reads pieces of `read_ahead` bytes at once, up to 1 MiB.
    Raises: CorruptLog at the first batch that fails (OutOfPlace for its offsets); StorageFailure.
    """
    chunk = memoryview(b"")
    chunk_start = position
    piece = min(read_ahead, _CHECK_CHUNK)
    while position < end:
        at = position - chunk_start
        if at + HEADER_SIZE > len(chunk):
            chunk, chunk_start, at = _read_chunk(file, position, end, piece, HEADER_SIZE), position, 0
        header = BatchHeader._make(HEADER.unpack_from(chunk, at))
        size = header.batch_length + LOG_OVERHEAD
        if size < HEADER_SIZE or header.magic != MAGIC:
            raise CorruptLog(file.name, position, "not the header of a record batch")
        if position + size > end:
            raise CorruptLog(file.name, position, f"a batch of {size} bytes reaches beyond byte {end}")
        if at + size > len(chunk):
            chunk, chunk_start, at = _read_chunk(file, position, end, piece, size), position, 0
        batch = chunk[at : at + size]
        if crc32c(batch[ATTRIBUTES_POSITION:], 0) != header.crc:
            raise CorruptLog(file.name, position, "the checksum of a batch does not match")
        base_offset = header.base_offset
        if due is not None and base_offset != due and not (gaps and base_offset > due):
            raise OutOfPlace(file.name, position, f"a batch begins with offset {base_offset}, {due} was due")
        due = base_offset + header.last_offset_delta + 1
        if header.last_offset_delta < 0 or base_offset < 0:
            raise CorruptLog(file.name, position, "a batch ends before it begins")
        yield position, header, batch
        position += size


def check_epoch(path: str, position: int, header: BatchHeader, epochs: LeaderEpochCache) -> None:
    """Checks the leader epoch of a batch, which its CRC does not cover either. Raises: CorruptLog."""
    expected = epochs.epoch_at(header.last_offset)  # its base offset may lie below the log start
    if header.leader_epoch != expected and expected >= 0:
        raise CorruptLog(path, position, f"a batch has leader epoch {header.leader_epoch}, not {expected}")


def _read_chunk(file: Readable, position: int, end: int, piece: int, needed: int) -> memoryview:
    data = file.read_at(position, min(max(piece, needed), end - position))
    if len(data) < needed:
        raise CorruptLog(file.name, position, "the file ends inside a batch")
    return memoryview(data)
