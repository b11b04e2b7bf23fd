"""What a log has written, its batches aside, and does not know to be on disk.

Kept by the log as it writes, turned into a `FlushPlan`, and crossed out when that plan has run: indexes of segments
that were rolled, producer snapshots, leader epochs, and names in the log's directory. Not here: where the batches
end that are on disk (the recovery point is the log's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.flush import FlushPlan
from storage.fs import OpenMode

if TYPE_CHECKING:
    from collections.abc import Collection

    from protocol.types import LeaderEpoch, Offset
    from storage.fs import File, FileSystem
    from storage.leader_epochs import LeaderEpochCache
    from storage.segment import Segment


class Unsynced:
    """The list of one log."""

    __slots__ = ("_epochs", "_fs", "_names", "_names_synced", "_snapshots", "directory", "is_born", "rolled")

    def __init__(
        self, fs: FileSystem, directory: str, *, rolled: list[Segment], names: bool, is_born: bool
    ) -> None:
        self._fs = fs
        self.directory = directory
        self.rolled = rolled
        """Inactive segments whose indexes may not be on disk, nor the name of the segment behind them."""
        self.is_born = is_born
        """Whether the topic id and the name of the log's directory are on disk."""
        self._snapshots: list[tuple[Offset, File]] = []
        self._epochs: list[tuple[LeaderEpoch, Offset]] | None = None
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
        self.rolled.append(segment)

    # -- what is gone -------------------------------------------------------------------------------------

    def forget_segments(self, segments: Collection[Segment]) -> None:
        """Segments were taken out of the log, or are active again."""
        self.rolled = [segment for segment in self.rolled if segment not in segments]

    def forget_snapshots_above(self, offset: Offset) -> None:
        """The log ends at `offset` now."""
        self._snapshots = [snapshot for snapshot in self._snapshots if snapshot[0] <= offset]

    # -- plans -------------------------------------------------------------------------------------------

    def plan(
        self,
        logs: list[File],
        active: Segment,
        epochs: LeaderEpochCache,
        *,
        up_to: Offset,
        truncations: int,
        has_records: bool,
    ) -> FlushPlan:
        """A plan that syncs `logs` and what of this list lies below `up_to`. Raises: StorageFailure."""
        files = list(logs)
        # Unlike the other indexes this one cannot be judged by the log alone, should the segment be rolled next.
        files += self._txn_index_file(active)
        rolled = [segment for segment in self.rolled if segment.base_offset < up_to]
        for segment in rolled:
            files += self.index_files(segment)
        files += [file for offset, file in self._snapshots if offset <= up_to]
        unsaved = epochs.take_unsaved()
        if unsaved is not None:
            self._epochs = unsaved
        # Epochs without a record are not worth a file: opening an empty log drops them.
        epochs_to_save = self._epochs if has_records else None
        names = self._names if self._names != self._names_synced else None
        is_needed = bool(files) or epochs_to_save is not None or names is not None
        return FlushPlan(
            self._fs,
            self.directory,
            up_to=up_to,
            truncations=truncations,
            files=files,
            rolled=rolled,
            leader_epochs=epochs_to_save,
            directory_changes=names,
            is_first=is_needed and not self.is_born,
        )

    def index_files(self, segment: Segment) -> list[File]:
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

    def cross_out(self, plan: FlushPlan, *, is_current: bool) -> None:
        """`plan` has run; `is_current` says that the log was not truncated since it was made."""
        if plan.leader_epochs is self._epochs:
            self._epochs = None
        self.is_born |= plan.is_first
        if plan.directory_changes is not None:
            self._names_synced = max(self._names_synced, plan.directory_changes)
        if is_current:
            self._snapshots = [snapshot for snapshot in self._snapshots if snapshot[0] > plan.up_to]
            self.forget_segments(plan.rolled)
