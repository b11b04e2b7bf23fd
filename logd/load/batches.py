"""Record batches built ahead. The same bytes may be sent any number of times: they have no producer id."""

from __future__ import annotations

import random
import time
from typing import NamedTuple

from protocol.compression import Codec
from protocol.primitives import write_varint
from protocol.record_builder import RecordBatchBuilder
from protocol.records import HEADER_SIZE

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OFFSET_DELTA_TIERS = (1 << 6, 1 << 13, 1 << 20, 1 << 27)
"""The first offset deltas that take another byte."""


class Batch(NamedTuple):
    encoded: bytes
    records: int
    payload_bytes: int
    """All values together, before compression."""


def batch_of(records: int, record_bytes: int, codec: Codec = Codec.NONE) -> Batch:
    """One batch of values without keys. The values are random capital letters, as those of Kafka's perf producer: they
    compress to 60 % or so, not to nothing. Every call with the same sizes gives the same values.
    """
    source = random.Random(record_bytes)
    values = [bytes(source.choices(_LETTERS, k=record_bytes)) for _ in range(records)]
    builder = RecordBatchBuilder(codec=codec)
    builder.extend([None] * records, values, timestamp_ms=time.time_ns() // 1_000_000)
    return Batch(bytes(builder.build()), records, records * record_bytes)


def records_that_fit(batch_bytes: int, record_bytes: int) -> int:
    """How many records go into a batch of so many bytes before compression; at least one, as in Kafka's producer."""
    left = batch_bytes - HEADER_SIZE
    records = 0
    for end in _OFFSET_DELTA_TIERS:
        # Attributes, time delta, no key, no headers; then what grows: the offset delta, the value with its length.
        body = 4 + _varint_size(end - 1) + _varint_size(record_bytes) + record_bytes
        size = _varint_size(body) + body
        added = min(max(left, 0) // size, end - records)
        records += added
        left -= added * size
        if records < end:
            break
    return max(records, 1)


def _varint_size(value: int) -> int:
    head = bytearray()
    write_varint(head, value)
    return len(head)
