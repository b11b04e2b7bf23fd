"""Walking the records of a batch without making objects of them: the one place where work is per record.

Faults of single records are reported as (place in the batch, fault); what makes the batch unreadable is raised. The
loop spells out the one- and two-byte varints that nearly all of them are: with a function per varint it takes three
times as long (bench/micro/records.py).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from protocol.errors import ProtocolViolation
from protocol.primitives import read_varint
from protocol.records import NO_TIMESTAMP, malformed_record

if TYPE_CHECKING:
    from protocol.types import Buffer, TimestampMs


class RecordFault(Enum):
    """Why a well-formed record may not be stored."""

    TIMESTAMP = 0
    NULL_KEY = 1
    OFFSET = 2


Faults = list[tuple[int, RecordFault]]
"""Place in the batch, from 0, and what is wrong there."""

_END = "its length is not that of its fields"
_LEFT_OVER = "bytes are left after the last record"


def walk_records(  # noqa: PLR0912, PLR0915 - flat on purpose, see the module head
    body: Buffer,
    count: int,
    base_timestamp: TimestampMs,
    earliest_ms: TimestampMs,
    latest_ms: TimestampMs,
    *,
    key_required: bool,
) -> tuple[TimestampMs, Faults]:
    """Read through all `count` records; return their greatest timestamp (-1 for none) and one fault a record.

    A timestamp must lie in `earliest_ms`..`latest_ms` (both inclusive) or be -1; offset deltas must run 0..n-1.
    Raises: BrokerError INVALID_RECORD when a record is not well-formed or they are not `count`.
    """
    faults: Faults = []
    pos = index = 0
    greatest = none = NO_TIMESTAMP - base_timestamp
    earliest = earliest_ms - base_timestamp
    latest = latest_ms - base_timestamp
    try:
        for index in range(count):
            length = body[pos]
            pos += 1
            if length > 127:
                length += (body[pos] << 7) - 128
                pos += 1
                if length > 16_383:
                    length, pos = read_rest(body, pos, length)
            start = pos
            delta = body[pos + 1]  # after the attributes, of which v2 defines none
            pos += 2
            if delta > 127:
                delta += (body[pos] << 7) - 128
                pos += 1
                if delta > 16_383:
                    delta, pos = read_rest(body, pos, delta)
            delta = (delta >> 1) ^ -(delta & 1)
            offset_delta = body[pos]
            pos += 1
            if offset_delta > 127:
                offset_delta += (body[pos] << 7) - 128
                pos += 1
                if offset_delta > 16_383:
                    offset_delta, pos = read_rest(body, pos, offset_delta)
            key_length = body[pos]
            pos += 1
            if key_length > 127:
                key_length += (body[pos] << 7) - 128
                pos += 1
                if key_length > 16_383:
                    key_length, pos = read_rest(body, pos, key_length)
            if not key_length & 1:
                pos += key_length >> 1
            value_length = body[pos]
            pos += 1
            if value_length > 127:
                value_length += (body[pos] << 7) - 128
                pos += 1
                if value_length > 16_383:
                    value_length, pos = read_rest(body, pos, value_length)
            if not value_length & 1:
                pos += value_length >> 1
            if body[pos]:
                pos = _skip_headers(body, pos, start + (length >> 1))
            else:
                pos += 1
            # An odd length is a negative one; compared as they stand on the wire, it never fits.
            if (pos - start) << 1 != length:
                raise ValueError(_END)
            greatest = max(greatest, delta)
            if not earliest <= delta <= latest and delta != none:
                faults.append((index, RecordFault.TIMESTAMP))
            elif key_required and key_length & 1:
                faults.append((index, RecordFault.NULL_KEY))
            elif offset_delta != index << 1:
                faults.append((index, RecordFault.OFFSET))
        if pos != len(body):
            raise ValueError(_LEFT_OVER)
    except (IndexError, ValueError, ProtocolViolation) as error:
        raise malformed_record(index, str(error)) from error
    return greatest + base_timestamp, faults


def read_rest(body: Buffer, pos: int, raw: int) -> tuple[int, int]:
    """Go on reading a varint of three or more bytes, of which two are in `raw`, the second with its top bit."""
    raw -= 1 << 14
    for shift in range(14, 70, 7):
        byte = body[pos]
        pos += 1
        raw += (byte & 127) << shift
        if byte < 128:
            return raw, pos
    raise ValueError("a varint takes more than 10 bytes")


def _skip_headers(body: Buffer, pos: int, end: int) -> int:
    """Return the position after the header count at `pos` and its headers, in the record that ends at `end`."""
    count, pos = read_varint(body, pos)
    if not 0 <= count <= end - pos:
        raise ValueError("its header count does not fit it")
    for _ in range(count):
        name_length, pos = read_varint(body, pos)
        if name_length < 0:
            raise ValueError("a header has no key")
        value_length, pos = read_varint(body, pos + name_length)
        if value_length > 0:
            pos += value_length
    return pos
