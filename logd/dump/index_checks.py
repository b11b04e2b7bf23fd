"""Holding index entries against the batches of their log while that is read.

Both cursors are fed the batches in order and look at each index entry once, at the batch that it speaks of. Those that
do not ascend are reported and left out; of two that contradict each other, the one that its neighbours contradict is
meant. An index that its writer preallocated ends where its zeros begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.dump.finding import REMOVE_FILE
from storage.errors import CorruptLog
from storage.time_index import NO_TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logd.dump.finding import Report
    from protocol.types import Offset, Position, TimestampMs
    from storage.index_file import IndexFile
    from storage.offset_index import OffsetIndex
    from storage.time_index import TimeIndex

_REPORTED_MAX = 20
"""Further entries of the same index that are wrong are counted instead of listed."""

_Entry = tuple[int, int, int]
"""Number of the entry, then its columns as stored."""


class _Cursor:
    """Walks the ascending entries of one index, reporting those that are wrong."""

    def __init__(self, index: IndexFile, report: Report, *, preallocated: bool) -> None:
        self._index = index
        self._report = report
        self._wrong = 0
        self._entries = _ascending(self, index.iter_rows(), preallocated)
        self.current: _Entry | None = None
        self.advance()

    def advance(self) -> None:
        """Go on to the next entry; None behind the last, also where the file cannot be read on."""
        try:
            self.current = next(self._entries, None)
        except CorruptLog as error:
            self._report.problem(error.path, error.reason, REMOVE_FILE, position=error.position)
            self.current = None

    def wrong(self, number: int, problem: str) -> None:
        self._wrong += 1
        if self._wrong <= _REPORTED_MAX:
            position = number * self._index.ENTRY.size
            self._report.problem(
                self._index.path, f"entry {number} {problem}", REMOVE_FILE, position=position
            )

    def close(self) -> None:
        """Say how many more entries were wrong than were listed."""
        if self._wrong > _REPORTED_MAX:
            more = self._wrong - _REPORTED_MAX
            self._report.problem(self._index.path, f"{more} more entries are wrong", REMOVE_FILE)


class OffsetIndexCursor(_Cursor):
    """Entries (last offset of a batch, its position)."""

    def __init__(self, index: OffsetIndex, report: Report, *, preallocated: bool) -> None:
        super().__init__(index, report, preallocated=preallocated)
        self._base_offset = index.base_offset

    @property
    def next_position(self) -> Position | None:
        """Where the next entry points to."""
        return None if self.current is None else self.current[2]

    def on_batch(self, position: Position, last_offset: Offset) -> None:
        while self.current is not None and self.current[2] <= position:
            number, relative, pointed = self.current
            if pointed < position:
                self.wrong(number, f"points into a batch, at byte {pointed} of the log")
            elif self._base_offset + relative != last_offset:
                found = self._base_offset + relative
                self.wrong(
                    number,
                    f"says that the batch at byte {pointed} ends with {found}, it ends with {last_offset}",
                )
            self.advance()

    def skip_to(self, position: Position) -> None:
        """Leave out the entries below `position`: the log is damaged there, so they may well be right."""
        while self.current is not None and self.current[2] < position:
            self.advance()

    def on_end(self, size: Position, *, grows: bool) -> None:
        """The log ends at `size`; what `grows` may have got entries for batches behind that since."""
        while self.current is not None and not grows:
            self.wrong(self.current[0], f"points to byte {self.current[2]}, the log ends at byte {size}")
            self.advance()
        self.close()


class TimeIndexCursor(_Cursor):
    """Entries (largest timestamp so far, last offset of the first batch that has it)."""

    def __init__(self, index: TimeIndex, report: Report, *, preallocated: bool) -> None:
        self.largest: TimestampMs = NO_TIMESTAMP
        """Largest timestamp of the batches seen."""
        self.last: TimestampMs = NO_TIMESTAMP
        """Timestamp of the last entry that was compared."""
        self.is_sure = True
        """False once a damaged batch was left out: its timestamp may have been the largest."""
        super().__init__(index, report, preallocated=preallocated)
        self._base_offset = index.base_offset

    def on_batch(self, base_offset: Offset, last_offset: Offset, max_timestamp: TimestampMs) -> None:
        self.largest = max(self.largest, max_timestamp)
        while self.current is not None and self._base_offset + self.current[2] <= last_offset:
            number, timestamp_ms, relative = self.current
            offset = self._base_offset + relative
            if timestamp_ms < self.largest or (self.is_sure and timestamp_ms != self.largest):
                self.wrong(
                    number,
                    f"says that {timestamp_ms} is the largest timestamp up to offset {offset}, it is {self.largest}",
                )
            elif offset < base_offset and self.is_sure:
                self.wrong(number, f"names offset {offset}, which no batch holds")
            elif timestamp_ms != max_timestamp and self.is_sure:
                self.wrong(number, f"names offset {offset} for {timestamp_ms}, which an earlier batch has")
            self.last = timestamp_ms
            self.advance()

    def skip_to(self, offset: Offset) -> None:
        """Leave out the entries below `offset`: the log is damaged there."""
        self.is_sure = False
        while self.current is not None and self._base_offset + self.current[2] < offset:
            self.advance()

    def on_end(self, next_offset: Offset, *, grows: bool, is_complete: bool) -> None:
        """The log ends below `next_offset`; a complete index names the largest timestamp of all."""
        while self.current is not None and not grows:
            offset = self._base_offset + self.current[2]
            self.wrong(self.current[0], f"names offset {offset}, the segment ends below {next_offset}")
            self.advance()
        if is_complete and self.is_sure and self.last < self.largest and not self._wrong:
            self._report.problem(
                self._index.path,
                f"its last entry is for {self.last}, the segment has records up to {self.largest}",
                REMOVE_FILE,
            )
        self.close()


def _ascending(cursor: _Cursor, rows: Iterable[tuple[int, int]], preallocated: bool) -> Iterator[_Entry]:
    """Yield the entries of which both columns ascend, from 0 up; report the others."""
    last: tuple[int, int] = (-1, -1)
    held: _Entry | None = None
    for number, row in enumerate(rows):
        if preallocated and row == (0, 0) and number > 0:
            if held == (0, 0, 0):
                return  # nothing but zeros
            break
        if held is not None:
            if _follows(held[1:], row):
                yield held
                last = (held[1], held[2])
            elif _follows(last, row):
                cursor.wrong(held[0], "does not ascend to the next")
            else:
                cursor.wrong(number, "does not ascend from the one before")
                continue
        elif not _follows(last, row):
            cursor.wrong(number, "does not ascend from the one before")
            continue
        held = (number, *row)
    if held is not None:
        yield held


def _follows(before: tuple[int, ...], row: tuple[int, int]) -> bool:
    return row[0] > before[0] and row[1] > before[1]
