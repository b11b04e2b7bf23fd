"""The segments of one log in order.

Invariant: never empty; base offsets ascend; each segment reaches to where the next begins; the last one is active.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.types import Offset
    from storage.segment import Segment


class SegmentList:
    """Segments, oldest first, numbered from 0."""

    __slots__ = ("_inactive_bytes", "_segments", "active", "base_offsets")

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self.base_offsets = [segment.base_offset for segment in segments]
        """Where each segment begins; for reading only."""
        self.active = segments[-1]
        self._inactive_bytes = sum(segment.size_bytes for segment in segments[:-1])

    @property
    def size_bytes(self) -> int:
        """Of all batches."""
        return self._inactive_bytes + self.active.size_bytes

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> list[Segment]: ...
    def __getitem__(self, number: int | slice) -> Segment | list[Segment]:
        return self._segments[number]

    def number_at(self, offset: Offset) -> int:
        """Number of the segment in which `offset` lies, or would; 0 when it lies below all."""
        return max(bisect_right(self.base_offsets, offset) - 1, 0)

    def add(self, segment: Segment) -> None:
        """Makes `segment`, which begins where the list ends, the active one."""
        if self._segments:
            self._inactive_bytes += self.active.size_bytes
        self._segments.append(segment)
        self.base_offsets.append(segment.base_offset)
        self.active = segment

    def replace(self, first: int, stop: int, segment: Segment) -> list[Segment]:
        """Puts `segment` in the place of segments number [first, stop), all of them inactive, and lets go of their
        files.
        """
        removed = self._segments[first:stop]
        self._segments[first:stop] = [segment]
        self.base_offsets[first:stop] = [segment.base_offset]
        self._inactive_bytes += segment.size_bytes - sum(each.size_bytes for each in removed)
        for each in removed:
            each.close()
        return removed

    def take_out(self, first: int, stop: int) -> list[Segment]:
        """Forgets segments number [first, stop) and lets go of their files. When none is left, add one."""
        removed = self._segments[first:stop]
        del self._segments[first:stop], self.base_offsets[first:stop]
        if self._segments:
            self.active = self._segments[-1]
        self._inactive_bytes = sum(segment.size_bytes for segment in self._segments[:-1])
        for segment in removed:
            segment.close()
        return removed
