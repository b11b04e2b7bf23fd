"""One partition's log: append, read, roll, truncate over its segments.

Here are its offsets and the order in which things happen. The nouns it works with: segment_list.py, segment_files.py
(segments come and go), unsynced.py (what is not on disk), reading.py (what can be served), producer_state.py,
leader_epochs.py, aborted_transactions.py. `append` stays in one piece: a broker's time goes there, and every call that
a split would add is paid for each produced batch.

Not here: recovery (recovery/), what retention decides (retention.py), the high watermark (replication).

    log_start_offset    recovery_point            log_end_offset
         |                 |                         |
         v   on disk       v   perhaps not yet       v  offset of the next record
    [ segment 0 ][ segment 1 ][ segment 2, active ...

Invariants:
- There is always an active segment, the last one. Segments ascend; each reaches to the next one's base offset.
- recovery_point <= log_end_offset and log_start_offset <= log_end_offset.
- State changes only after the write succeeded: an append that raises leaves log, indexes, producers and epochs
  as they were.
- No segment is deleted before everything behind it is on disk: no crash can empty a log.

Only truncating and closing wait for the disk. All else that must is handed out as a plan (`FlushPlan`,
`ColdRead`, `TimestampLookup`, `DeletePlan`): `run` belongs in a thread pool, everything here on one thread.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from protocol.control_records import read_end_txn_marker
from protocol.crc import crc32c
from protocol.errors import BrokerError, ErrorCode
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
from protocol.types import (
    ZERO_UUID,
    Buffer,
    LeaderEpoch,
    Offset,
    ProducerId,
    TimestampMs,
    TopicPartition,
)
from storage.aborted_transactions import AbortedTransactions
from storage.append_checks import AppendRules, check_coordinator, check_replicated
from storage.append_result import AppendOrigin, AppendResult
from storage.cold_read import ColdRead
from storage.config import LOG_APPEND_TIME, LogConfig
from storage.errors import CorruptLog, OffsetOutOfRange
from storage.flush import DeletePlan, FlushPlan
from storage.leader_epochs import LeaderEpochCache
from storage.producer_replay import replay_batch, replay_segments
from storage.producer_state import ProducerStateManager
from storage.read_result import ReadResult
from storage.reading import Reading
from storage.retention import count_expired, facts_of
from storage.rolling import note_index_growth, set_roll_time
from storage.segment import UNKNOWN, Segment
from storage.segment_files import SegmentFiles
from storage.segment_list import SegmentList
from storage.timestamp_lookup import TimestampLookup, TimestampOffset
from storage.unsynced import Unsynced

if TYPE_CHECKING:
    from storage.fs import FileSystem

__all__ = ["AppendOrigin", "AppendResult", "Log", "ReadResult"]

_HEADER_UNPACK = HEADER.unpack_from
_PLACE = Struct(">qii").pack_into  # base offset, batch length, leader epoch: what the log assigns, in one go

_ORDINARY_ATTRIBUTES = frozenset(codec | txn for codec in range(5) for txn in (0, TRANSACTIONAL_BIT))
"""Attributes that need no second look: a codec that exists, and perhaps transactional."""

_SEQUENCE_MASK = 0x7FFFFFFF
_NO_TIMESTAMP = -1


class Log:
    """The log of one replica."""

    __slots__ = (
        "_aborted",
        "_files",
        "_flush_messages",
        "_fs",
        "_header_is_enough",
        "_index_interval_bytes",
        "_max_message_bytes",
        "_reading",
        "_rules",
        "_segment_bytes",
        "_segments",
        "_stamps_time",
        "_timestamp_after_max_ms",
        "_timestamp_before_max_ms",
        "_unsynced",
        "config",
        "directory",
        "generation",
        "leader_epochs",
        "log_end_offset",
        "log_start_offset",
        "producers",
        "recovery_point",
        "topic_id",
        "topic_partition",
    )

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        topic_partition: TopicPartition,
        config: LogConfig,
        *,
        topic_id: bytes = ZERO_UUID,
        segments: list[Segment],
        log_start_offset: Offset,
        log_end_offset: Offset,
        recovery_point: Offset,
        leader_epochs: LeaderEpochCache,
        producers: ProducerStateManager,
        was_closed: bool,
        cleaned: bool = False,
    ) -> None:
        """Takes over loaded parts; see `storage.recovery.loader` for how to open a log. `was_closed` says that all of
        them are on disk, `cleaned` that the log was compacted at some time.
        """
        self.topic_partition = topic_partition
        self.directory = directory
        self.topic_id = topic_id
        self.log_start_offset = log_start_offset
        """First offset a client may read."""
        self.log_end_offset = log_end_offset
        """Offset of the next record."""
        self.recovery_point = recovery_point
        """Everything below is on stable storage; recovery begins here."""
        self.leader_epochs = leader_epochs
        self.producers = producers
        self._fs = fs
        self._segments = SegmentList(segments)
        active = segments[-1]
        active.add_hint(log_end_offset, active.size_bytes)  # readers at the end need not look for it
        self._reading = Reading(fs, self._segments, leader_epochs, may_have_gaps=cleaned)
        self.generation = self._reading.generation
        self._unsynced = Unsynced(
            fs,
            directory,
            self._segments,
            leader_epochs,
            recovery_point=recovery_point,
            closed_end=log_end_offset if was_closed else UNKNOWN,
        )
        self._aborted = AbortedTransactions(self._segments, self._unsynced)
        self._files = SegmentFiles(
            fs,
            directory,
            self._segments,
            unsynced=self._unsynced,
            producers=producers,
            generation=self.generation,
        )
        self.configure(config)

    def configure(self, config: LogConfig) -> None:
        """Takes up new settings; they hold from the next append on."""
        self.config = config
        self._rules = rules = AppendRules(config)
        self._header_is_enough = rules.header_is_enough
        self._timestamp_before_max_ms = rules.timestamp_before_max_ms
        self._timestamp_after_max_ms = rules.timestamp_after_max_ms
        self._max_message_bytes = config.max_message_bytes
        self._segment_bytes = config.segment_bytes
        self._index_interval_bytes = config.index_interval_bytes
        self._flush_messages = config.flush_messages
        self._reading.may_have_gaps |= config.compacts
        self._stamps_time = config.message_timestamp_type == LOG_APPEND_TIME
        set_roll_time(self._segments.active, config)

    def __repr__(self) -> str:
        return f"Log({self.topic_partition}, [{self.log_start_offset}, {self.log_end_offset}))"

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments, oldest first."""
        return tuple(self._segments)

    @property
    def size_bytes(self) -> int:
        """Of all batches."""
        return self._segments.size_bytes

    # -- append ------------------------------------------------------------------------------------------

    def append(  # noqa: PLR0912 - the hot path, flat and in the order that things must happen
        self,
        batch: bytearray | memoryview,
        *,
        leader_epoch: LeaderEpoch,
        now_ms: TimestampMs,
        origin: AppendOrigin = AppendOrigin.CLIENT,
    ) -> AppendResult:
        """Writes one batch at the end of the log, with the next offsets and `leader_epoch` set in place.

        `batch` must be writable; what it holds afterwards is what was written, unless the topic demanded
        another codec. After a refusal it may be offered again as it is; after a failure its base offset is set.
        Raises: BrokerError INVALID_RECORD, MESSAGE_TOO_LARGE, CORRUPT_MESSAGE, INVALID_TIMESTAMP (with record
        errors), RECORD_LIST_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE, or a refusal of the producer state;
        StorageFailure.
        """
        size = len(batch)
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
            or origin is not AppendOrigin.CLIENT
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
            or crc32c(memoryview(batch)[ATTRIBUTES_POSITION:], 0) != crc
        ):
            batch, header = self._rules.examine(batch, now_ms, from_client=origin is AppendOrigin.CLIENT)
            size = len(batch)
            length = header.batch_length
            attributes = header.attributes
            last_offset_delta = header.last_offset_delta
            max_timestamp = header.max_timestamp

        base_offset = self.log_end_offset
        last_offset = base_offset + last_offset_delta
        if producer_id >= 0:
            if attributes & CONTROL_BIT or origin is not AppendOrigin.CLIENT:
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

        segment = self._segments.active
        if (
            segment.size_bytes + size > self._segment_bytes
            or max_timestamp > segment.roll_above_timestamp
            or now_ms > segment.roll_above_now
            or last_offset > segment.offset_max
        ):
            segment = self._segment_for(size, now_ms)
        _PLACE(batch, 0, base_offset, length, leader_epoch)
        position = (segment.file_if_open or self._files.open_active()).append(batch)

        # The batch is in the log: from here on nothing may fail.
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

    # -- segments ----------------------------------------------------------------------------------------

    def roll(self, now_ms: TimestampMs) -> None:
        """Starts a new active segment, unless the one there is empty. Raises: StorageFailure, with nothing
        changed.
        """
        if self._segments.active.size_bytes:
            self._files.roll(self.log_end_offset, now_ms)

    def _segment_for(self, size: int, now_ms: TimestampMs) -> Segment:
        """The segment for a batch that the active one is not to take."""
        if size > self._segment_bytes:
            raise BrokerError(
                ErrorCode.RECORD_LIST_TOO_LARGE,
                f"The batch has {size} bytes, more than a segment of {self._segment_bytes}.",
            )
        return self._files.roll(self.log_end_offset, now_ms)

    def close_idle_files(self) -> None:
        """Lets go of the files of all segments but the active one; they open again on use."""
        for segment in self._segments[:-1]:
            segment.close()

    # -- read --------------------------------------------------------------------------------------------

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

    # -- flush -------------------------------------------------------------------------------------------

    @property
    def needs_flush(self) -> bool:
        """Whether an inactive segment is not on disk yet: rolling leaves one behind, and nothing but a flush
        makes it eligible for deletion.
        """
        return self._unsynced.needs_flush(self.recovery_point)

    def flush_plan(self, up_to: Offset | None = None) -> FlushPlan:
        """A plan that makes everything below `up_to` durable, by default all that was appended so far.

        Raises: StorageFailure.
        """
        end = self.log_end_offset if up_to is None else min(up_to, self.log_end_offset)
        return self._unsynced.plan(self.recovery_point, end)

    def flushed(self, plan: FlushPlan) -> None:
        """Moves the recovery point after `plan` has run without an error."""
        if self._unsynced.cross_out(plan):
            self.recovery_point = max(self.recovery_point, plan.up_to)

    def prepare_close(self) -> FlushPlan:
        """Completes the files of a log that takes no more appends; returns the plan that makes them durable.

        After that plan and `flushed`, a clean stop may be claimed. Raises: StorageFailure.
        """
        end = self.log_end_offset
        if self._unsynced.is_closed_at(end):
            return self.flush_plan()
        active = self._segments.active
        active.finish_time_index()
        active.write_indexes()
        if end:
            self._unsynced.add_snapshot(end, self.producers.take_snapshot(end))
        return self._unsynced.closing_plan(self.recovery_point, end)

    def close(self) -> None:
        """`prepare_close` and its plan at once, then lets go of all files. Blocks. Raises: StorageFailure."""
        plan = self.prepare_close()
        plan.run()
        self.flushed(plan)
        self.release()

    def release(self) -> None:
        """Lets go of all files, whatever their state: for a log that was closed, deleted or has failed."""
        for segment in self._segments:
            segment.close()

    # -- deletion and truncation ---------------------------------------------------------------------------

    def advance_log_start_offset(self, offset: Offset) -> bool:
        """Moves the log start offset up, never down; returns whether it moved. Raises: OffsetOutOfRange beyond
        the log end.
        """
        if offset > self.log_end_offset:
            raise OffsetOutOfRange(offset, self.log_start_offset, self.log_end_offset)
        if offset <= self.log_start_offset:
            return False
        self.log_start_offset = offset
        self.leader_epochs.truncate_from_start(offset)
        return True

    def delete_old_segments(self, now_ms: TimestampMs, high_watermark: Offset) -> DeletePlan | None:
        """Takes the segments that outlived their retention out of the log; None when there are none.

        Their files are renamed at once and removed by the plan. When the active segment is due as well, it is
        rolled, and goes once that is flushed. Raises: StorageFailure.
        """
        count = count_expired(
            facts_of(self._segments, self.log_end_offset, self._fs.mtime_ms),
            self.config,
            now_ms=now_ms,
            log_start_offset=self.log_start_offset,
            high_watermark=high_watermark,
        )
        if count == len(self._segments):
            self.roll(now_ms)
        count = self._unsynced.count_deletable(count, self.recovery_point)
        if not count:
            return None
        self.advance_log_start_offset(self._segments.base_offsets[count])
        return self._files.delete_oldest(count, now_ms + self.config.file_delete_delay_ms)

    @property
    def durable_end(self) -> Offset:
        """Where the first segment begins of which not all is on disk, records and indexes; the active one at the
        latest.
        """
        return self._unsynced.durable_end(self.recovery_point)

    @property
    def truncations(self) -> int:
        """How often the end of the log was cut off."""
        return self._unsynced.truncations

    def replace_segments(self, first: Offset, last: Offset, cleaned: Segment) -> list[Segment]:
        """Puts `cleaned` in the place of the segments that begin with offsets `first` to `last`, all of them inactive
        and on disk; returns those, whose files stay. Readers under way look again, as whenever `generation` moves.
        """
        self._reading.may_have_gaps = True
        return self._files.replace(first, last, cleaned)

    def truncate_to(self, offset: Offset, now_ms: TimestampMs) -> None:
        """Removes every batch that reaches `offset`, which becomes the log end; waits for the disk, so that
        no crash can mix what was there with what comes next.

        The checkpointed recovery point must not be above what is left: see `LogManager.truncate_log`.
        Raises: CorruptLog, StorageFailure.
        """
        if offset >= self.log_end_offset:
            return
        if offset < self._segments.base_offsets[0]:
            self.truncate_fully_and_start_at(offset, now_ms)
            return
        self.generation.number += 1
        self._unsynced.truncating()
        self._aborted.truncated()
        kept = self._segments.number_at(offset) + 1
        if kept < len(self._segments):
            self._files.remove_from(kept)
        active = self._segments.active
        self._unsynced.forget_segments([active])
        kept_to = offset
        if active.size_bytes:
            kept_to = active.truncate_to(offset)
            active.file.sync()
        set_roll_time(active, self.config)
        self.log_end_offset = offset
        self.recovery_point = min(self.recovery_point, kept_to)
        self.log_start_offset = min(self.log_start_offset, offset)
        self._unsynced.forget_snapshots_above(offset)
        self.leader_epochs.truncate_from_end(offset)
        replay_from = self.producers.reload(offset, now_ms) or 0
        kept_segments = self._segments[self._segments.number_at(replay_from) :]
        gaps = self._reading.may_have_gaps
        replay_segments(self.producers, kept_segments, replay_from, offset, gaps=gaps)

    def truncate_fully_and_start_at(self, offset: Offset, now_ms: TimestampMs) -> None:
        """Drops everything; the log is empty and its next record gets `offset`. Waits for the disk.

        The checkpointed recovery point must not be above the log start: see `LogManager.truncate_log`.
        Raises: StorageFailure.
        """
        self._unsynced.truncating()
        self._aborted.truncated()
        self._files.remove_from(0)
        self.producers.reset()
        self.leader_epochs.clear()
        self._unsynced.forget_snapshots_above(-1)
        self._files.start_over(offset, now_ms)
        self.log_start_offset = self.log_end_offset = self.recovery_point = offset
