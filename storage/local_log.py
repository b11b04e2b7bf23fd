"""The segments of one log and its offsets: opened, rolled, flushed, cut, deleted, closed.

Not here: what goes in and how it is read (log.py, whose `Log` adds that and is what everybody uses), recovery
(recovery/), what retention decides (retention.py), the high watermark (replication). The nouns it works with:
segment_list.py, segment_files.py (segments come and go), unsynced.py (what is not on disk), producer_state.py,
leader_epochs.py.

    log_start_offset    recovery_point            log_end_offset
         |                 |                         |
         v   on disk       v   perhaps not yet       v  offset of the next record
    [ segment 0 ][ segment 1 ][ segment 2, active ...

Invariants:
- There is always an active segment, the last one. Segments ascend; each reaches to the next one's base offset.
- recovery_point <= log_end_offset and log_start_offset <= log_end_offset.
- No segment is deleted before everything behind it is on disk: no crash can empty a log.

Only truncating and closing wait for the disk. All else that must is handed out as a plan (`FlushPlan`, `DeletePlan`):
`run` belongs in a thread pool, everything here on one thread. The two halves are Kafka's LocalLog and UnifiedLog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.types import ZERO_UUID, Offset, TimestampMs, TopicPartition
from storage.aborted_transactions import AbortedTransactions
from storage.config import LogConfig
from storage.errors import OffsetOutOfRange
from storage.flush import DeletePlan, FlushPlan
from storage.leader_epochs import LeaderEpochCache
from storage.producer_replay import replay_segments
from storage.producer_state import ProducerStateManager
from storage.reading import Reading
from storage.retention import count_expired, facts_of
from storage.rolling import set_roll_time
from storage.segment import UNKNOWN, Segment
from storage.segment_files import SegmentFiles
from storage.segment_list import SegmentList
from storage.unsynced import Unsynced

if TYPE_CHECKING:
    from storage.fs import FileSystem


class LocalLog:
    """What the log of one replica has on disk, and where it begins and ends."""

    __slots__ = (
        "_aborted",
        "_files",
        "_fs",
        "_reading",
        "_segments",
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
        self._reading.may_have_gaps |= config.compacts
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

    # -- segments -----------------------------------------------------------------------------------------

    def roll(self, now_ms: TimestampMs) -> None:
        """Starts a new active segment, unless the one there is empty. Raises: StorageFailure, with nothing
        changed.
        """
        if self._segments.active.size_bytes:
            self._files.roll(self.log_end_offset, now_ms)

    def close_idle_files(self) -> None:
        """Lets go of the files of all segments but the active one; they open again on use."""
        for segment in self._segments[:-1]:
            segment.close()

    def replace_segments(self, first: Offset, last: Offset, cleaned: Segment) -> list[Segment]:
        """Puts `cleaned` in the place of the segments that begin with offsets `first` to `last`, all of them inactive
        and on disk; returns those, whose files stay. Readers under way look again, as whenever `generation` moves.
        """
        self._reading.may_have_gaps = True
        return self._files.replace(first, last, cleaned)

    # -- flush --------------------------------------------------------------------------------------------

    @property
    def needs_flush(self) -> bool:
        """Whether an inactive segment is not on disk yet: rolling leaves one behind, and nothing but a flush
        makes it eligible for deletion.
        """
        return self._unsynced.needs_flush(self.recovery_point)

    @property
    def durable_end(self) -> Offset:
        """Where the first segment begins of which not all is on disk, records and indexes; the active one at the
        latest.
        """
        return self._unsynced.durable_end(self.recovery_point)

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

    # -- deletion and truncation --------------------------------------------------------------------------

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
    def truncations(self) -> int:
        """How often the end of the log was cut off."""
        return self._unsynced.truncations

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
        self._unsynced.truncating()
        self._aborted.truncated()
        kept_to = self._files.cut_to(offset)
        set_roll_time(self._segments.active, self.config)
        self.log_end_offset = offset
        self.recovery_point = min(self.recovery_point, kept_to)
        self.log_start_offset = min(self.log_start_offset, offset)
        self._unsynced.forget_snapshots_above(offset)
        self.leader_epochs.truncate_from_end(offset)
        replay_from = self.producers.reload(offset, now_ms) or 0
        kept = self._segments[self._segments.number_at(replay_from) :]
        replay_segments(self.producers, kept, replay_from, offset, gaps=self._reading.may_have_gaps)

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
