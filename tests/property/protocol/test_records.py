"""Batches against independent readers and against themselves, over generated records."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from protocol.compression import Codec, decompress
from protocol.errors import BrokerError
from protocol.record_builder import build_batch, recompress
from protocol.record_validation import InvalidRecords, check_produced_batch, validate_records
from protocol.record_walk import walk_records
from protocol.records import (
    HEADER,
    HEADER_SIZE,
    Record,
    iter_batches,
    iter_records,
    read_header,
    set_crc,
    verify_crc,
)

BLOBS = st.none() | st.binary(max_size=40) | st.integers(60, 20_000).map(lambda size: b"ab" * size)
HEADERS = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=9)), max_size=3).map(tuple)
STAMPS = st.integers(-1, 5) | st.integers(-1, 1 << 62)


@st.composite
def record_lists(draw: st.DrawFn, *, gaps: bool = False) -> list[Record]:
    rows = draw(st.lists(st.tuples(STAMPS, BLOBS, BLOBS, HEADERS), min_size=1, max_size=12))
    offset = 0
    records = []
    for stamp, key, value, headers in rows:
        if gaps:
            offset += draw(st.integers(0, 300))
        records.append(Record(offset, stamp, key, value, headers))
        offset += 1
    return records


def rows(batch: Any) -> list[tuple[Any, ...]]:
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch]


@given(record_lists(gaps=True), st.sampled_from(Codec), st.integers(0, 1 << 40))
def test_what_is_built_is_read_back(records: list[Record], codec: Codec, base_offset: int) -> None:
    moved = [record._replace(offset=record.offset + base_offset) for record in records]
    batch = build_batch(moved, codec=codec, base_offset=base_offset)
    assert verify_crc(batch)
    assert list(iter_records(batch)) == moved
    header = read_header(batch)
    assert header.last_offset == moved[-1].offset
    assert header.max_timestamp == max(record.timestamp_ms for record in moved)
    assert list(iter_records(recompress(batch, Codec.LZ4))) == moved


@given(record_lists(gaps=True), st.sampled_from(list(Codec)))
def test_kafka_python_reads_ours(records: list[Record], codec: Codec) -> None:
    ours = MemoryRecords(bytes(build_batch(records, codec=codec)))
    batch = ours.next_batch()
    assert batch.validate_crc()
    assert rows(batch) == [tuple(record) for record in records]
    assert not ours.has_next()


@given(record_lists(), st.sampled_from(list(Codec)))
def test_we_read_what_kafka_python_builds(records: list[Record], codec: Codec) -> None:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=int(codec),
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for offset, stamp, key, value, headers in records:
        # Its timestamp 0 means "now"; 1 is as good.
        builder.append(offset, stamp or 1, key, value, headers=list(headers))
    batch = bytes(builder.build())
    expected = [record._replace(timestamp_ms=record.timestamp_ms or 1) for record in records]
    assert list(iter_records(batch)) == expected
    header = check_produced_batch(batch, len(batch))
    greatest = validate_records(batch, header, compacted=False, full=True, earliest_ms=-1, latest_ms=1 << 62)
    assert greatest == max(record.timestamp_ms for record in expected)


@given(record_lists(), st.integers(0, 4), st.integers(0, 1 << 62), st.booleans())
def test_validation_agrees_with_a_plain_model(
    records: list[Record], earliest: int, latest: int, compacted: bool
) -> None:
    """The model looks at Record objects; the walk never makes one."""
    batch = build_batch(records, codec=Codec.SNAPPY)
    bad_stamps = [
        r.offset for r in records if r.timestamp_ms != -1 and not earliest <= r.timestamp_ms <= latest
    ]
    bad_keys = [r.offset for r in records if compacted and r.key is None and r.offset not in bad_stamps]
    try:
        greatest = validate_records(
            batch,
            read_header(batch),
            compacted=compacted,
            full=True,
            earliest_ms=earliest,
            latest_ms=latest,
        )
    except InvalidRecords as error:
        assert [fault.batch_index for fault in error.record_errors] == sorted(bad_stamps + bad_keys)
        assert (error.code.name == "INVALID_TIMESTAMP") == bool(bad_stamps)
    else:
        assert not bad_stamps
        assert not bad_keys
        assert greatest == max(r.timestamp_ms for r in records)


@given(record_lists(), st.data())
def test_damaged_records_never_raise_anything_unexpected(records: list[Record], data: st.DataObject) -> None:
    """Flip bytes of the record area: iteration and both walks end in records or in BrokerError, and agree."""
    batch = build_batch(records)
    positions = st.integers(HEADER_SIZE, len(batch) - 1)
    for position in data.draw(st.lists(positions, min_size=1, max_size=4)):
        batch[position] ^= data.draw(st.integers(1, 255))
    body = bytes(batch[HEADER_SIZE:])
    walked = None
    with suppress(BrokerError):
        walked = walk_records(body, len(records), 0, -(1 << 70), 1 << 70, key_required=False)
    with suppress(BrokerError):
        list(iter_records(batch))
        assert walked is not None, "what can be iterated must pass the walk"


@given(st.binary(max_size=200), st.integers(1, 5))
def test_arbitrary_record_bytes(body: bytes, count: int) -> None:
    batch = bytearray(HEADER_SIZE) + body
    HEADER.pack_into(batch, 0, 0, len(batch) - 12, -1, 2, 0, 0, count - 1, 0, 0, -1, -1, -1, count)
    set_crc(batch)
    with suppress(BrokerError):
        list(iter_records(batch))
    with suppress(BrokerError):
        check_produced_batch(batch, 1 << 20)
    with suppress(BrokerError):
        walk_records(body, count, 0, 0, 1, key_required=True)


@given(st.binary(max_size=300), st.sampled_from(list(Codec)), st.integers(0, 4096))
def test_arbitrary_bytes_to_a_codec(data: bytes, codec: Codec, max_size: int) -> None:
    with suppress(BrokerError):
        assert len(decompress(codec, data, max_size)) <= max_size


@given(st.lists(record_lists(), max_size=4), st.integers(0, 200))
def test_batches_in_a_row(lists: list[list[Record]], cut: int) -> None:
    """A reader sees the whole batches of what it got, wherever the stream ends."""
    batches = [build_batch(records) for records in lists]
    stream = b"".join(batches)
    stream = stream[: max(0, len(stream) - cut)]
    whole = []
    reader = io.BytesIO(stream)
    for batch in batches:
        data = reader.read(len(batch))
        if len(data) == len(batch):
            whole.append(data)
    assert [bytes(batch) for batch in iter_batches(stream)] == whole
