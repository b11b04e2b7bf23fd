"""Array of fixed-size ascending entries in a file: what the offset index and the time index share.

The file is not held open and not memory-mapped. Entries that were appended since the last `write_out` wait in
memory (the tail, bounded by the owner who spills it); older ones are read back from the file when a lookup
needs them, a page at a time, and the last page read is kept: a sequential reader's next lookup is most often in
it, and then touches no file. No checksum: the owner checks what an entry says against the log, and after a crash
the index is rebuilt from it.

Invariant: entry i lies in the file when i < `_written`, else in the tail; `entries` counts both.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Self

from storage.errors import CorruptLog
from storage.fs import File, FileSystem, OpenMode

_PAGE_ENTRIES = 512
"""Read that many entries at once: a bisection ends in one page instead of nine single reads."""

WRITE_OUT_ENTRIES = 512
"""Spill the tail at this length: 4 to 6 KB of memory per index, one write per 2 MB of log."""

_UNKNOWN = -1


class IndexFile:
    """Entries of two integer columns, both ascending."""

    ENTRY = Struct("")

    __slots__ = ("_fs", "_page", "_page_start", "_tail", "_written", "base_offset", "entries", "path")

    def __init__(self, fs: FileSystem, path: str, base_offset: int, written: int = 0) -> None:
        """`written` is the number of entries that the file holds."""
        self._fs = fs
        self.path = path
        self.base_offset = base_offset
        self._written = written
        self._tail = bytearray()
        self._page = b""
        """Entries `_page_start` and following, as in the file."""
        self._page_start = 0
        self.entries = written

    @classmethod
    def open(cls, fs: FileSystem, path: str, base_offset: int) -> Self:
        """The index over an existing file; a torn last entry is not counted. Raises: StorageFailure."""
        return cls(fs, path, base_offset, fs.size(path) // cls.ENTRY.size)

    def is_whole(self) -> bool:
        """Whether the file holds whole entries only. Raises: StorageFailure."""
        return self._fs.size(self.path) == self._written * self.ENTRY.size

    def create(self) -> None:
        """Makes the file, empty. Raises: StorageFailure."""
        self._fs.open(self.path, OpenMode.CREATE)

    @property
    def tail_entries(self) -> int:
        """How many entries wait in memory."""
        return self.entries - self._written

    def write_out(self) -> None:
        """Moves the tail into the file, not synced. Raises: StorageFailure, with nothing changed."""
        if not self._tail:
            return
        size = self.ENTRY.size
        file = self._fs.open(self.path, OpenMode.APPEND)
        if file.size() != self._written * size:
            file.truncate(self._written * size)
        file.append(self._tail)
        self._written += len(self._tail) // size
        self._tail = bytearray()

    def frozen(self) -> Self:
        """A copy for lookups on another thread while this one grows."""
        copy = type(self)(self._fs, self.path, self.base_offset, self._written)
        copy._tail = bytearray(self._tail)
        copy.entries = self.entries
        return copy

    def reset(self) -> None:
        """Drops every entry, in memory and in the file. Raises: StorageFailure."""
        self._fs.open(self.path, OpenMode.CREATE)
        self._tail = bytearray()
        self._page = b""
        self._written = self.entries = 0

    def iter_rows(self) -> Iterator[tuple[int, int]]:
        """Yields every entry as it is stored, page by page. Raises: CorruptLog, StorageFailure."""
        file = self._fs.open(self.path, OpenMode.READ) if self._written else None
        for index in range(0, self._written, _PAGE_ENTRIES):
            assert file is not None
            page = self._read(file, index, min(_PAGE_ENTRIES, self._written - index))
            yield from self.ENTRY.iter_unpack(page)
        yield from self.ENTRY.iter_unpack(bytes(self._tail))

    def _row(self, index: int) -> tuple[int, int]:
        """Entry number `index` as it is stored. Raises: CorruptLog, StorageFailure."""
        if index >= self._written:
            row = self.ENTRY.unpack_from(self._tail, (index - self._written) * self.ENTRY.size)
        elif 0 <= (at := (index - self._page_start) * self.ENTRY.size) < len(self._page):
            row = self.ENTRY.unpack_from(self._page, at)
        else:
            row = self.ENTRY.unpack(self._read(self._fs.open(self.path, OpenMode.READ), index, 1))
        return row[0], row[1]

    def _page_holds(self, column: int, value: int) -> bool:
        """Whether the greatest entry not above `value` is in the page kept, and the one behind it too if any."""
        page = self._page
        if not page:
            return False
        unpack, size = self.ENTRY.unpack_from, self.ENTRY.size
        if unpack(page, 0)[column] > value:
            return False
        return (
            unpack(page, len(page) - size)[column] > value
            or self._page_start + len(page) // size == self._written
        )

    def _count_not_above(self, column: int, value: int) -> int:
        """How many entries have `column` <= `value`: they are the first ones. Raises: StorageFailure."""
        count = self._count_in_memory(column, value)
        if count == _UNKNOWN:
            self._load_page(column, value)
            count = self._page_start + _bisect(self._page, self.ENTRY, column, value)
        return count

    def _count_if_resident(self, column: int, value: int) -> int:
        """`_count_not_above`, but _UNKNOWN where that would wait for the disk. Raises: StorageFailure."""
        count = self._count_in_memory(column, value)
        if count == _UNKNOWN:
            file = self._fs.open(self.path, OpenMode.READ)
            if file.is_resident(0, self._written * self.ENTRY.size):
                count = self._count_not_above(column, value)
        return count

    def _count_in_memory(self, column: int, value: int) -> int:
        """`_count_not_above` where the tail or the page kept tells, else _UNKNOWN."""
        tail = self._tail
        if tail and self.ENTRY.unpack_from(tail, 0)[column] <= value:
            return self._written + _bisect(tail, self.ENTRY, column, value)
        if not self._written:
            return 0
        if self._page_holds(column, value):
            return self._page_start + _bisect(self._page, self.ENTRY, column, value)
        return _UNKNOWN

    def _load_page(self, column: int, value: int) -> None:
        """Keep the page in which `value` belongs: everything before it is not above, everything behind is."""
        file = self._fs.open(self.path, OpenMode.READ)
        low, high = 0, self._written
        while high - low > _PAGE_ENTRIES:
            middle = (low + high) // 2
            if self.ENTRY.unpack(self._read(file, middle, 1))[column] <= value:
                low = middle
            else:
                high = middle
        # A little more than what the bisection left, so that the next lookups find themselves in it.
        high = min(low + 2 * _PAGE_ENTRIES, self._written)
        self._page = self._read(file, low, high - low)
        self._page_start = low

    def _read(self, file: File, index: int, count: int) -> bytes:
        size = self.ENTRY.size
        data = file.read_at(index * size, count * size)
        if len(data) != count * size:
            raise CorruptLog(self.path, index * size, f"ends before {self._written} entries")
        return data

    def _truncate_entries(self, count: int) -> None:
        """Keeps the first `count` entries. Raises: StorageFailure."""
        if count >= self.entries:
            return
        size = self.ENTRY.size
        self._page = b""
        if count < self._written:
            self._fs.open(self.path, OpenMode.APPEND).truncate(count * size)
            self._written = count
        del self._tail[(count - self._written) * size :]
        self.entries = count


def _bisect(data: bytes | bytearray, entry: Struct, column: int, value: int) -> int:
    """How many of the entries in `data` have `column` <= `value`."""
    unpack = entry.unpack_from
    size = entry.size
    low, high = 0, len(data) // size
    while low < high:
        middle = (low + high) // 2
        if unpack(data, middle * size)[column] <= value:
            low = middle + 1
        else:
            high = middle
    return low
