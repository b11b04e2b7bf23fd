"""Building record batches v2: from records, or from the record bytes of another batch.

A builder computes everything but what the log assigns: whoever appends sets base offset and leader epoch in place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from protocol.compression import DECOMPRESSED_BYTES_MAX, Codec, compress
from protocol.primitives import write_varint, write_varlong
from protocol.records import (
    CODEC_MASK,
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    LOG_APPEND_TIME_BIT,
    LOG_OVERHEAD,
    MAGIC,
    NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    TRANSACTIONAL_BIT,
    Record,
    read_header,
    record_bytes,
    set_crc,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from protocol.types import Buffer, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs

_NULL = b"\x01"  # zigzag -1
_CACHED_VARINTS = 1 << 14


class RecordBatchBuilder:
    """One batch in the making: `append` records in ascending offset order, then `build` once."""

    __slots__ = (
        "_attributes",
        "_base_offset",
        "_base_sequence",
        "_base_timestamp",
        "_body",
        "_codec",
        "_count",
        "_last_offset",
        "_leader_epoch",
        "_level",
        "_max_timestamp",
        "_producer_epoch",
        "_producer_id",
    )

    def __init__(
        self,
        *,
        codec: Codec = Codec.NONE,
        level: int | None = None,
        base_offset: Offset = 0,
        leader_epoch: LeaderEpoch = NO_LEADER_EPOCH,
        producer_id: ProducerId = NO_PRODUCER_ID,
        producer_epoch: ProducerEpoch = NO_PRODUCER_EPOCH,
        base_sequence: int = NO_SEQUENCE,
        transactional: bool = False,
        control: bool = False,
    ) -> None:
        self._codec = codec
        self._level = level
        self._base_offset = base_offset
        self._leader_epoch = leader_epoch
        self._producer_id = producer_id
        self._producer_epoch = producer_epoch
        self._base_sequence = base_sequence
        self._attributes = codec | TRANSACTIONAL_BIT * transactional | CONTROL_BIT * control
        self._body = bytearray()
        self._count = 0
        self._last_offset = base_offset - 1
        self._base_timestamp = NO_TIMESTAMP
        self._max_timestamp = NO_TIMESTAMP

    def __len__(self) -> int:
        """Number of records appended so far."""
        return self._count

    @property
    def size_bytes(self) -> int:
        """Size of the batch if it were built now without compression."""
        return HEADER_SIZE + len(self._body)

    def append(
        self,
        value: Buffer | None,
        *,
        key: Buffer | None = None,
        timestamp_ms: TimestampMs = NO_TIMESTAMP,
        headers: Sequence[tuple[str, Buffer | None]] = (),
        offset: Offset | None = None,
    ) -> None:
        """Add a record; `offset` defaults to the one after the last."""
        if offset is None:
            offset = self._last_offset + 1
        elif offset <= self._last_offset:
            raise ValueError(f"offset {offset} does not follow {self._last_offset}")
        if self._count == 0:
            self._base_timestamp = timestamp_ms
        self._max_timestamp = max(self._max_timestamp, timestamp_ms)
        record = bytearray(1)  # attributes: no bit is defined
        write_varlong(record, timestamp_ms - self._base_timestamp)
        write_varint(record, offset - self._base_offset)
        _write_nullable_bytes(record, key)
        _write_nullable_bytes(record, value)
        record += _headers_bytes(headers)
        write_varint(self._body, len(record))
        self._body += record
        self._count += 1
        self._last_offset = offset

    def extend(
        self,
        keys: Iterable[bytes | None],
        values: Iterable[bytes | None],
        *,
        timestamp_ms: TimestampMs = NO_TIMESTAMP,
        headers: Sequence[tuple[str, Buffer | None]] = (),
    ) -> None:
        """Add records of one time and with the same headers, as `append` would one by one, but several times faster."""
        if self._count == 0:
            self._base_timestamp = timestamp_ms
        offset_delta = first = self._last_offset + 1 - self._base_offset
        head = bytearray(1)  # as in `append`
        write_varlong(head, timestamp_ms - self._base_timestamp)
        before = bytes(head)
        after = _headers_bytes(headers)
        shared_size = len(before) + len(after)
        varint = _varint
        pieces: list[bytes] = []
        for key, value in zip(keys, values, strict=True):
            offset = varint(offset_delta)
            key_head, key_bytes = (_NULL, b"") if key is None else (varint(len(key)), key)
            value_head, value_bytes = (_NULL, b"") if value is None else (varint(len(value)), value)
            size = (
                shared_size
                + len(offset)
                + len(key_head)
                + len(key_bytes)
                + len(value_head)
                + len(value_bytes)
            )
            pieces += (varint(size), before, offset, key_head, key_bytes, value_head, value_bytes, after)
            offset_delta += 1
        if offset_delta == first:
            return
        self._body += b"".join(pieces)
        self._max_timestamp = max(self._max_timestamp, timestamp_ms)
        self._count += offset_delta - first
        self._last_offset = self._base_offset + offset_delta - 1

    def build(self) -> bytearray:
        """Return the batch, whole and with its checksum."""
        blob = self._body if self._codec == Codec.NONE else compress(self._codec, self._body, self._level)
        batch = bytearray(HEADER_SIZE)
        HEADER.pack_into(
            batch,
            0,
            self._base_offset,
            HEADER_SIZE - LOG_OVERHEAD + len(blob),
            self._leader_epoch,
            MAGIC,
            0,
            self._attributes,
            self._last_offset - self._base_offset,
            self._base_timestamp,
            self._max_timestamp,
            self._producer_id,
            self._producer_epoch,
            self._base_sequence,
            self._count,
        )
        batch += blob
        set_crc(batch)
        return batch


def build_batch(
    records: Iterable[Record],
    *,
    codec: Codec = Codec.NONE,
    level: int | None = None,
    base_offset: Offset = 0,
    leader_epoch: LeaderEpoch = NO_LEADER_EPOCH,
    producer_id: ProducerId = NO_PRODUCER_ID,
    producer_epoch: ProducerEpoch = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    transactional: bool = False,
) -> bytearray:
    """Return one batch of `records`, whose offsets ascend from `base_offset` on, with or without gaps."""
    builder = RecordBatchBuilder(
        codec=codec,
        level=level,
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        transactional=transactional,
    )
    for offset, timestamp_ms, key, value, headers in records:
        builder.append(value, key=key, timestamp_ms=timestamp_ms, headers=headers, offset=offset)
    return builder.build()


def recompress(
    batch: Buffer, codec: Codec, level: int | None = None, max_size: int = DECOMPRESSED_BYTES_MAX
) -> bytearray:
    """Return a copy of one whole batch with its records under another codec; no record is looked at.

    Raises: BrokerError INVALID_RECORD when the records do not decompress to at most `max_size` bytes.
    """
    header = read_header(batch)
    blob = compress(codec, record_bytes(batch, header, max_size), level)
    out = bytearray(HEADER_SIZE)
    attributes = header.attributes & ~CODEC_MASK | codec
    length = HEADER_SIZE - LOG_OVERHEAD + len(blob)
    HEADER.pack_into(out, 0, *header._replace(attributes=attributes, batch_length=length))
    out += blob
    set_crc(out)
    return out


def rewrite_timestamps(
    batch: bytearray | memoryview, *, log_append_time: bool, max_timestamp: TimestampMs
) -> None:
    """Set timestamp type and greatest timestamp of one whole batch in place, and its checksum.

    Under append time every record has `max_timestamp`; what each carries itself stays as it is.
    """
    fields = read_header(batch)
    attributes = fields.attributes & ~LOG_APPEND_TIME_BIT | LOG_APPEND_TIME_BIT * log_append_time
    HEADER.pack_into(batch, 0, *fields._replace(attributes=attributes, max_timestamp=max_timestamp))
    set_crc(batch)


def _headers_bytes(headers: Sequence[tuple[str, Buffer | None]]) -> bytes:
    if not headers:
        return b"\x00"
    out = bytearray()
    write_varint(out, len(headers))
    for name, value in headers:
        _write_nullable_bytes(out, name.encode("utf-8"))
        _write_nullable_bytes(out, value)
    return bytes(out)


@lru_cache(_CACHED_VARINTS)
def _varint(value: int) -> bytes:
    """The varint of a length or an offset delta; the same few come again and again."""
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


def _write_nullable_bytes(out: bytearray, data: Buffer | None) -> None:
    if data is None:
        out += _NULL
    else:
        write_varint(out, len(data))
        out += data
