"""Record batch v2: a view of its header, its checksum, and the records inside.

Not here: building batches (record_builder.py), judging what a producer sent (record_validation.py), control
batches (control_records.py). Formats v0 and v1 are not spoken.

Layout, big-endian: base_offset i64 | batch_length i32 | leader_epoch i32 | magic i8 | crc u32 | attributes i16 |
last_offset_delta i32 | base_timestamp i64 | max_timestamp i64 | producer_id i64 | producer_epoch i16 |
base_sequence i32 | record_count i32 | records, compressed as one blob.
`batch_length` counts what follows it. The checksum is CRC-32C over everything from `attributes` on: a broker may
set base offset and leader epoch without touching it.
Record: varint length | i8 attributes | varlong timestamp_delta | varint offset_delta | varint key length, key |
varint value length, value | varint header count, headers; -1 is null; all of them zigzag.

Source: KIP-98, KIP-32; bit 6 of the attributes KIP-534. Checked against DefaultRecordBatch.java and DefaultRecord.java.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from protocol.compression import DECOMPRESSED_BYTES_MAX, Codec, decompress
from protocol.crc import crc32c
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.primitives import read_varint, read_varlong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.types import (
        Buffer,
        LeaderEpoch,
        Offset,
        Position,
        ProducerEpoch,
        ProducerId,
        TimestampMs,
    )

HEADER = Struct(">qiibIhiqqqhii")
HEADER_SIZE = 61
LOG_OVERHEAD = 12
"""Bytes of base_offset and batch_length, which batch_length does not count."""
MAGIC = 2

# Positions of fields within a batch.
BATCH_LENGTH_POSITION = 8
LEADER_EPOCH_POSITION = 12
MAGIC_POSITION = 16
CRC_POSITION = 17
ATTRIBUTES_POSITION = 21

# Bits of the attributes.
CODEC_MASK = 0x07
LOG_APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40

NO_TIMESTAMP = -1
NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_LEADER_EPOCH = -1

_RECORD_BYTES_MIN = 7  # length, attributes, two deltas, two null lengths, header count
_CODECS = {int(codec): codec for codec in Codec}


class BatchHeader(NamedTuple):
    """The 61 bytes before the records, as numbers."""

    base_offset: Offset
    batch_length: int
    leader_epoch: LeaderEpoch
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: TimestampMs
    max_timestamp: TimestampMs
    producer_id: ProducerId
    producer_epoch: ProducerEpoch
    base_sequence: int
    record_count: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole batch, header included."""
        return self.batch_length + LOG_OVERHEAD

    @property
    def last_offset(self) -> Offset:
        """Offset of the last record (inclusive)."""
        return self.base_offset + self.last_offset_delta

    @property
    def last_sequence(self) -> int:
        """Sequence number of the last record; sequences wrap from 2^31 - 1 to 0. -1 without sequences."""
        if self.base_sequence < 0:
            return NO_SEQUENCE
        return (self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF

    @property
    def codec(self) -> Codec:
        """How the records are compressed.

        Raises: BrokerError UNSUPPORTED_COMPRESSION_TYPE for bits that stand for no codec.
        """
        return codec_of(self.attributes)

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_BIT != 0

    @property
    def is_control(self) -> bool:
        """Whether this is a marker of the broker, which consumers skip."""
        return self.attributes & CONTROL_BIT != 0

    @property
    def is_log_append_time(self) -> bool:
        """Whether every record carries `max_timestamp`, the time of the append, instead of its own."""
        return self.attributes & LOG_APPEND_TIME_BIT != 0

    @property
    def delete_horizon(self) -> TimestampMs | None:
        """Time from which tombstones and markers of the batch may go; it then stands in `base_timestamp`."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else None


class Record(NamedTuple):
    """One record, in absolute terms."""

    offset: Offset
    timestamp_ms: TimestampMs
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def codec_of(attributes: int) -> Codec:
    """Return the codec that the attributes of a batch name.

    Raises: BrokerError UNSUPPORTED_COMPRESSION_TYPE for bits that stand for no codec.
    """
    codec = _CODECS.get(attributes & CODEC_MASK)
    if codec is None:
        text = f"Compression codec {attributes & CODEC_MASK} does not exist."
        raise BrokerError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, text)
    return codec


def read_header(buf: Buffer, pos: Position = 0) -> BatchHeader:
    """Return the header of the batch at `pos`, of which 61 bytes must be there. Checks nothing."""
    return BatchHeader._make(HEADER.unpack_from(buf, pos))


def verify_crc(buf: Buffer, pos: Position = 0, size: int | None = None) -> bool:
    """Return whether the batch of `size` bytes at `pos` (default: all from there) has the checksum it states."""
    end = len(buf) if size is None else pos + size
    view = memoryview(buf)[pos:end]
    return crc32c(view[ATTRIBUTES_POSITION:], 0) == int.from_bytes(
        view[CRC_POSITION:ATTRIBUTES_POSITION], "big"
    )


def set_crc(batch: bytearray | memoryview) -> None:
    """Compute the checksum of one whole batch and store it in place."""
    crc = crc32c(memoryview(batch)[ATTRIBUTES_POSITION:], 0)
    batch[CRC_POSITION:ATTRIBUTES_POSITION] = crc.to_bytes(4, "big")


def iter_batches(buf: Buffer) -> Iterator[memoryview]:
    """Yield each whole batch of `buf`; a batch cut off at the end is left out, as consumers do.

    Raises: BrokerError CORRUPT_MESSAGE when a length is too small for a batch or the format is not v2.
    """
    view = memoryview(buf)
    pos = 0
    end = len(view)
    while pos + HEADER_SIZE <= end:
        size = int.from_bytes(
            view[pos + BATCH_LENGTH_POSITION : pos + LEADER_EPOCH_POSITION], "big", signed=True
        )
        size += LOG_OVERHEAD
        if size < HEADER_SIZE or view[pos + MAGIC_POSITION] != MAGIC:
            raise BrokerError(ErrorCode.CORRUPT_MESSAGE, f"There is no batch at byte {pos}.")
        if pos + size > end:
            return
        yield view[pos : pos + size]
        pos += size


def record_bytes(batch: Buffer, header: BatchHeader, max_size: int = DECOMPRESSED_BYTES_MAX) -> Buffer:
    """Return the records of one whole batch as they lie uncompressed, a view of `batch` where possible.

    Raises: BrokerError INVALID_RECORD when they do not decompress to at most `max_size` bytes.
    """
    body = memoryview(batch)[HEADER_SIZE:]
    codec = codec_of(header.attributes)
    return body if codec == Codec.NONE else decompress(codec, body, max_size)


def iter_records(batch: Buffer, max_size: int = DECOMPRESSED_BYTES_MAX) -> Iterator[Record]:
    """Yield the records of one whole batch, control records included; the checksum is not looked at.

    Raises: BrokerError INVALID_RECORD when the records are not well-formed or not as many as stated.
    """
    header = read_header(batch)
    body = bytes(record_bytes(batch, header, max_size))
    append_time = header.max_timestamp if header.is_log_append_time else None
    base_offset = header.base_offset
    base_timestamp = header.base_timestamp
    pos = 0
    for index in range(header.record_count):
        try:
            timestamp_delta, offset_delta, key, value, headers, pos = _read_record(body, pos)
        except (ValueError, ProtocolViolation) as error:
            raise malformed_record(index, str(error)) from error
        timestamp_ms = base_timestamp + timestamp_delta if append_time is None else append_time
        yield Record(base_offset + offset_delta, timestamp_ms, key, value, headers)
    if pos != len(body):
        raise malformed_record(header.record_count, "bytes are left after the last record")


def malformed_record(index: int, reason: str) -> BrokerError:
    return BrokerError(ErrorCode.INVALID_RECORD, f"Record {index} of the batch is malformed: {reason}.")


_Headers = tuple[tuple[str, bytes | None], ...]


def _read_record(buf: bytes, pos: int) -> tuple[int, int, bytes | None, bytes | None, _Headers, int]:
    """Read one record; raise ValueError or ProtocolViolation where the bytes do not make one."""
    length, pos = read_varint(buf, pos)
    end = pos + length
    if length < _RECORD_BYTES_MIN - 1 or end > len(buf):
        raise ValueError("its length does not fit the batch")
    timestamp_delta, pos = read_varlong(buf, pos + 1)
    offset_delta, pos = read_varint(buf, pos)
    key, pos = _read_nullable_bytes(buf, pos, end)
    value, pos = _read_nullable_bytes(buf, pos, end)
    count, pos = read_varint(buf, pos)
    if count < 0 or count > end - pos:
        raise ValueError("its header count does not fit it")
    headers = []
    for _ in range(count):
        name, pos = _read_nullable_bytes(buf, pos, end)
        if name is None:
            raise ValueError("a header has no key")
        header_value, pos = _read_nullable_bytes(buf, pos, end)
        headers.append((name.decode("utf-8"), header_value))
    if pos != end:
        raise ValueError("its length is not that of its fields")
    return timestamp_delta, offset_delta, key, value, tuple(headers), pos


def _read_nullable_bytes(buf: bytes, pos: int, end: int) -> tuple[bytes | None, int]:
    length, pos = read_varint(buf, pos)
    if length < 0:
        return None, pos
    if length > end - pos:
        raise ValueError("a field reaches beyond it")
    return buf[pos : pos + length], pos + length
