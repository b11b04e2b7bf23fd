"""Judging a batch that a producer sent, before it goes into a log.

Three depths, each with its own price:
  `check_batch`           the header and the checksum; every batch, whoever sent it.
  `check_produced_batch`  also what only a client's batch must keep to.
  `validate_records`      timestamp bounds by the header alone. The records are walked under full validation and on
                          compacted topics, which need keys: each must be well-formed, offsets must run 0..n-1.
                          Where the header's timestamps are out of bounds they are walked to name those at fault.

Kafka walks every record of every batch; by default this does not, so a batch whose header lies about its records
is stored, and the lie is found by the reader. Wrong offsets are refused, where Kafka would rebuild the batch.

Not here: sequence numbers (the log's producer state) and the leader's own checks.
Source: KIP-467 (record errors), KIP-937 (timestamp bounds). Checked against LogValidator.java, DefaultRecord.java
and ProduceRequest.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from protocol.compression import DECOMPRESSED_BYTES_MAX
from protocol.crc import crc32c
from protocol.errors import BrokerError, ErrorCode
from protocol.record_walk import Faults, RecordFault, walk_records
from protocol.records import (
    ATTRIBUTES_POSITION,
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    LOG_APPEND_TIME_BIT,
    LOG_OVERHEAD,
    MAGIC,
    NO_PRODUCER_ID,
    NO_TIMESTAMP,
    BatchHeader,
    codec_of,
    record_bytes,
)

if TYPE_CHECKING:
    from protocol.types import Buffer, TimestampMs

_TEXTS = {
    RecordFault.TIMESTAMP: "The timestamp is out of the range that the topic accepts.",
    RecordFault.NULL_KEY: "A compacted topic takes no record without a key.",
    RecordFault.OFFSET: "The offset deltas of a batch must run from 0, one by one.",
}
_ALL_TIME = (-(1 << 64), 1 << 64)


class RecordError(NamedTuple):
    """Why one record made its batch fail; `batch_index` is its place in the batch, from 0."""

    batch_index: int
    message: str


class InvalidRecords(BrokerError):
    """A batch is refused for some of its records; `record_errors` names them, empty when none can be singled out."""

    def __init__(self, code: ErrorCode, message: str, record_errors: tuple[RecordError, ...] = ()) -> None:
        super().__init__(code, message)
        self.record_errors = record_errors


def check_batch(batch: Buffer) -> BatchHeader:
    """Return the header of `batch`, which must be exactly one v2 batch with the checksum it states.

    Raises: BrokerError INVALID_RECORD when it is no batch, several, or of another format; CORRUPT_MESSAGE when
    it is shorter than a header or fails its checksum.
    """
    size = len(batch)
    if size < HEADER_SIZE:
        if size == 0:
            raise BrokerError(ErrorCode.INVALID_RECORD, "There is no record batch.")
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, f"{size} bytes are too few for a record batch.")
    header = BatchHeader._make(HEADER.unpack_from(batch))
    if header.magic != MAGIC:
        raise BrokerError(
            ErrorCode.INVALID_RECORD, f"Record format v{header.magic} is not supported, only v2."
        )
    if header.batch_length != size - LOG_OVERHEAD:
        if header.batch_length < HEADER_SIZE - LOG_OVERHEAD:
            text = f"A batch length of {header.batch_length} is too small for a header."
            raise BrokerError(ErrorCode.CORRUPT_MESSAGE, text)
        raise BrokerError(ErrorCode.INVALID_RECORD, "Exactly one whole record batch is wanted.")
    if crc32c(memoryview(batch)[ATTRIBUTES_POSITION:], 0) != header.crc:
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, "The batch fails its checksum.")
    return header


def check_produced_batch(batch: Buffer, max_bytes: int) -> BatchHeader:
    """Return the header of a client's `batch` after every check that needs no record.

    Raises: BrokerError as `check_batch`; MESSAGE_TOO_LARGE beyond `max_bytes`; UNSUPPORTED_COMPRESSION_TYPE; and
    INVALID_RECORD for a base offset other than 0, a count that disagrees with the last offset, a control batch,
    or a producer id without sequence.
    """
    # Before the checksum: what is refused for its size costs nothing.
    if len(batch) > max_bytes >= HEADER_SIZE:
        raise BrokerError(
            ErrorCode.MESSAGE_TOO_LARGE, f"The batch has {len(batch)} bytes, more than {max_bytes}."
        )
    header = check_batch(batch)
    if header.base_offset != 0:
        raise BrokerError(ErrorCode.INVALID_RECORD, "The base offset of a produced batch must be 0.")
    if header.record_count <= 0 or header.last_offset_delta != header.record_count - 1:
        text = f"{header.record_count} records do not go with last offset delta {header.last_offset_delta}."
        raise BrokerError(ErrorCode.INVALID_RECORD, text)
    if header.attributes & CONTROL_BIT:
        raise BrokerError(ErrorCode.INVALID_RECORD, "Clients may not write control records.")
    if header.producer_id != NO_PRODUCER_ID and header.base_sequence < 0:
        raise BrokerError(ErrorCode.INVALID_RECORD, "A batch with a producer id needs a sequence number.")
    codec_of(header.attributes)
    return header


def validate_records(
    batch: Buffer,
    header: BatchHeader,
    *,
    compacted: bool,
    full: bool,
    log_append_time: bool = False,
    earliest_ms: TimestampMs,
    latest_ms: TimestampMs,
    max_size: int = DECOMPRESSED_BYTES_MAX,
) -> TimestampMs:
    """Check the records of a batch that passed `check_produced_batch`; return their greatest timestamp.

    `compacted`: the topic needs keys. `full`: check every record. `log_append_time`: the topic stamps records
    itself; otherwise their timestamps must lie in `earliest_ms`..`latest_ms` (both inclusive, -1 always passes).
    The result is the header's own figure unless the records were walked; where it differs from the header, or
    where the topic's timestamp type does, the caller sets them with `rewrite_timestamps`.

    Raises: InvalidRecords INVALID_TIMESTAMP or INVALID_RECORD; BrokerError INVALID_RECORD when the records are
    not well-formed or decompress to more than `max_size` bytes.
    """
    bounded = not log_append_time
    if header.attributes & LOG_APPEND_TIME_BIT:
        # The claim makes max_timestamp the time of every record; Kafka lets it pass where bounds hold for that.
        _check_claimed_append_time(header.max_timestamp, bounded, earliest_ms, latest_ms)
        bounded = False
    suspicious = bounded and (
        header.max_timestamp > latest_ms or NO_TIMESTAMP != header.base_timestamp < earliest_ms
    )
    if not (full or compacted or suspicious):
        return header.max_timestamp
    if not bounded:
        earliest_ms, latest_ms = _ALL_TIME
    greatest, faults = walk_records(
        record_bytes(batch, header, max_size),
        header.record_count,
        header.base_timestamp,
        earliest_ms,
        latest_ms,
        key_required=compacted,
    )
    if faults:
        raise _refusal(faults)
    return greatest if bounded else header.max_timestamp


def _refusal(faults: Faults) -> InvalidRecords:
    """Return the error for a batch with `faults`; one bad timestamp decides the code for all."""
    code = ErrorCode.INVALID_RECORD
    if any(fault is RecordFault.TIMESTAMP for _, fault in faults):
        code = ErrorCode.INVALID_TIMESTAMP
    errors = tuple(RecordError(index, _TEXTS[fault]) for index, fault in faults)
    return InvalidRecords(code, f"Refused for {len(errors)} of its records: {errors[0].message}", errors)


def _check_claimed_append_time(
    stamp: TimestampMs, bounded: bool, earliest_ms: TimestampMs, latest_ms: TimestampMs
) -> None:
    if not bounded or stamp == NO_TIMESTAMP or not earliest_ms <= stamp <= latest_ms:
        text = "A producer may not set the timestamp type to LogAppendTime."
        raise InvalidRecords(ErrorCode.INVALID_TIMESTAMP, text)
