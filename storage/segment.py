"""One segment of a log: a file of record batches with its offset, time and transaction index.

Not here: which segment is active, when to roll, what an append must satisfy (log.py); recovery (recovery/).

Files: `<base offset, 20 digits>` + .log .index .timeindex .txnindex. Batches lie end to end, offsets ascend, the
first is at or above `base_offset`. The log file is held open from its first use on, the transaction index once
something was written to it, the others never.

Invariants:
- Readers are shown nothing at or beyond `size_bytes`; bytes below it never change, truncation aside.
- Bytes from `appended_from` on were written by this process; those in `checked` were read and checked by it. All
  others are served only after a check (cold_read.py).
- `hints` maps offsets to the position of the batch that begins with them, or of the end. Right, or absent.
"""

from __future__ import annotations

from protocol.records import HEADER_SIZE, MAGIC, read_header
from protocol.types import Offset, Position, TimestampMs
from storage.batch_scan import HEADER_CHUNK, iter_spans
from storage.byte_ranges import ByteRanges
from storage.config import NO_LIMIT
from storage.errors import CorruptLog
from storage.fs import File, FileSystem, OpenMode
from storage.index_file import WRITE_OUT_ENTRIES
from storage.offset_index import SUFFIX as OFFSET_INDEX_SUFFIX
from storage.offset_index import OffsetIndex
from storage.time_index import NO_TIMESTAMP, TimeIndex
from storage.time_index import SUFFIX as TIME_INDEX_SUFFIX
from storage.txn_index import SUFFIX as TXN_INDEX_SUFFIX
from storage.txn_index import TxnIndex

LOG_SUFFIX = ".log"
DELETED_SUFFIX = ".deleted"
"""Ends the name of a file that left the log and will be removed."""
SUFFIXES = (LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX)

OFFSET_SPAN_MAX = (1 << 31) - 1
"""Indexes keep offsets relative to the base offset in an int32."""

UNKNOWN = -1
"""A position that cannot be told without waiting for the disk or trusting unchecked bytes."""

_UNKNOWN_CUT = (UNKNOWN, UNKNOWN)

_HINTS_MAX = 64
"""More than the readers that a partition usually has; one dictionary entry each."""

_WALK_BYTES_MAX = 4 << 20
"""A walk over headers that may be longer than this goes to the thread pool."""


def file_stem(base_offset: Offset) -> str:
    """The name that the files of a segment share."""
    return f"{base_offset:020d}"


class Segment:
    """Batches from `base_offset` on."""

    __slots__ = (
        "_bytes_since_index",
        "_fs",
        "_stem",
        "_suffix",
        "appended_from",
        "base_offset",
        "checked",
        "created_ms",
        "file_if_open",
        "first_timestamp",
        "hints",
        "max_timestamp",
        "max_timestamp_offset",
        "offset_index",
        "offset_max",
        "roll_above_now",
        "roll_above_timestamp",
        "size_bytes",
        "time_index",
        "txn_index",
    )

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        base_offset: Offset,
        created_ms: TimestampMs,
        *,
        suffix: str = "",
    ) -> None:
        """An empty segment; nothing is on disk before `create_files`. `suffix` ends the names of its files."""
        self._fs = fs
        self._stem = stem = f"{directory}/{file_stem(base_offset)}"
        self._suffix = suffix
        self.file_if_open: File | None = None
        self.base_offset = base_offset
        self.offset_max = base_offset + OFFSET_SPAN_MAX
        """No batch may end above this; lowered to -1 when the segment must take no more for another reason."""
        self.size_bytes = 0
        self.created_ms = created_ms
        self.first_timestamp: TimestampMs = NO_TIMESTAMP
        """Max timestamp of the first batch, which the age of the segment counts from."""
        self.max_timestamp: TimestampMs | None = NO_TIMESTAMP
        """Largest timestamp; None in a segment opened from disk until `largest_timestamp` needs it."""
        self.max_timestamp_offset: Offset = base_offset
        """Last offset of the first batch that has `max_timestamp`."""
        self.roll_above_timestamp = self.roll_above_now = NO_LIMIT
        """The next batch belongs in a new segment when its timestamp, or the clock, is above this."""
        self.offset_index = OffsetIndex(fs, stem + OFFSET_INDEX_SUFFIX + suffix, base_offset)
        self.time_index = TimeIndex(fs, stem + TIME_INDEX_SUFFIX + suffix, base_offset)
        self.txn_index = TxnIndex(fs, stem + TXN_INDEX_SUFFIX + suffix, base_offset)
        self.appended_from: Position = 0
        self.checked = ByteRanges()
        self.hints: dict[Offset, Position] = {base_offset: 0}
        self._bytes_since_index = 0

    @classmethod
    def open(
        cls,
        fs: FileSystem,
        directory: str,
        base_offset: Offset,
        size_bytes: int,
        created_ms: TimestampMs,
        *,
        suffix: str = "",
        is_indexed: bool = True,
    ) -> Segment:
        """The segment over existing files; its indexes are believed if it has both. Raises: StorageFailure."""
        segment = cls(fs, directory, base_offset, created_ms, suffix=suffix)
        segment.size_bytes = segment.appended_from = size_bytes
        segment.max_timestamp = None
        if is_indexed:
            segment.offset_index = OffsetIndex.open(fs, segment.offset_index.path, base_offset)
            segment.time_index = TimeIndex.open(fs, segment.time_index.path, base_offset)
        return segment

    def __repr__(self) -> str:
        return f"Segment({self._stem}, size_bytes={self.size_bytes})"

    @property
    def path(self) -> str:
        """The log file."""
        return self._stem + LOG_SUFFIX + self._suffix

    @property
    def paths(self) -> list[str]:
        """Every file that the segment may have, the log file first."""
        return [self._stem + suffix + self._suffix for suffix in SUFFIXES]

    def renamed(self) -> None:
        """The suffix is gone from the names of its files."""
        self._suffix = ""
        self.offset_index.path = self._stem + OFFSET_INDEX_SUFFIX
        self.time_index.path = self._stem + TIME_INDEX_SUFFIX
        self.txn_index.path = self._stem + TXN_INDEX_SUFFIX
        self.close()

    @property
    def file(self) -> File:
        """The log file, opened on first use. Raises: StorageFailure."""
        file = self.file_if_open
        if file is None:
            file = self.file_if_open = self._fs.open(self.path, OpenMode.APPEND)
        return file

    # -- appending ---------------------------------------------------------------------------------------

    def create_files(self) -> None:
        """Makes the indexes and the log file, empty; the log file last, since it is what counts when the log is
        opened. Raises: StorageFailure.
        """
        self.offset_index.create()
        self.time_index.create()
        self.file_if_open = self._fs.open(self.path, OpenMode.CREATE)

    def note_append(
        self,
        position: Position,
        size: int,
        last_offset: Offset,
        max_timestamp: TimestampMs,
        index_interval_bytes: int,
    ) -> bool:
        """Takes note of a batch just written at `position`, the end of the file, in memory only.

        `max_timestamp` of the segment is known by then. Returns whether the indexes grew.
        """
        self.size_bytes = position + size
        largest = self.max_timestamp
        if largest is None or max_timestamp > largest:
            self.max_timestamp = largest = max_timestamp
            self.max_timestamp_offset = last_offset
        if self._bytes_since_index > index_interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.maybe_append(largest, self.max_timestamp_offset)
            self._bytes_since_index = size
            return True
        self._bytes_since_index += size
        return False

    @property
    def indexes_need_writing(self) -> bool:
        """Whether enough index entries wait in memory to be worth a write."""
        return self.offset_index.tail_entries >= WRITE_OUT_ENTRIES

    def write_indexes(self) -> None:
        """Moves index entries from memory to their files, not synced. Raises: StorageFailure."""
        self.offset_index.write_out()
        self.time_index.write_out()

    def finish_time_index(self) -> None:
        """Makes the last time index entry the largest timestamp, as an inactive segment must have it.
        Raises: StorageFailure.
        """
        if self.size_bytes:
            self.time_index.maybe_append(self.largest_timestamp(), self.max_timestamp_offset)

    def set_roll_time(self, segment_ms: int) -> None:
        """Computes when the segment, which holds a batch, is due to be rolled: `segment_ms` after that
        batch's timestamp, or by the clock after its creation where the batch has none.
        """
        self.roll_above_timestamp = self.roll_above_now = NO_LIMIT
        if self.first_timestamp >= 0:
            self.roll_above_timestamp = self.first_timestamp + segment_ms
        else:
            self.roll_above_now = self.created_ms + segment_ms

    # -- reading: what returns UNKNOWN here is done by a ColdRead --------------------------------------------

    def is_readable(self, start: Position, end: Position) -> bool:
        """Whether [start, end) was checked by this process and reading it would not wait for the disk."""
        return self.is_checked(start, end) and self.file.is_resident(start, end - start)

    def is_checked(self, start: Position, end: Position) -> bool:
        """Whether [start, end) was checked by this process: on the way in, or by a ColdRead."""
        appended_from = self.appended_from
        return start >= appended_from or self.checked.covers(start, min(end, appended_from))

    def find(self, offset: Offset) -> Position:
        """Position of the first batch that ends at or above `offset`; `size_bytes` where there is none;
        UNKNOWN when that cannot be told here. Raises: StorageFailure.
        """
        position = self.hints.get(offset)
        if position is not None:
            return position
        try:
            found = self.offset_index.lookup_resident(offset)
            if found is None:
                return UNKNOWN
            indexed, start, behind = found
            end = self.size_bytes if behind < 0 else min(behind + HEADER_SIZE, self.size_bytes)
            if not 0 < end - start <= _WALK_BYTES_MAX or not self.is_readable(start, end):
                return UNKNOWN
            return self._walk_to(offset, indexed, start, end)
        except CorruptLog:
            return UNKNOWN

    def _walk_to(self, offset: Offset, indexed: Offset, start: Position, end: Position) -> Position:
        """`find` from the index entry (indexed, start) on; the batch is expected to begin before `end`."""
        for span in iter_spans(self.file, start, self.size_bytes):
            position = span.position
            if position == start and indexed >= self.base_offset and span.last_offset != indexed:
                return UNKNOWN  # the index does not tell the truth
            if span.last_offset >= offset:
                return position
            if position >= end:
                return UNKNOWN
        return self.size_bytes

    def cut(self, start: Position, bound: Position) -> tuple[Position, Offset]:
        """Where a whole batch in [start, bound) ends, the last or nearly so, and the offset that begins there.

        The first batch counts as whole even when it is not. All of [start, bound) must be checked, and bound less
        than `size_bytes`. UNKNOWN when that cannot be told here. Raises: StorageFailure.
        """
        try:
            found = self.offset_index.lookup_position(bound)
            if found is None:
                return _UNKNOWN_CUT
            indexed, position = found
            header = self.file.read_resident(position, HEADER_SIZE) if position > start else None
            if header is None:
                return self._walk_to_bound(start, bound)
        except CorruptLog:
            return _UNKNOWN_CUT
        # Good enough: of what lies behind this batch and before the next entry, little would fit.
        batch = read_header(header)
        size = batch.size_bytes
        if batch.last_offset != indexed or batch.magic != MAGIC or size < HEADER_SIZE:
            return _UNKNOWN_CUT  # the index does not tell the truth
        end = position + size
        return (end, indexed + 1) if end <= bound else (position, batch.base_offset)

    def _walk_to_bound(self, start: Position, bound: Position) -> tuple[Position, Offset]:
        walk_end = min(bound + HEADER_CHUNK, self.size_bytes)
        if bound - start > _WALK_BYTES_MAX or not self.file.is_resident(start, walk_end - start):
            return _UNKNOWN_CUT
        end, next_offset = start, UNKNOWN
        for span in iter_spans(self.file, start, self.size_bytes):
            end, next_offset = span.position, span.base_offset
            if end + span.size_bytes > bound:
                if end == start:
                    end, next_offset = start + span.size_bytes, span.last_offset + 1
                break
        self.add_hint(next_offset, end)
        return end, next_offset

    def add_hint(self, offset: Offset, position: Position) -> None:
        """Remembers that a batch begins, or the segment ends, with `offset` at `position`."""
        hints = self.hints
        if len(hints) >= _HINTS_MAX:
            del hints[next(iter(hints))]
        hints[offset] = position

    def largest_timestamp(self) -> TimestampMs:
        """Largest timestamp in the segment, -1 where there is none. Raises: StorageFailure."""
        if self.max_timestamp is None:
            self.max_timestamp, self.max_timestamp_offset = self.time_index.last_entry()
        return self.max_timestamp

    def first_batch_timestamp(self) -> TimestampMs:
        """Max timestamp of the first batch; there must be one. May read it. Raises: CorruptLog, StorageFailure."""
        if self.first_timestamp == NO_TIMESTAMP:
            self.first_timestamp = next(iter_spans(self.file, 0, self.size_bytes)).max_timestamp
        return self.first_timestamp

    # -- opening, recovery and truncating: these may wait for the disk ----------------------------------------------

    def load_active(self) -> None:
        """Reads what appending needs to know of a segment opened from disk. Raises: CorruptLog,
        StorageFailure.
        """
        self.largest_timestamp()
        self.time_index.maybe_append(NO_TIMESTAMP, self.base_offset)
        if self.size_bytes:
            self.first_batch_timestamp()

    def forget(self) -> None:
        """Back to an empty segment in memory; the files stay. For who reads the log file from its start."""
        self.size_bytes = 0
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = self.base_offset
        self.checked = ByteRanges()
        self.hints = {self.base_offset: 0}
        self._bytes_since_index = 0

    def truncate_to(self, offset: Offset) -> Offset:
        """Removes every batch that reaches `offset`, from the log and from the indexes.

        Returns where what is left ends: `offset`, or lower when it lies inside a batch.
        Raises: CorruptLog, StorageFailure.
        """
        end_offset = offset
        _, start, _ = self.offset_index.lookup(offset - 1)
        end = self.size_bytes
        for span in iter_spans(self.file, start, end):
            if span.last_offset >= offset:
                end, end_offset = span.position, min(offset, span.base_offset)
                break
        self.offset_index.truncate_to(offset)
        self.time_index.truncate_to(offset)
        self.txn_index.truncate_to(offset)
        self.file.truncate(end)
        self.size_bytes = end
        self.appended_from = min(self.appended_from, end)
        self.checked.truncate(end)
        self.hints = {self.base_offset: 0}
        self.offset_max = self.base_offset + OFFSET_SPAN_MAX
        self._bytes_since_index = 0
        self._find_largest_timestamp()
        if not end:
            self.first_timestamp = NO_TIMESTAMP
            self.roll_above_timestamp = self.roll_above_now = NO_LIMIT
        return end_offset

    def _find_largest_timestamp(self) -> None:
        """After a truncation: the last time index entry, or what comes behind it. Raises: StorageFailure."""
        largest, last_offset = self.time_index.last_entry()
        _, start, _ = self.offset_index.lookup(last_offset)
        for span in iter_spans(self.file, start, self.size_bytes):
            if span.max_timestamp > largest:
                largest, last_offset = span.max_timestamp, span.last_offset
        self.max_timestamp, self.max_timestamp_offset = largest, last_offset

    def close(self) -> None:
        """Lets go of the log file; regions that are still being sent keep it open. It opens again on use."""
        if self.file_if_open is not None:
            self.file_if_open.close()
            self.file_if_open = None
        self.txn_index.close()
