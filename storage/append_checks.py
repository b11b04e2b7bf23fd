"""What is checked of a batch beyond the quick look that every append takes at its header.

`Log.append` decides by the header alone whether a client's batch needs anything of this: a wrong or odd header,
a timestamp out of bounds, a topic that wants keys, its own time, its own codec, or every record looked at. What a
coordinator or a leader sends always comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compression import Codec
from protocol.control_records import read_end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import recompress
from protocol.record_validation import check_batch, check_produced_batch, validate_records
from protocol.records import (
    CODEC_MASK,
    CONTROL_BIT,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    iter_batches,
    read_header,
)
from protocol.types import Buffer, Offset, ProducerEpoch, ProducerId, TimestampMs
from storage.config import LOG_APPEND_TIME, PRODUCER, VALIDATE_FULL, LogConfig
from storage.errors import OffsetOutOfRange

if TYPE_CHECKING:
    from storage.producer_state import ProducerStateManager

_CODECS = {"uncompressed": Codec.NONE} | {codec.name.lower(): codec for codec in Codec if codec}


class AppendRules:
    """One topic's demands on a batch, taken from its configuration."""

    __slots__ = (
        "_codec",
        "_compacted",
        "_full",
        "_level",
        "_log_append_time",
        "_max_bytes",
        "header_is_enough",
        "timestamp_after_max_ms",
        "timestamp_before_max_ms",
    )

    def __init__(self, config: LogConfig) -> None:
        self._max_bytes = config.max_message_bytes
        self._compacted = config.compacts
        self._full = config.validation == VALIDATE_FULL
        self._log_append_time = config.message_timestamp_type == LOG_APPEND_TIME
        self._codec = None if config.compression_type == PRODUCER else _CODECS[config.compression_type]
        self._level = _level(config, self._codec)
        self.timestamp_before_max_ms = config.message_timestamp_before_max_ms
        self.timestamp_after_max_ms = config.message_timestamp_after_max_ms
        self.header_is_enough = not (
            self._compacted or self._full or self._log_append_time or self._codec is not None
        )
        """Whether a client's batch with a sound and ordinary header may be written as it is."""

    def examine(
        self, batch: bytearray | memoryview, now_ms: TimestampMs, *, from_client: bool
    ) -> tuple[bytearray | memoryview, BatchHeader, TimestampMs | None]:
        """Checks everything that the topic demands; returns the batch to write (a new one, if its codec is not the
        topic's), its header, and the greatest timestamp that `rewrite_timestamps` is to set before it is written; None
        if it has the right one. `batch` itself stays as it was.

        Raises: BrokerError.
        """
        if not from_client:
            header = check_batch(batch)
            greatest = header.max_timestamp
        else:
            header = check_produced_batch(batch, self._max_bytes)
            greatest = validate_records(
                batch,
                header,
                compacted=self._compacted,
                full=self._full,
                log_append_time=self._log_append_time,
                earliest_ms=now_ms - self.timestamp_before_max_ms,
                latest_ms=now_ms + self.timestamp_after_max_ms,
            )
            batch = self._with_codec(batch, header)
        if self._log_append_time:
            greatest = now_ms
        stamped = header.attributes & LOG_APPEND_TIME_BIT != 0
        is_right = greatest == header.max_timestamp and stamped == self._log_append_time
        return batch, read_header(batch), None if is_right else greatest

    def _with_codec(self, batch: bytearray | memoryview, header: BatchHeader) -> bytearray | memoryview:
        """The batch under the topic's codec, which may make it too large."""
        if self._codec is None or header.attributes & CODEC_MASK == self._codec:
            return batch
        batch = recompress(batch, self._codec, self._level)
        if len(batch) > self._max_bytes:
            raise BrokerError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"Under the topic's codec the batch has {len(batch)} bytes, more than {self._max_bytes}.",
            )
        return batch


def check_coordinator(
    producers: ProducerStateManager,
    producer_id: ProducerId,
    epoch: ProducerEpoch,
    attributes: int,
    batch: Buffer,
) -> None:
    """Whether a batch of a coordinator, a marker or one without a sequence, may be written. Raises: BrokerError."""
    if not attributes & CONTROL_BIT:
        producers.check_coordinator(producer_id, epoch, attributes & TRANSACTIONAL_BIT != 0)
        return
    marker = read_end_txn_marker(batch)
    if marker is not None:
        producers.check_marker(producer_id, epoch, marker.coordinator_epoch, 0)


def check_replicated(
    batches: Buffer, *, log_start_offset: Offset, log_end_offset: Offset
) -> list[tuple[BatchHeader, memoryview]]:
    """The batches that a leader sent, all of them sound and in order, each with its header; one cut off at the end is
    left out. Raises: BrokerError; OffsetOutOfRange where one begins below the log end, or below one before it.
    """
    checked: list[tuple[BatchHeader, memoryview]] = []
    due = log_end_offset
    for batch in iter_batches(batches):
        header = check_batch(batch)
        if header.base_offset < due:
            raise OffsetOutOfRange(header.base_offset, log_start_offset, due)
        due = header.last_offset + 1
        checked.append((header, batch))
    return checked


def _level(config: LogConfig, codec: Codec | None) -> int | None:
    if codec is Codec.GZIP:
        return None if config.compression_gzip_level < 0 else config.compression_gzip_level
    if codec is Codec.LZ4:
        return config.compression_lz4_level
    if codec is Codec.ZSTD:
        return config.compression_zstd_level
    return None
