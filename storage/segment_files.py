"""The segments of one log as they come and go: rolled, renamed out of the log, removed, replaced.

Not here: when to roll (rolling.py), which segments are to go (retention.py, the cleaner), and where the log begins and
ends afterwards (local_log.py).

Invariants: names that were made or changed are noted as not on disk yet; with a segment goes the producer snapshot at
its base offset; readers under way learn from `generation` that their segment is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.flush import DeletePlan
from storage.rolling import write_indexes
from storage.segment import DELETED_SUFFIX, Segment

if TYPE_CHECKING:
    from protocol.types import Offset, TimestampMs
    from storage.cold_read import Generation
    from storage.fs import File, FileSystem
    from storage.producer_state import ProducerStateManager
    from storage.segment_list import SegmentList
    from storage.unsynced import Unsynced


class SegmentFiles:
    """What changes the list of segments, and the files with it. Every method may raise StorageFailure."""

    __slots__ = ("_directory", "_fs", "_generation", "_producers", "_segments", "_unsynced")

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        segments: SegmentList,
        *,
        unsynced: Unsynced,
        producers: ProducerStateManager,
        generation: Generation,
    ) -> None:
        self._fs = fs
        self._directory = directory
        self._segments = segments
        self._unsynced = unsynced
        self._producers = producers
        self._generation = generation

    def roll(self, base_offset: Offset, now_ms: TimestampMs) -> Segment:
        """Makes a new active segment; returns it. A failure leaves the list as it was."""
        assert base_offset > self._segments.active.base_offset
        unsynced = self._unsynced
        unsynced.add_snapshot(base_offset, self._producers.take_snapshot(base_offset))
        old = self._segments.active
        old.finish_time_index()
        segment = Segment(self._fs, self._directory, base_offset, now_ms)
        segment.create_files()
        unsynced.add_name()
        unsynced.add_rolled(old)
        write_indexes(old)
        self._segments.add(segment)
        return segment

    def open_active(self) -> File:
        """The active segment's file; a log that starts at offset 0 has none before its first batch."""
        segment = self._segments.active
        if not segment.size_bytes:
            segment.create_files()
            self._unsynced.add_name()
        return segment.file

    def delete_oldest(self, count: int, not_before_ms: TimestampMs) -> DeletePlan:
        """Takes the first `count` segments out of the log: their files are renamed now, and removed by the plan."""
        paths: list[str] = []
        # The oldest first: a crash between two renames leaves no gap.
        for segment in self._take_out(0, count):
            paths += self._paths_of(segment)
        for path in paths:
            self._fs.rename(path, path + DELETED_SUFFIX)
        self._unsynced.add_name()
        gone = [path + DELETED_SUFFIX for path in paths]
        return DeletePlan(self._fs, self._directory, gone, not_before_ms)

    def remove_from(self, first: int) -> None:
        """Removes the segments from number `first` on for good; waits until that is durable. A crash may leave
        any of them: opening the log then keeps those that follow one another.
        """
        for segment in reversed(self._take_out(first, len(self._segments))):
            for path in self._paths_of(segment):
                self._fs.remove(path)
        self._fs.sync_dir(self._directory)

    def cut_to(self, offset: Offset) -> Offset:
        """Removes every batch that reaches `offset`, which is not below the first segment; waits until that is durable.
        Returns where what is left ends.
        """
        self._generation.number += 1
        kept = self._segments.number_at(offset) + 1
        if kept < len(self._segments):
            self.remove_from(kept)
        active = self._segments.active
        self._unsynced.forget_segments([active])
        if not active.size_bytes:
            return offset
        kept_to = active.truncate_to(offset)
        active.file.sync()
        return kept_to

    def start_over(self, offset: Offset, now_ms: TimestampMs) -> None:
        """After all were removed: an empty active segment at `offset`, and nothing else. Waits for the disk."""
        for name in self._fs.listdir(self._directory):
            if name.endswith(DELETED_SUFFIX):  # or one of the same offset would count as deleted, too
                self._fs.remove(f"{self._directory}/{name}")
        segment = Segment(self._fs, self._directory, offset, now_ms)
        segment.create_files()
        self._fs.sync_dir(self._directory)
        self._segments.add(segment)

    def replace(self, first: Offset, last: Offset, cleaned: Segment) -> list[Segment]:
        """Puts `cleaned` in the place of the segments that begin with offsets `first` to `last`, all of them inactive
        and on disk; returns those, whose files stay.
        """
        segments = self._segments
        start, stop = segments.number_at(first), segments.number_at(last) + 1
        assert segments.base_offsets[start] == first == cleaned.base_offset, cleaned
        assert last == segments.base_offsets[stop - 1] and stop < len(segments), cleaned
        replaced = segments.replace(start, stop, cleaned)
        self._unsynced.add_name()
        self._generation.number += 1
        return replaced

    def _take_out(self, first: int, stop: int) -> list[Segment]:
        """Forgets segments number [first, stop) and lets go of their files."""
        removed = self._segments.take_out(first, stop)
        self._unsynced.forget_segments(removed)
        self._generation.number += 1
        return removed

    def _paths_of(self, segment: Segment) -> list[str]:
        """What a segment that was taken out has on disk, the producer snapshot at its base offset included."""
        paths = [path for path in segment.paths if self._fs.exists(path)]
        snapshot = self._producers.detach_snapshot(segment.base_offset)
        return paths if snapshot is None else [*paths, snapshot]
