"""Sparse map from offset to file position for one segment (.index).

Layout: entries of 8 bytes, big-endian: int32 offset - base_offset | int32 position. Both columns ascend.
Invariant: (o, p) says that the batch at byte p of the segment ends with offset o. A reader checks that
against the batch header it finds there, since there is no checksum: after a crash, rebuild.
Lookup: greatest entry with offset <= target, by bisection; the caller scans the log forward from its position.
Source: apache/kafka storage/…/log/OffsetIndex.java, LogSegment.java (when entries are made).
"""

from __future__ import annotations

from struct import Struct

from storage.errors import CorruptLog
from storage.index_file import IndexFile

SUFFIX = ".index"

_OFFSET = 0
_POSITION = 1


class OffsetIndex(IndexFile):
    """The offset index of one segment."""

    ENTRY = Struct(">ii")

    __slots__ = ()

    def append(self, offset: int, position: int) -> None:
        """Adds the batch at `position` whose last offset is `offset`; both exceed all added before."""
        self._tail += self.ENTRY.pack(offset - self.base_offset, position)
        self.entries += 1

    def entry(self, index: int) -> tuple[int, int]:
        """(offset, position) number `index`. Raises: StorageFailure."""
        relative, position = self._row(index)
        return self.base_offset + relative, position

    def lookup(self, offset: int) -> tuple[int, int, int]:
        """The greatest entry with offset <= `offset`, and the position of the entry behind it (-1: none).

        (base_offset - 1, 0, …) where there is no such entry: that names no batch, only the place to start.
        Raises: CorruptLog, StorageFailure.
        """
        return self._around(self._count_not_above(_OFFSET, offset - self.base_offset))

    def lookup_resident(self, offset: int) -> tuple[int, int, int] | None:
        """`lookup`, or None where that would wait for the disk. Raises: CorruptLog, StorageFailure."""
        count = self._count_if_resident(_OFFSET, offset - self.base_offset)
        return None if count < 0 else self._around(count)

    def lookup_position(self, position: int) -> tuple[int, int] | None:
        """The greatest entry with position <= `position`, or what `lookup` says where there is none; None where looking
        would wait for the disk. Raises: CorruptLog, StorageFailure.
        """
        count = self._count_if_resident(_POSITION, position)
        return None if count < 0 else self._last_of(count)

    def _around(self, count: int) -> tuple[int, int, int]:
        offset, position = self._last_of(count)
        return offset, position, self._row(count)[_POSITION] if count < self.entries else -1

    def _last_of(self, count: int) -> tuple[int, int]:
        """The last of the first `count` entries."""
        if not count:
            return self.base_offset - 1, 0
        offset, position = self.entry(count - 1)
        if position < 0 or offset < self.base_offset:
            raise CorruptLog(
                self.path, (count - 1) * self.ENTRY.size, f"offset {offset} at position {position}"
            )
        return offset, position

    def truncate_to(self, offset: int) -> None:
        """Drops the entries at or above `offset`. Raises: StorageFailure."""
        self._truncate_entries(self._count_not_above(_OFFSET, offset - 1 - self.base_offset))
