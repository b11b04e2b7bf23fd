"""The records of a batch read into columns: what a consumer needs that prints or forwards many at once.

Not here: records as objects (`protocol.records.iter_records`, five times slower), judging them (record_validation.py).
Headers stay the bytes that they are until someone asks (`read_headers`), since most records have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from protocol.errors import ProtocolViolation
from protocol.primitives import read_varint
from protocol.records import malformed_record

if TYPE_CHECKING:
    from collections.abc import Sequence


class RecordColumns(NamedTuple):
    """Lists of one length, a place for each record in the order of the batch."""

    offset_deltas: Sequence[int]
    timestamp_deltas: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[bytes]
    """Header count and headers as they lie in the record; empty without headers."""


def read_columns(body: bytes, count: int) -> RecordColumns:
    """Read all `count` records of an uncompressed body.

    Raises: BrokerError INVALID_RECORD when a record is not well-formed or they are not `count`.
    """
    offset_deltas: list[int] = []
    timestamp_deltas: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    headers: list[bytes] = []
    pos = 0
    size = len(body)
    try:
        for _ in range(count):
            number = body[pos]
            pos += 1
            if number > 127:
                number, pos = _read_rest(body, pos, number)
            end = pos + (number >> 1)
            if number & 1 or end > size:
                raise ValueError("its length does not fit the batch")
            number = body[pos + 1]  # after the attributes, of which v2 defines none
            pos += 2
            if number > 127:
                number, pos = _read_rest(body, pos, number)
            timestamp_deltas.append((number >> 1) ^ -(number & 1))
            number = body[pos]
            pos += 1
            if number > 127:
                number, pos = _read_rest(body, pos, number)
            offset_deltas.append((number >> 1) ^ -(number & 1))
            for column in (keys, values):
                number = body[pos]
                pos += 1
                if number > 127:
                    number, pos = _read_rest(body, pos, number)
                if number & 1:
                    column.append(None)
                else:
                    start = pos
                    pos += number >> 1
                    column.append(body[start:pos])
            if pos >= end:
                raise ValueError("its length is not that of its fields")
            headers.append(body[pos:end] if body[pos] else b"")
            pos = end
        if pos != size:
            raise ValueError("bytes are left after the last record")
    except (IndexError, ValueError) as error:
        raise malformed_record(len(headers), str(error)) from error
    return RecordColumns(offset_deltas, timestamp_deltas, keys, values, headers)


def read_headers(raw: bytes) -> list[tuple[bytes, bytes | None]]:
    """Return the headers that `RecordColumns.headers` holds for one record, names as the bytes that they are.

    Raises: BrokerError INVALID_RECORD when they are not well-formed.
    """
    if not raw:
        return []
    try:
        count, pos = read_varint(raw, 0)
        if not 0 <= count <= len(raw):
            raise ValueError("its header count does not fit it")
        found = []
        for _ in range(count):
            name, pos = _read_bytes(raw, pos)
            if name is None:
                raise ValueError("a header has no key")
            value, pos = _read_bytes(raw, pos)
            found.append((name, value))
        if pos != len(raw):
            raise ValueError("its length is not that of its fields")
    except (ValueError, ProtocolViolation) as error:
        raise malformed_record(0, str(error)) from error
    return found


def _read_bytes(raw: bytes, pos: int) -> tuple[bytes | None, int]:
    length, pos = read_varint(raw, pos)
    if length < 0:
        return None, pos
    if length > len(raw) - pos:
        raise ValueError("a field reaches beyond it")
    return raw[pos : pos + length], pos + length


def _read_rest(body: bytes, pos: int, first: int) -> tuple[int, int]:
    """Go on reading a varint whose first byte, with its top bit, is `first`; it is not zigzag decoded."""
    byte = body[pos]
    if byte < 128:  # nearly all of them
        return first - 128 + (byte << 7), pos + 1
    number = first & 127
    for shift in range(7, 70, 7):
        byte = body[pos]
        pos += 1
        number += (byte & 127) << shift
        if byte < 128:
            return number, pos
    raise ValueError("a varint takes more than 10 bytes")
