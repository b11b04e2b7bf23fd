"""One partition's log: batches are appended at its end and read from anywhere.

Here is the order in which things happen to a batch, and to a read. What is on disk, and where the log begins and ends,
is local_log.py. The nouns it works with: append_checks.py, producer_state.py, leader_epochs.py (what an append must
satisfy, and what is remembered of it), reading.py (what can be served), aborted_transactions.py. `append` stays in one
piece: a broker's time goes there, and every call that a split would add is paid for each produced batch.

Invariant: state changes only after the write succeeded. An append that raises leaves log, indexes, producers and
epochs as they were.

What must wait for the disk is handed out as a plan (`ColdRead`, `TimestampLookup`): `run` belongs in a thread pool,
everything here on one thread.
"""

from __future__ import annotations

from struct import Struct

from protocol.control_records import read_end_txn_marker
from protocol.crc import crc32c
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import rewrite_timestamps
from protocol.record_validation import check_batch
from protocol.records import (
    ATTRIBUTES_POSITION,
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC,
    TRANSACTIONAL_BIT,
    BatchHeader,
)
from protocol.types import Buffer, LeaderEpoch, Offset, ProducerId, TimestampMs
from storage.append_checks import AppendRules, check_coordinator, check_replicated
from storage.append_result import AppendOrigin, AppendResult
from storage.cold_read import ColdRead
from storage.config import LOG_APPEND_TIME, LogConfig
from storage.errors import CorruptLog, OffsetOutOfRange
from storage.local_log import LocalLog
from storage.producer_replay import replay_batch
from storage.read_result import ReadResult
from storage.rolling import note_index_growth, set_roll_time
from storage.segment import Segment
from storage.timestamp_lookup import TimestampLookup, TimestampOffset

__all__ = ["AppendOrigin", "AppendResult", "Log", "ReadResult"]

_HEADER_UNPACK = HEADER.unpack_from
_PLACE = Struct(">qii").pack_into  # base offset, batch length, leader epoch: what the log assigns, in one go

_ORDINARY_ATTRIBUTES = frozenset(codec | txn for codec in range(5) for txn in (0, TRANSACTIONAL_BIT))
"""Attributes that need no second look: a codec that exists, and perhaps transactional."""

_CLIENT = AppendOrigin.CLIENT  # looked up once: an enumeration's members are slow to get at
_SEQUENCE_MASK = 0x7FFFFFFF
_NO_TIMESTAMP = -1


class Log(LocalLog):
    """The log of one replica."""

    __slots__ = (
        "_flush_messages",
        "_header_is_enough",
        "_index_interval_bytes",
        "_max_message_bytes",
        "_rules",
        "_segment_bytes",
        "_stamps_time",
        "_timestamp_after_max_ms",
        "_timestamp_before_max_ms",
    )

    def configure(self, config: LogConfig) -> None:
        super().configure(config)
        self._rules = rules = AppendRules(config)
        self._header_is_enough = rules.header_is_enough
        self._timestamp_before_max_ms = rules.timestamp_before_max_ms
        self._timestamp_after_max_ms = rules.timestamp_after_max_ms
        self._max_message_bytes = config.max_message_bytes
        self._segment_bytes = config.segment_bytes
        self._index_interval_bytes = config.index_interval_bytes
        self._flush_messages = config.flush_messages
        self._stamps_time = config.message_timestamp_type == LOG_APPEND_TIME

    # -- append -------------------------------------------------------------------------------------------

    def append(  # noqa: PLR0912 - the hot path, flat and in the order that things must happen
        self,
        batch: bytearray | memoryview,
        *,
        leader_epoch: LeaderEpoch,
        now_ms: TimestampMs,
        origin: AppendOrigin = _CLIENT,
    ) -> AppendResult:
        """Writes one batch at the end of the log, with the next offsets and `leader_epoch` set in place.

        `batch` must be writable; what it holds afterwards is what was written, unless the topic demanded
        another codec. After a refusal it may be offered again as it is; after a failure its base offset is set.
        Raises: BrokerError INVALID_RECORD, MESSAGE_TOO_LARGE, CORRUPT_MESSAGE, INVALID_TIMESTAMP (with record
        errors), RECORD_LIST_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE, or a refusal of the producer state;
        StorageFailure.
        """
        # Is it sound? Its header tells, or a closer look at the whole.
        size, stamp = len(batch), None
        if size < HEADER_SIZE:
            check_batch(batch)  # raises
        (
            given_offset,
            length,
            _,
            magic,
            crc,
            attributes,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count,
        ) = _HEADER_UNPACK(batch)
        if (
            not self._header_is_enough
            or origin is not _CLIENT
            or attributes not in _ORDINARY_ATTRIBUTES
            or length + LOG_OVERHEAD != size
            or magic != MAGIC
            or given_offset != 0
            or size > self._max_message_bytes
            or last_offset_delta + 1 != record_count
            or record_count <= 0
            or (producer_id >= 0 and base_sequence < 0)
            or max_timestamp > now_ms + self._timestamp_after_max_ms
            or base_timestamp < now_ms - self._timestamp_before_max_ms
            or crc32c(batch[ATTRIBUTES_POSITION:], 0) != crc
        ):
            batch, header, stamp = self._rules.examine(batch, now_ms, from_client=origin is _CLIENT)
            size, length = len(batch), header.batch_length
            attributes, last_offset_delta = header.attributes, header.last_offset_delta
            max_timestamp = header.max_timestamp if stamp is None else stamp

        # May its producer write it, and has it not written it before?
        base_offset = self.log_end_offset
        last_offset = base_offset + last_offset_delta
        if producer_id >= 0:
            if attributes & CONTROL_BIT or origin is not _CLIENT:
                check_coordinator(self.producers, producer_id, producer_epoch, attributes, batch)
                last_sequence = -1
            else:
                last_sequence = (base_sequence + last_offset_delta) & _SEQUENCE_MASK
                written = self.producers.check(
                    producer_id,
                    producer_epoch,
                    base_sequence,
                    last_sequence,
                    attributes & TRANSACTIONAL_BIT != 0,
                )
                if written is not None:
                    return self._duplicate(written.first_offset, written.last_offset, written.timestamp_ms)

        # Where does it go?
        segment = self._segments.active
        if (
            segment.size_bytes + size > self._segment_bytes
            or max_timestamp > segment.roll_above_timestamp
            or now_ms > segment.roll_above_now
            or last_offset > segment.offset_max
        ):
            segment = self._segment_for(size, now_ms)
        if stamp is not None:
            rewrite_timestamps(batch, log_append_time=self._stamps_time, max_timestamp=stamp)
        _PLACE(batch, 0, base_offset, length, leader_epoch)
        position = (segment.file_if_open or self._files.open_active()).append(batch)

        # It is in the log, which is to be remembered: from here on nothing may fail.
        if segment.note_append(position, size, last_offset, max_timestamp, self._index_interval_bytes):
            note_index_growth(segment, self.config)
        if position == 0:
            segment.first_timestamp = max_timestamp
            segment.created_ms = now_ms
            set_roll_time(segment, self.config)
        if leader_epoch != self.leader_epochs.latest and leader_epoch >= 0:
            self.leader_epochs.assign(leader_epoch, base_offset)
        self.log_end_offset = end_offset = last_offset + 1
        if producer_id >= 0:
            if attributes & CONTROL_BIT:
                self._note_marker(segment, batch)
            else:
                self.producers.update(
                    producer_id,
                    producer_epoch,
                    base_sequence,
                    last_sequence,
                    base_offset,
                    last_offset,
                    max_timestamp,
                    attributes & TRANSACTIONAL_BIT != 0,
                )
        return AppendResult(
            base_offset,
            last_offset,
            max_timestamp,
            max_timestamp if self._stamps_time else _NO_TIMESTAMP,
            False,
            end_offset if end_offset - self.recovery_point >= self._flush_messages else -1,
        )

    def append_marker(
        self,
        batch: bytearray | memoryview,
        *,
        leader_epoch: LeaderEpoch,
        now_ms: TimestampMs,
        transaction_version: int,
    ) -> AppendResult:
        """Writes a transaction marker like `append`, for a coordinator that works by `transaction_version`: from 2 on
        the marker has a later epoch than what it ends.

        Raises: BrokerError INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED; and as `append`.
        """
        marker = read_end_txn_marker(batch)
        assert marker is not None
        header = BatchHeader._make(_HEADER_UNPACK(batch))
        self.producers.check_marker(
            header.producer_id, header.producer_epoch, marker.coordinator_epoch, transaction_version
        )
        return self.append(batch, leader_epoch=leader_epoch, now_ms=now_ms, origin=AppendOrigin.COORDINATOR)

    def append_replica(self, batches: Buffer) -> None:
        """Writes the batches that a leader sent, as they are; a batch cut off at the end is left out.

        Raises: BrokerError CORRUPT_MESSAGE or INVALID_RECORD with nothing written; OffsetOutOfRange for a
        first offset below the log end; StorageFailure, perhaps with some of the batches written.
        """
        start, end = self.log_start_offset, self.log_end_offset
        for header, batch in check_replicated(batches, log_start_offset=start, log_end_offset=end):
            self._append_verbatim(header, batch)

    def _append_verbatim(self, header: BatchHeader, batch: memoryview) -> None:
        segment = self._segments.active
        size = len(batch)
        last_offset = header.last_offset
        if (
            segment.size_bytes + size > self._segment_bytes
            or header.max_timestamp > segment.roll_above_timestamp
            or last_offset > segment.offset_max
        ) and segment.size_bytes:
            segment = self._files.roll(header.base_offset, _NO_TIMESTAMP)
        position = (segment.file_if_open or self._files.open_active()).append(batch)
        if segment.note_append(position, size, last_offset, header.max_timestamp, self._index_interval_bytes):
            note_index_growth(segment, self.config)
        if position == 0:
            segment.first_timestamp = header.max_timestamp
            set_roll_time(segment, self.config)
        if header.leader_epoch > self.leader_epochs.latest:
            self.leader_epochs.assign(header.leader_epoch, header.base_offset)
        self.log_end_offset = last_offset + 1
        aborted = replay_batch(self.producers, header, batch)
        if aborted is not None:
            self._aborted.add(segment, aborted)

    def _segment_for(self, size: int, now_ms: TimestampMs) -> Segment:
        """The segment for a batch that the active one is not to take."""
        if size > self._segment_bytes:
            raise BrokerError(
                ErrorCode.RECORD_LIST_TOO_LARGE,
                f"The batch has {size} bytes, more than a segment of {self._segment_bytes}.",
            )
        return self._files.roll(self.log_end_offset, now_ms)

    def _duplicate(self, first: Offset, last: Offset, timestamp_ms: TimestampMs) -> AppendResult:
        end_offset = self.log_end_offset
        return AppendResult(
            first,
            last,
            timestamp_ms,
            timestamp_ms if self._stamps_time else _NO_TIMESTAMP,
            True,
            end_offset if end_offset - self.recovery_point >= self._flush_messages else -1,
        )

    def _note_marker(self, segment: Segment, batch: Buffer) -> None:
        aborted = replay_batch(self.producers, BatchHeader._make(_HEADER_UNPACK(batch)), batch)
        if aborted is not None:
            self._aborted.add(segment, aborted)

    # -- read ---------------------------------------------------------------------------------------------

    def read(self, offset: Offset, max_bytes: int, upper: Offset, *, min_one: bool = True) -> ReadResult:
        """Finds the batches from `offset` up to `upper` (exclusive), at most `max_bytes`, in one segment.

        With `min_one` the first batch comes whole even if it is larger. `upper` must begin a batch or be the
        log end. Raises: OffsetOutOfRange; CorruptLog where records are missing that no cleaner can have taken
        out; StorageFailure.
        """
        log_end_offset = self.log_end_offset
        if not self.log_start_offset <= offset <= log_end_offset:
            raise OffsetOutOfRange(offset, self.log_start_offset, log_end_offset)
        if offset >= upper or offset == log_end_offset:
            return ReadResult(None, offset)
        segments = self._segments
        number = segments.number_at(offset)
        while True:
            segment = segments[number]
            number += 1
            is_active = segment is segments.active
            end_offset = log_end_offset if is_active else segments.base_offsets[number]
            result = self._reading.in_segment(
                segment, offset, max_bytes, min(upper, end_offset), end_offset, min_one
            )
            if result is not None:
                return result
            if not (is_active or self._reading.may_have_gaps):
                raise CorruptLog(segment.path, segment.size_bytes, f"ends before offset {offset}")
            if is_active or end_offset >= upper:
                return ReadResult(None, offset)

    def finish_read(self, cold: ColdRead) -> ReadResult:
        """Takes note of what a plan that has run without an error checked; returns what it read.

        Nothing when the log was truncated or cleaned meanwhile: the reader asks again, from the same offset. Raises:
        StorageFailure.
        """
        return self._reading.finish(cold)

    def aborted_transactions(self, start: Offset, end: Offset) -> list[tuple[ProducerId, Offset]]:
        """(producer id, first offset) of each aborted transaction with records in [start, end).

        Raises: CorruptLog, StorageFailure.
        """
        return self._aborted.between(start, end)

    @property
    def first_unstable_offset(self) -> Offset | None:
        """First offset of the oldest transaction whose outcome is not yet replicated; None without any."""
        first = self.producers.first_unstable_offset
        return None if first is None else max(first, self.log_start_offset)

    def earliest(self) -> TimestampOffset:
        """The log start offset with its epoch; no timestamp."""
        return TimestampOffset(
            _NO_TIMESTAMP, self.log_start_offset, self.leader_epochs.epoch_at(self.log_start_offset)
        )

    def latest(self) -> TimestampOffset:
        """The log end offset with the newest epoch; no timestamp."""
        return TimestampOffset(_NO_TIMESTAMP, self.log_end_offset, self.leader_epochs.latest)

    def lookup_timestamp(self, timestamp_ms: TimestampMs) -> TimestampLookup:
        """A plan that finds the first record at or after `timestamp_ms`."""
        return self._reading.lookup(timestamp_ms, self.log_start_offset)

    def max_timestamp(self) -> TimestampLookup:
        """A plan that finds the first record with the largest timestamp."""
        return self._reading.lookup(None, self.log_start_offset)
