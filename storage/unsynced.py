"""What a log has written and does not know to be on disk.

Kept by the log as it writes, turned into a `FlushPlan`, and crossed out when that plan has run: batches from the
recovery point on, indexes of segments that were rolled, producer snapshots, leader epochs, and names in the log's
directory. Not here: the recovery point itself, which is the log's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from storage.flush import FlushPlan
from storage.fs import OpenMode
from storage.segment import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection

    from protocol.types import LeaderEpoch, Offset
    from storage.fs import File, FileSystem
    from storage.leader_epochs import LeaderEpochCache
    from storage.segment import Segment
    from storage.segment_list import SegmentList


class Unsynced:
    """The list of one log."""

    __slots__ = (
        "_closed_end",
        "_directory",
        "_epochs",
        "_epochs_taken",
        "_fs",
        "_is_born",
        "_names",
        "_names_synced",
        "_rolled",
        "_segments",
        "_snapshots",
        "truncations",
    )

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        segments: SegmentList,
        epochs: LeaderEpochCache,
        *,
        recovery_point: Offset,
        closed_end: Offset,
    ) -> None:
        """The list of a log just opened. `closed_end` is its end, if all of it is on disk; `UNKNOWN` otherwise."""
        self._fs = fs
        self._directory = directory
        self._segments = segments
        self._epochs = epochs
        was_closed = closed_end != UNKNOWN
        active = segments.active
        names = not was_closed and (len(segments) > 1 or active.size_bytes > 0 or active.base_offset > 0)
        self._rolled = [
            segment
            for segment, following in pairwise(segments)
            if following.base_offset >= recovery_point and not was_closed
        ]
        """Inactive segments whose indexes may not be on disk, nor the name of the segment behind them."""
        self._is_born = was_closed
        """Whether the topic id and the name of the log's directory are on disk."""
        self._closed_end = closed_end
        """The log end at which all files, the active indexes too, are complete and on disk."""
        self.truncations = 0
        """How often the end of the log was cut off."""
        self._snapshots: list[tuple[Offset, File]] = []
        self._epochs_taken: list[tuple[LeaderEpoch, Offset]] | None = None
        self._names = 1 if names else 0
        """Names made or changed so far; `_names_synced` of them are on disk."""
        self._names_synced = 0

    # -- what is added -------------------------------------------------------------------------------------

    def add_name(self) -> None:
        """A file of the log was made or renamed."""
        self._names += 1

    def add_snapshot(self, offset: Offset, path: str | None) -> None:
        """A producer snapshot was written, unless `path` is None. Raises: StorageFailure."""
        if path is not None:
            self._snapshots.append((offset, self._fs.open(path, OpenMode.READ)))
            self._names += 1

    def add_rolled(self, segment: Segment) -> None:
        """A segment became inactive."""
        self._rolled.append(segment)

    # -- what is gone -------------------------------------------------------------------------------------

    def forget_segments(self, segments: Collection[Segment]) -> None:
        """Segments were taken out of the log, or are active again."""
        self._rolled = [segment for segment in self._rolled if segment not in segments]

    def truncating(self) -> None:
        """The end of the log is about to be cut off: plans made before say nothing of it any more."""
        self.truncations += 1
        self._closed_end = UNKNOWN

    def forget_snapshots_above(self, offset: Offset) -> None:
        """The log ends at `offset` now; -1 when it holds nothing any more."""
        self._snapshots = [snapshot for snapshot in self._snapshots if snapshot[0] <= offset]

    # -- what is on disk -------------------------------------------------------------------------------------

    def needs_flush(self, recovery_point: Offset) -> bool:
        """Whether an inactive segment is not on disk yet."""
        return bool(self._rolled) or recovery_point < self._segments.active.base_offset

    def is_closed_at(self, end: Offset) -> bool:
        """Whether a log that ends there is complete on disk, indexes and all."""
        return self._closed_end == end

    def durable_end(self, recovery_point: Offset) -> Offset:
        """Where the first segment begins of which not all is on disk, records and indexes; the active one at the
        latest.
        """
        segments = self._segments
        number = min(segments.number_at(recovery_point), len(segments) - 1)
        for index, segment in enumerate(segments[:number]):
            if segment in self._rolled:
                number = index
                break
        return segments.base_offsets[number]

    def count_deletable(self, count: int, recovery_point: Offset) -> int:
        """How many of the first `count` segments may be deleted: what is left must carry the log's offsets over a
        crash, so its first segment must be known by name on disk, and everything before that be there.
        """
        segments = self._segments
        while count and (
            segments.base_offsets[count] > recovery_point or segments[count - 1] in self._rolled
        ):
            count -= 1
        return count

    # -- plans -------------------------------------------------------------------------------------------

    def plan(self, recovery_point: Offset, up_to: Offset) -> FlushPlan:
        """A plan that syncs what of this list lies below `up_to`. Raises: StorageFailure."""
        files: list[File] = []
        for segment in self._segments[self._segments.number_at(recovery_point) :]:
            if segment.base_offset < up_to and segment.size_bytes and up_to > recovery_point:
                files.append(segment.file)
        # Unlike the other indexes this one cannot be judged by the log alone, should the segment be rolled next.
        files += self._txn_index_file(self._segments.active)
        rolled = [segment for segment in self._rolled if segment.base_offset < up_to]
        for segment in rolled:
            files += self._index_files(segment)
        files += [file for offset, file in self._snapshots if offset <= up_to]
        unsaved = self._epochs.take_unsaved()
        if unsaved is not None:
            self._epochs_taken = unsaved
        # Epochs without a record are not worth a file: opening an empty log drops them.
        epochs_to_save = self._epochs_taken if self._segments.size_bytes else None
        names = self._names if self._names != self._names_synced else None
        is_needed = bool(files) or epochs_to_save is not None or names is not None
        return FlushPlan(
            self._fs,
            self._directory,
            up_to=up_to,
            truncations=self.truncations,
            files=files,
            rolled=rolled,
            leader_epochs=epochs_to_save,
            directory_changes=names,
            is_first=is_needed and not self._is_born,
        )

    def closing_plan(self, recovery_point: Offset, end: Offset) -> FlushPlan:
        """A plan that syncs all of the log, which ends there, the indexes of the active segment and its name
        included. Raises: StorageFailure.
        """
        plan = self.plan(recovery_point, end)
        if self._segments.active.size_bytes:
            plan.files += self._index_files(self._segments.active)
        plan.closes = True
        plan.is_first = not self._is_born
        return plan

    def _index_files(self, segment: Segment) -> list[File]:
        """The index files of a segment, complete and ready to be synced. Raises: StorageFailure."""
        segment.write_indexes()
        paths = (segment.offset_index.path, segment.time_index.path)
        files = [self._fs.open(path, OpenMode.READ) for path in paths]
        return files + self._txn_index_file(segment)

    def _txn_index_file(self, segment: Segment) -> list[File]:
        """The transaction index, if there is one; an empty one may have had entries before a truncation."""
        path = segment.txn_index.path
        was_there = self._fs.exists(path)
        segment.txn_index.write_out()
        if not was_there:
            if not self._fs.exists(path):
                return []
            self._names += 1
        return [self._fs.open(path, OpenMode.READ)]

    def cross_out(self, plan: FlushPlan) -> bool:
        """`plan` has run; returns whether the recovery point may move: not if the log was truncated meanwhile."""
        if plan.leader_epochs is self._epochs_taken:
            self._epochs_taken = None
        self._is_born |= plan.is_first
        if plan.directory_changes is not None:
            self._names_synced = max(self._names_synced, plan.directory_changes)
        if plan.truncations != self.truncations:
            return False
        self._snapshots = [snapshot for snapshot in self._snapshots if snapshot[0] > plan.up_to]
        self.forget_segments(plan.rolled)
        if plan.closes:
            self._closed_end = plan.up_to
        return True
