"""Reading one log: what can be served at once, and the plans for what may have to wait for the disk.

Not here: which offsets may be read (log.py), how a plan does its work (cold_read.py, timestamp_lookup.py).

Invariant: a region is returned only for bytes that this process has checked and that are in memory; for all else a
plan is. A plan takes with it what the log is like when it is made; `generation` tells it that this has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.cold_read import ColdRead, Generation
from storage.leader_epochs import LeaderEpochCache
from storage.read_result import ReadResult
from storage.region import FileRegion
from storage.segment import UNKNOWN
from storage.timestamp_lookup import TimestampLookup

if TYPE_CHECKING:
    from protocol.types import Offset, TimestampMs
    from storage.fs import FileSystem
    from storage.segment import Segment
    from storage.segment_list import SegmentList


class Reading:
    """What the readers of one log share."""

    __slots__ = ("_epochs", "_fs", "_segments", "generation", "may_have_gaps")

    def __init__(
        self, fs: FileSystem, segments: SegmentList, epochs: LeaderEpochCache, *, may_have_gaps: bool
    ) -> None:
        self._fs = fs
        self._segments = segments
        self._epochs = epochs
        self.generation = Generation()
        self.may_have_gaps = may_have_gaps
        """Whether offsets may be missing that were never lost: a cleaner's work, or a cut inside a batch."""

    def in_segment(
        self,
        segment: Segment,
        offset: Offset,
        max_bytes: int,
        upper: Offset,
        end_offset: Offset,
        min_one: bool,
    ) -> ReadResult | None:
        """The part of `Log.read` in one segment, which ends at `end_offset`; None when it holds nothing at or above
        `offset`. Raises: StorageFailure.
        """
        start = segment.find(offset) if segment.size_bytes else 0
        if start == segment.size_bytes:
            return None
        if start != UNKNOWN:
            bound = segment.size_bytes if upper >= end_offset else segment.find(upper)
            next_offset = upper
            if bound - start > max_bytes:
                is_checked = segment.is_checked(start, start + max_bytes)
                bound, next_offset = segment.cut(start, start + max_bytes) if is_checked else (UNKNOWN, upper)
            if bound != UNKNOWN and segment.is_readable(start, bound):
                if bound <= start or (bound - start > max_bytes and not min_one):
                    return ReadResult(None, offset)
                segment.add_hint(next_offset, bound)
                return ReadResult(FileRegion(segment.file, start, bound - start), next_offset)
        cold = ColdRead(
            segment,
            self.generation,
            offset=offset,
            start=start,
            upper=upper,
            max_bytes=max_bytes,
            min_one=min_one,
            end_offset=end_offset,
            gaps=self.may_have_gaps,
            epochs=LeaderEpochCache(self._epochs.entries),
        )
        return ReadResult(None, offset, cold)

    def finish(self, cold: ColdRead) -> ReadResult:
        """Takes note of what `cold`, which has run, checked; returns what it read. Raises: StorageFailure."""
        if cold.stale:
            return ReadResult(None, cold.offset)
        segment = cold.segment
        segment.checked.add(*cold.checked)
        if cold.index_is_wrong:
            segment.offset_index.reset()
        if cold.region is not None:
            segment.add_hint(cold.next_offset, cold.region.position + cold.region.size)
        return ReadResult(cold.region, cold.next_offset)

    def lookup(self, target_ms: TimestampMs | None, start: Offset) -> TimestampLookup:
        """A plan that finds, from offset `start` on, the first record at or after `target_ms`; with None the first
        one with the largest timestamp.
        """
        return TimestampLookup(
            self._fs,
            self._segments[self._segments.number_at(start) :],
            self.generation,
            target_ms=target_ms,
            start_offset=start,
            gaps=self.may_have_gaps,
            epochs=LeaderEpochCache(self._epochs.entries),
        )
