"""Sparse map from timestamp to offset for one segment (.timeindex).

Layout: entries of 12 bytes, big-endian: int64 timestamp_ms | int32 offset - base_offset. Both columns ascend.
Invariant: (t, o) says that the batch that ends with offset o has max timestamp t, and that no batch before it
reaches t. The last entry of an inactive segment is the largest timestamp in it: retention and lookup by time
rely on that. No checksum: after a crash, rebuild.
Lookup: greatest entry with timestamp <= target, by bisection; the caller scans the log from that batch.
Source: KIP-33; apache/kafka storage/…/log/TimeIndex.java.
"""

from __future__ import annotations

from struct import Struct

from storage.fs import FileSystem
from storage.index_file import IndexFile

SUFFIX = ".timeindex"

_TIMESTAMP = 0
_OFFSET = 1

NO_TIMESTAMP = -1


class TimeIndex(IndexFile):
    """The time index of one segment."""

    ENTRY = Struct(">qi")

    __slots__ = ("_last_timestamp",)

    def __init__(self, fs: FileSystem, path: str, base_offset: int, written: int = 0) -> None:
        super().__init__(fs, path, base_offset, written)
        self._last_timestamp: int | None = None if written else NO_TIMESTAMP

    def maybe_append(self, timestamp_ms: int, offset: int) -> None:
        """Adds (timestamp, last offset of its batch) unless a later timestamp is in already. Raises:
        StorageFailure.
        """
        last = self._last_timestamp
        if last is None:
            last = self.last_entry()[_TIMESTAMP]
        if timestamp_ms > last:
            self._tail += self.ENTRY.pack(timestamp_ms, offset - self.base_offset)
            self.entries += 1
            self._last_timestamp = timestamp_ms
        else:
            self._last_timestamp = last

    def entry(self, index: int) -> tuple[int, int]:
        """(timestamp_ms, offset) number `index`. Raises: StorageFailure."""
        timestamp_ms, relative = self._row(index)
        return timestamp_ms, self.base_offset + relative

    def last_entry(self) -> tuple[int, int]:
        """The last entry; (-1, base_offset) in an empty index. Raises: StorageFailure."""
        return self.entry(self.entries - 1) if self.entries else (NO_TIMESTAMP, self.base_offset)

    def lookup(self, timestamp_ms: int) -> tuple[int, int]:
        """The greatest entry with timestamp <= `timestamp_ms`; (-1, base_offset) where there is none. Raises:
        StorageFailure.
        """
        count = self._count_not_above(_TIMESTAMP, timestamp_ms)
        return self.entry(count - 1) if count else (NO_TIMESTAMP, self.base_offset)

    def truncate_to(self, offset: int) -> None:
        """Drops the entries at or above `offset`. Raises: StorageFailure."""
        self._truncate_entries(self._count_not_above(_OFFSET, offset - 1 - self.base_offset))
        self._last_timestamp = None

    def reset(self) -> None:
        super().reset()
        self._last_timestamp = NO_TIMESTAMP
