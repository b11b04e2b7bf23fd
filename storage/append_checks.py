"""What a topic demands of a batch beyond the quick look that every append takes at its header.

`Log.append` decides by the header alone whether a client's batch needs anything of this: a wrong or odd header,
a timestamp out of bounds, a topic that wants keys, its own time, its own codec, or every record looked at.
"""

from __future__ import annotations

from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import recompress, rewrite_timestamps
from protocol.record_validation import check_batch, check_produced_batch, validate_records
from protocol.records import CODEC_MASK, LOG_APPEND_TIME_BIT, BatchHeader, read_header
from protocol.types import TimestampMs
from storage.config import LOG_APPEND_TIME, PRODUCER, VALIDATE_FULL, LogConfig

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
    ) -> tuple[bytearray | memoryview, BatchHeader]:
        """Checks everything that the topic demands; returns the batch to write, rewritten where the topic
        demands that (in place, or a new one), and its header.

        Raises: BrokerError; the batch is then as it was.
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
        if greatest != header.max_timestamp or stamped != self._log_append_time:
            rewrite_timestamps(batch, log_append_time=self._log_append_time, max_timestamp=greatest)
        return batch, read_header(batch)

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


def _level(config: LogConfig, codec: Codec | None) -> int | None:
    if codec is Codec.GZIP:
        return None if config.compression_gzip_level < 0 else config.compression_gzip_level
    if codec is Codec.LZ4:
        return config.compression_lz4_level
    if codec is Codec.ZSTD:
        return config.compression_zstd_level
    return None
