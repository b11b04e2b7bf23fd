"""Record batches v2: header, checksum, iteration, and what is refused as no batch."""

from __future__ import annotations

import struct

import pytest

from protocol.compression import Codec
from protocol.crc import crc32c
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import RecordBatchBuilder, build_batch, recompress, rewrite_timestamps
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

RECORDS = [
    Record(0, 1_000, b"k0", b"v0", (("trace", b"1"), ("empty", b""), ("null", None))),
    Record(1, 990, None, b"x" * 300),
    Record(2, 1_500, b"", None),
]

# One batch as kafka-clients 4.1 lays it out, taken apart by hand: a single record "v" at timestamp 5.
GOLDEN = bytes.fromhex(
    "0000000000000000"  # base offset
    "00000039"  # batch length: 61 - 12 + 8
    "ffffffff"  # leader epoch
    "02"  # magic
    "00000000"  # checksum, set below
    "0000"  # attributes
    "00000000"  # last offset delta
    "0000000000000005"  # base timestamp
    "0000000000000005"  # max timestamp
    "ffffffffffffffff"  # producer id
    "ffff"  # producer epoch
    "ffffffff"  # base sequence
    "00000001"  # count
    "0e000000010276" + "00"  # length 7, attributes, deltas, null key, value "v", no headers
)


def test_crc32c_is_the_castagnoli_checksum() -> None:
    """The check value of the CRC catalogue, whole and in two steps."""
    assert crc32c(b"123456789", 0) == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345", 0)) == 0xE3069283
    assert crc32c(memoryview(bytearray(b"123456789")), 0) == 0xE3069283


def test_layout_of_a_batch() -> None:
    builder = RecordBatchBuilder()
    builder.append(b"v", timestamp_ms=5)
    batch = builder.build()
    golden = bytearray(GOLDEN)
    golden[17:21] = struct.pack(">I", crc32c(GOLDEN[21:], 0))
    assert batch == golden
    assert len(batch) == HEADER_SIZE + 8


def test_header_fields_survive() -> None:
    batch = build_batch(
        [Record(70, 5, None, b"a"), Record(75, 9, None, b"b")],
        codec=Codec.LZ4,
        base_offset=70,
        leader_epoch=3,
        producer_id=1 << 40,
        producer_epoch=7,
        base_sequence=(1 << 31) - 3,
        transactional=True,
    )
    header = read_header(batch)
    assert header.size_bytes == len(batch)
    assert (header.base_offset, header.last_offset, header.record_count) == (70, 75, 2)
    assert (header.base_timestamp, header.max_timestamp) == (5, 9)
    assert (header.leader_epoch, header.producer_id, header.producer_epoch) == (3, 1 << 40, 7)
    assert header.codec is Codec.LZ4
    assert header.is_transactional
    assert not header.is_control
    assert not header.is_log_append_time
    assert header.delete_horizon is None
    assert header.last_sequence == 2, "sequences wrap from 2^31 - 1 to 0"
    assert read_header(b"junk" + batch, 4) == header


def test_no_sequence_has_no_last_sequence() -> None:
    assert read_header(build_batch(RECORDS)).last_sequence == -1


@pytest.mark.parametrize("codec", list(Codec))
def test_iteration_returns_what_was_built(codec: Codec) -> None:
    batch = build_batch(RECORDS, codec=codec)
    assert verify_crc(batch)
    assert list(iter_records(batch)) == RECORDS


def test_offsets_may_have_gaps_and_must_ascend() -> None:
    records = [Record(10, 1, b"k", b"a"), Record(17, 2, b"k", b"b")]
    batch = build_batch(records, base_offset=8)
    assert list(iter_records(batch)) == records
    assert read_header(batch).base_offset == 8
    with pytest.raises(ValueError, match="does not follow"):
        build_batch([records[1], records[0]])


def test_builder_counts_and_sizes() -> None:
    builder = RecordBatchBuilder()
    assert len(builder) == 0
    builder.append(b"abc", key=b"k", timestamp_ms=1)
    assert len(builder) == 1
    assert builder.size_bytes == len(builder.build())


@pytest.mark.parametrize("position", [21, 40, 61, 70])
def test_a_flipped_bit_fails_the_checksum(position: int) -> None:
    batch = build_batch(RECORDS)
    batch[position] ^= 1
    assert not verify_crc(batch)


@pytest.mark.parametrize("position", [*range(8), *range(12, 16)])
def test_offset_and_epoch_lie_outside_the_checksum(position: int) -> None:
    batch = build_batch(RECORDS)
    batch[position] ^= 1
    assert verify_crc(batch)


def test_checksum_of_a_batch_amid_others() -> None:
    batch = build_batch(RECORDS)
    assert verify_crc(b"head" + batch + b"tail", 4, len(batch))
    assert not verify_crc(b"head" + batch + b"tail", 4)


def test_batches_are_told_apart_and_a_cut_one_left_out() -> None:
    first = build_batch(RECORDS)
    second = build_batch(RECORDS, codec=Codec.GZIP)
    data = first + second
    assert [bytes(batch) for batch in iter_batches(data)] == [first, second]
    for cut in range(1, len(second) + 1):
        assert [bytes(batch) for batch in iter_batches(data[:-cut])] == [first]
    assert list(iter_batches(b"")) == []


@pytest.mark.parametrize(
    ("position", "value"), [(8, b"\x00\x00\x00\x30"), (8, b"\xff\xff\xff\xff"), (16, b"\x01")]
)
def test_no_batch_is_corrupt(position: int, value: bytes) -> None:
    data = bytearray(build_batch(RECORDS))
    data[position : position + len(value)] = value
    with pytest.raises(BrokerError) as caught:
        list(iter_batches(data))
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


def test_append_time_overrides_the_time_of_each_record() -> None:
    batch = build_batch(RECORDS, codec=Codec.ZSTD)
    before = bytes(batch[HEADER_SIZE:])
    rewrite_timestamps(batch, log_append_time=True, max_timestamp=77_000)
    assert verify_crc(batch)
    assert batch[HEADER_SIZE:] == before
    assert read_header(batch).is_log_append_time
    assert [record.timestamp_ms for record in iter_records(batch)] == [77_000] * 3
    rewrite_timestamps(memoryview(batch), log_append_time=False, max_timestamp=1_500)
    assert batch == build_batch(RECORDS, codec=Codec.ZSTD)


@pytest.mark.parametrize("source", list(Codec))
@pytest.mark.parametrize("target", list(Codec))
def test_recompression_keeps_everything_else(source: Codec, target: Codec) -> None:
    batch = build_batch(RECORDS, codec=source, producer_id=5, producer_epoch=1, base_sequence=9)
    out = recompress(batch, target)
    assert verify_crc(out)
    assert list(iter_records(out)) == RECORDS
    header = read_header(out)
    assert header.codec is target
    assert header.size_bytes == len(out)
    kept = (
        "base_offset",
        "last_offset_delta",
        "max_timestamp",
        "producer_id",
        "base_sequence",
        "record_count",
    )
    assert [getattr(header, name) for name in kept] == [getattr(read_header(batch), name) for name in kept]


@pytest.mark.parametrize("bits", [5, 6, 7])
def test_unknown_codec(bits: int) -> None:
    batch = build_batch(RECORDS)
    batch[22] |= bits
    with pytest.raises(BrokerError) as caught:
        list(iter_records(batch))
    assert caught.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def _with_body(body: bytes, count: int) -> bytearray:
    batch = bytearray(HEADER_SIZE) + body
    HEADER.pack_into(batch, 0, 0, len(batch) - 12, -1, 2, 0, 0, count - 1, 0, 0, -1, -1, -1, count)
    set_crc(batch)
    return batch


@pytest.mark.parametrize(
    ("body", "count"),
    [
        pytest.param("", 1, id="no record"),
        pytest.param("0e00000001027600", 2, id="one record too few"),
        pytest.param("0e0000000102760000", 1, id="bytes left over"),
        pytest.param("0e000000010276", 1, id="cut"),
        pytest.param("0d00000001027600", 1, id="negative length"),
        pytest.param("1000000001027600", 1, id="length beyond the batch"),
        pytest.param("0c00000001027600", 1, id="length too short for its fields"),
        pytest.param("0e0000007e027600", 1, id="key beyond the record"),
        pytest.param("0e00000001fe017600", 1, id="value beyond the record"),
        pytest.param("0e00000001027602", 1, id="a header announced, none there"),
        pytest.param("0e00000001027601", 1, id="negative header count"),
        pytest.param("1200000001027602" + "0101", 1, id="header without key"),
        pytest.param("1400000001027602" + "02ff00", 1, id="header key not UTF-8"),
        pytest.param("0e00ffffffffffffffffffffff0101", 1, id="endless varint"),
    ],
)
def test_malformed_records(body: str, count: int) -> None:
    with pytest.raises(BrokerError) as caught:
        list(iter_records(_with_body(bytes.fromhex(body), count)))
    assert caught.value.code is ErrorCode.INVALID_RECORD


def test_delete_horizon() -> None:
    batch = build_batch([Record(0, 42, b"k", None)])
    batch[22] |= 0x40
    assert read_header(batch).delete_horizon == 42
