"""Opening a log: believe what a clean stop vouches for, check and repair what a crash may have left.

After a clean stop nothing is scanned: sizes and last index entries must fit, the tail of the active segment is
walked header by header, and the producer state comes from its snapshot.

After an unclean stop everything from the start of the segment that holds the recovery point, or ends at it, is read
and checked bit by bit. A batch that is not sound

- at or above the recovery point is the *tail*: disks write back in any order, so holes and torn batches are the
  normal picture after a power failure. The log is cut there; what is cut off is kept in files beside it (.cut).
- below the recovery point is *rot*: it had been on disk. Nothing is cut, CorruptLog is raised, and the partition
  stays offline, since good data may lie behind it.

What is read is replayed to the producer state, and each snapshot on the way corrects that: compaction takes out
markers, and with them what nothing else in the log says. A snapshot that is sound can be believed above the recovery
point, too: those of records that are gone are removed, durably, before others take their place.

Indexes, transaction indexes, snapshots and leader epochs that are missing or damaged are made anew from the log:
none of them is ever a reason to refuse. What was done is returned, not logged.
"""

from __future__ import annotations

from bisect import bisect_left

from protocol.records import HEADER_SIZE, BatchHeader, read_header
from protocol.types import ZERO_UUID, LeaderEpoch, Offset, Position, TimestampMs, TopicPartition
from storage.batch_scan import check_epoch
from storage.checkpoint import LEADER_EPOCHS, read_leader_epochs
from storage.config import LogConfig
from storage.errors import CorruptLog, MalformedFile
from storage.fs import FileSystem, OpenMode
from storage.leader_epochs import LeaderEpochCache
from storage.log import Log
from storage.offset_index import SUFFIX as OFFSET_INDEX_SUFFIX
from storage.producer_replay import replay_batch, replay_segments
from storage.producer_state import ProducerStateManager
from storage.recovery.cut_tail import cut_tail
from storage.recovery.leftovers import base_offset_of, settle
from storage.recovery.report import RecoveryReport
from storage.recovery.segment_recovery import SegmentScan, rebuild_segment
from storage.recovery.segment_walk import walk_from_indexes
from storage.recovery.transaction_indexes import find_lost, make_anew
from storage.segment import DELETED_SUFFIX, LOG_SUFFIX, Segment, file_stem
from storage.time_index import SUFFIX as TIME_INDEX_SUFFIX

_CLEAN_WALK_BYTES_MAX = 1 << 20
"""After a clean stop an index is complete: a clock that once ran ahead must not cost a walk over every header."""


def load_log(
    fs: FileSystem,
    directory: str,
    topic_partition: TopicPartition,
    config: LogConfig,
    *,
    topic_id: bytes = ZERO_UUID,
    recovery_point: Offset,
    log_start_offset: Offset,
    clean: bool,
    now_ms: TimestampMs,
    cleaned: bool = False,
    producer_expiration_ms: int = 86_400_000,
) -> tuple[Log, RecoveryReport]:
    """Opens the log in `directory`, which exists; offsets are those checkpointed, 0 where there is none.

    `cleaned` says that it was compacted at some time, whatever its settings are now.

    Blocks. Raises: CorruptLog when bytes below the recovery point are damaged or missing; StorageFailure.
    """
    loading = _Loading(
        fs,
        directory,
        topic_partition,
        config,
        recovery_point=recovery_point,
        clean=clean,
        gaps=cleaned or config.compacts,
        now_ms=now_ms,
    )
    loading.open_segments(producer_expiration_ms)
    log_end_offset = loading.find_end(log_start_offset)
    if log_end_offset < recovery_point:
        raise CorruptLog(
            directory,
            -1,
            f"the log ends at offset {log_end_offset}, below its recovery point {recovery_point}",
        )
    log_end_offset = loading.ensure_active(log_start_offset, log_end_offset)
    log_start_offset = max(log_start_offset, loading.segments[0].base_offset)
    loading.epochs.truncate_from_end(log_end_offset)
    loading.epochs.truncate_from_start(log_start_offset)
    log = Log(
        fs,
        directory,
        topic_partition,
        config,
        topic_id=topic_id,
        segments=loading.segments,
        log_start_offset=log_start_offset,
        log_end_offset=log_end_offset,
        recovery_point=log_end_offset if clean else recovery_point,
        leader_epochs=loading.epochs,
        producers=loading.producers,
        was_closed=loading.is_as_closed,
        cleaned=cleaned,
    )
    return log, loading.report


class _Loading:
    """The parts of a log while they are put together."""

    producers: ProducerStateManager
    epochs: LeaderEpochCache

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        topic_partition: TopicPartition,
        config: LogConfig,
        *,
        recovery_point: Offset,
        clean: bool,
        gaps: bool,
        now_ms: TimestampMs,
    ) -> None:
        self._fs = fs
        self._directory = directory
        self._config = config
        self.is_as_closed = clean
        """Whether all files are as a clean stop left them, and durable."""
        self._gaps = gaps
        """Whether a cleaner may have taken offsets out."""
        self._recovery_point = recovery_point
        self._now_ms = now_ms
        self._epochs_are_lost = False
        self._without_index: set[Offset] = set()
        """Base offsets of segments that lack an index file. It stays missing until their transaction indexes are on
        disk: so a start that does not get there is taken up by the next one.
        """
        self._witness = LeaderEpochCache()
        """Leader epochs as the file had them."""
        self.segments: list[Segment] = []
        self.report = RecoveryReport(topic_partition, clean)

    def open_segments(self, producer_expiration_ms: int) -> None:
        """Settles leftovers and opens what there is, without a look inside."""
        fs, directory = self._fs, self._directory
        listed = fs.listdir(directory)
        names = settle(fs, directory, listed)
        present = frozenset(names)
        self.producers = ProducerStateManager(
            fs, directory, expiration_ms=producer_expiration_ms, file_names=names
        )
        self.epochs = LeaderEpochCache(self._read_epochs() if LEADER_EPOCHS in present else ())
        bases = sorted(
            offset
            for name in names
            if name.endswith(LOG_SUFFIX) and (offset := base_offset_of(name)) is not None
        )
        for base_offset in bases:
            stem = file_stem(base_offset)
            is_indexed = stem + OFFSET_INDEX_SUFFIX in present and stem + TIME_INDEX_SUFFIX in present
            if not is_indexed:
                self._without_index.add(base_offset)
            size = fs.size(f"{directory}/{stem}{LOG_SUFFIX}")
            self.segments.append(
                Segment.open(fs, directory, base_offset, size, self._now_ms, is_indexed=is_indexed)
            )
        if LEADER_EPOCHS not in present:
            self._epochs_are_lost = self._carries_epochs()
        self._finish_deletion([name for name in listed if name.endswith(DELETED_SUFFIX)])
        self.producers.remove_stray_snapshots([segment.base_offset for segment in self.segments])
        self.report.segments = len(self.segments)

    def _carries_epochs(self) -> bool:
        """Whether the first batch has a leader epoch: then there should be a file of them."""
        for segment in self.segments:
            header = segment.file.read_at(0, HEADER_SIZE)
            if len(header) == HEADER_SIZE:
                return read_header(header).leader_epoch >= 0
        return False

    def _finish_deletion(self, names: list[str]) -> None:
        """Removes what was on its way out; `names` end in .deleted. Here only retention makes those, from the oldest
        segment on. So whatever lies at or below one of them goes, too, if a crash brought it back by losing its rename.
        A clean stop loses none, and Kafka's cleaner leaves such names beside what has taken their place.
        """
        if not names:
            return
        if not self.report.clean:
            offsets = [offset for name in names if (offset := base_offset_of(name)) is not None]
            newest = max(offsets, default=-1)
            self._remove_segments(sum(segment.base_offset <= newest for segment in self.segments))
        self._fs.sync_dir(self._directory)  # first the renames: a removal must not overtake them
        for name in names:
            self._fs.remove(f"{self._directory}/{name}")

    def _remove_segments(self, count: int) -> None:
        """Removes the first `count` segments for good."""
        for segment in self.segments[:count]:
            segment.close()
            for path in segment.paths:
                self._fs.remove(path)
        del self.segments[:count]

    def _read_epochs(self) -> list[tuple[LeaderEpoch, Offset]]:
        try:
            return read_leader_epochs(self._fs, f"{self._directory}/{LEADER_EPOCHS}")
        except MalformedFile:
            self._epochs_are_lost = True
            return []

    def find_end(self, log_start_offset: Offset) -> Offset:
        """Checks and repairs as far as needed; returns the log end offset, with the producer state at it."""
        if self._epochs_begin_late(log_start_offset):
            self._epochs_are_lost = True
        scan_from = self._first_to_scan()
        self._make_transaction_indexes(self.segments[:scan_from])
        end = self._trust(scan_from, log_start_offset)
        until = self.segments[scan_from].base_offset if scan_from < len(self.segments) else end
        self._restore_producers(until)
        if scan_from < len(self.segments):
            end = self._scan_rest(scan_from)
            self.is_as_closed = False
        self.producers.remove_snapshots_above(end)
        if scan_from < len(self.segments):
            self._settle_producers(end)
        return end

    def _epochs_begin_late(self, log_start_offset: Offset) -> bool:
        """Whether epochs are missing where the log begins: its start was moved up, that reached the epoch file but
        not the checkpoint, and a crash moved it back.
        """
        if not self.segments or not self.epochs.entries:
            return False
        start = max(log_start_offset, self.segments[0].base_offset)
        return self.epochs.entries[0][1] > start and self._carries_epochs()

    def _first_to_scan(self) -> int:
        """Number of the first segment that must be read as a whole, and all behind it; their count for none."""
        first = len(self.segments)
        if not self.report.clean:
            bases = [segment.base_offset for segment in self.segments]
            # The one that ends at the recovery point, too: it was rolled after the flush that moved it there had been
            # planned, so that flush knew nothing of its end. The next one moves the recovery point on.
            first = max(bisect_left(bases, self._recovery_point) - 1, 0)
        return 0 if self._epochs_are_lost else first

    # -- what is believed --------------------------------------------------------------------------------

    def _trust(self, count: int, log_start_offset: Offset) -> Offset:
        """Looks over the first `count` segments without reading them; returns where the last of them ends.

        The last entries of both indexes must agree with the log, and each segment end where the next one begins.
        Indexes that do not are made anew: they were on disk before the recovery point passed them, but are never a
        reason to refuse.
        """
        end = log_start_offset
        walk_bytes_max = _CLEAN_WALK_BYTES_MAX if self.report.clean else 1 << 31
        for index, segment in enumerate(self.segments[:count]):
            has_indexes = segment.base_offset not in self._without_index
            walked = walk_from_indexes(segment, walk_bytes_max) if has_indexes else None
            end = self._rebuild_indexes(segment) if walked is None else walked
            following = self.segments[index + 1].base_offset if index + 1 < len(self.segments) else end
            if end > following or (end < following and not self._gaps):
                raise CorruptLog(
                    segment.path,
                    segment.size_bytes,
                    f"ends with offset {end}, the next begins with {following}",
                )
            segment.close()
        return end

    def _rebuild_indexes(self, segment: Segment) -> Offset:
        """Makes offset and time index anew of a segment that should be sound all through; returns its end."""
        scan = rebuild_segment(
            segment,
            due=segment.base_offset,
            gaps=self._gaps,
            index_interval_bytes=self._config.index_interval_bytes,
            on_batch=None,
        )
        if scan.damage is not None:
            raise scan.damage
        for path in (segment.offset_index.path, segment.time_index.path):
            self._fs.open(path, OpenMode.READ).sync()
        self.report.rebuilt_segments.append(segment.base_offset)
        return scan.next_offset

    def _make_transaction_indexes(self, believed: list[Segment]) -> None:
        lost = find_lost(self._fs, believed, self._without_index)
        if lost:
            offsets = self.producers.snapshot_offsets
            make_anew(self._fs, self._directory, believed, lost, offsets, gaps=self._gaps)

    def _restore_producers(self, until: Offset) -> None:
        """Brings the producer state to what it was when the log ended at `until`."""
        had_snapshots = bool(self.producers.snapshot_offsets)
        replay_from = self.producers.load(until, self._now_ms)
        if had_snapshots and replay_from != until:
            self.is_as_closed = False  # the snapshot of the stop is damaged: the next stop takes another
        if replay_from is None:
            # A clean stop leaves a snapshot; where there is none at all, no producer ever had an id.
            replay_from = until if self.report.clean and not had_snapshots else 0
        if replay_from < until:
            replay_segments(self.producers, self.segments, replay_from, until, gaps=self._gaps)

    # -- what is checked ---------------------------------------------------------------------------------

    def _scan_rest(self, first: int) -> Offset:
        """Checks the segments from number `first` on, and cuts the log at damage in its tail."""
        end = self.segments[first].base_offset
        # Below the recovery point the file of epochs is a witness; above, the batches know better.
        self._witness = LeaderEpochCache(self.epochs.entries)
        self.epochs.truncate_from_end(end)
        for index in range(first, len(self.segments)):
            segment = self.segments[index]
            if index > first and self._does_not_follow(segment, end):
                self._cut(index, 0, end, f"offset {segment.base_offset} where {end} was due")
                break
            self._settle_producers(segment.base_offset)
            scan = self._scan(segment, max(end, segment.base_offset))
            end = scan.next_offset
            if scan.damage is not None:
                if end < self._recovery_point:
                    raise scan.damage
                self._cut(index, scan.end, end, scan.damage.reason)
                break
        return end

    def _settle_producers(self, offset: Offset) -> None:
        """The batches up to `offset` have been replayed. A snapshot taken there knows better, since the segments may
        have been compacted meanwhile; where there is none, it is taken now.
        """
        if not self.producers.correct(offset, self._now_ms):
            self.producers.take_snapshot(offset)

    def _does_not_follow(self, segment: Segment, end: Offset) -> bool:
        """Whether what lies before `segment` ends at another offset than it begins with: a file was lost. What
        a cleaner or a leader's cleaner took out leaves gaps, too.
        """
        return segment.base_offset < end or (segment.base_offset > end and not self._gaps)

    def _scan(self, segment: Segment, due: Offset) -> SegmentScan:
        self.report.scanned_segments += 1
        self.report.scanned_bytes += segment.size_bytes
        segment.txn_index.reset()
        return rebuild_segment(
            segment,
            due=due,
            gaps=self._gaps,
            index_interval_bytes=self._config.index_interval_bytes,
            on_batch=self._note_batch,
        )

    def _note_batch(self, segment: Segment, header: BatchHeader, batch: memoryview) -> None:
        if header.base_offset < self._recovery_point:
            check_epoch(segment.path, segment.size_bytes, header, self._witness)
        latest = self.epochs.latest
        if header.leader_epoch > latest:
            self.epochs.assign(header.leader_epoch, header.base_offset)
        elif header.leader_epoch < latest:
            raise CorruptLog(
                segment.path, segment.size_bytes, f"leader epoch {header.leader_epoch} follows {latest}"
            )
        aborted = replay_batch(self.producers, header, batch)
        if aborted is not None:
            segment.txn_index.append(aborted)

    def _cut(self, index: int, position: Position, end: Offset, reason: str) -> None:
        """Ends the log at `position` of segment number `index`, where `end` is due."""
        if end < self._recovery_point:
            raise CorruptLog(self.segments[index].path, position, reason)
        self.report.cut_offset, self.report.cut_reason = end, reason
        cut_tail(self._fs, self._directory, self.segments, index, position, self.report)

    def ensure_active(self, log_start_offset: Offset, log_end_offset: Offset) -> Offset:
        """Sees to an active segment, and that the log does not end below its start; returns where it ends."""
        if self.segments and log_end_offset >= log_start_offset:
            self.segments[-1].load_active()
            return log_end_offset
        if self.segments and self.report.clean:
            reason = f"the log ends at offset {log_end_offset}, below its start {log_start_offset}"
            raise CorruptLog(self._directory, -1, reason)
        segment = Segment(self._fs, self._directory, log_start_offset, self._now_ms)
        if log_start_offset:  # a name that carries the offset; one at 0 can wait for the first batch
            segment.create_files()
        if self.segments:
            self._make_way()
        self.segments.append(segment)
        return log_start_offset

    def _make_way(self) -> None:
        """Removes all segments for the new one behind them, whose files were just made. A crash leaves all of them, or
        a name that says that they are to go: see `_finish_deletion`.
        """
        fs, newest = self._fs, self.segments[-1]
        fs.sync_dir(self._directory)
        fs.rename(newest.path, newest.path + DELETED_SUFFIX)
        fs.sync_dir(self._directory)
        self._remove_segments(len(self.segments))
        fs.sync_dir(self._directory)
        fs.remove(newest.path + DELETED_SUFFIX)
        self.producers.reset()
        self.epochs.clear()
