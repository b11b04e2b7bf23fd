"""What producers write here: each record names the transaction that it belongs to and its place in it."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from protocol.record_builder import RecordBatchBuilder
from protocol.records import ATTRIBUTES_POSITION, iter_records, read_header
from protocol.types import Buffer, Offset, TimestampMs

_VALUE = Struct(">iiq")
NO_SOURCE = -1


class Written(NamedTuple):
    """The value of a record."""

    transaction: int
    """Number of the transaction; of a plain producer, of its one life."""
    place: int
    """How many records its producer had put before it into the transaction."""
    source: Offset = NO_SOURCE
    """Of a copy: offset of the record that it is a copy of."""


def build_batch(
    values: list[Written],
    *,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    transactional: bool,
    now_ms: TimestampMs,
) -> bytearray:
    builder = RecordBatchBuilder(
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        transactional=transactional,
    )
    builder.extend([None] * len(values), [_VALUE.pack(*value) for value in values], timestamp_ms=now_ms)
    return builder.build()


def read_values(batch: Buffer) -> list[tuple[Offset, Written]]:
    """Return offset and value of each record of a data batch."""
    view = memoryview(batch)
    base_offset = read_header(view).base_offset
    return [(base_offset + delta, value) for delta, value in _read_body(bytes(view[ATTRIBUTES_POSITION:]))]


@lru_cache(maxsize=10_000)
def _read_body(body: bytes) -> tuple[tuple[int, Written], ...]:
    """Read each batch once: there are many readers."""
    found = []
    for record in iter_records(bytes(ATTRIBUTES_POSITION) + body):
        assert record.value is not None
        found.append((record.offset, Written(*_VALUE.unpack(record.value))))
    return tuple(found)
