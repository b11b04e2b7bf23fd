"""A read that has to wait for the disk, or that must check what it reads: a plan for the thread pool.

Made by `Log.read` when the batches wanted are not in the page cache, or were not yet checked by this process, or
cannot be found without touching such bytes. `run` finds them, reads them (so that they are resident afterwards),
and checks every batch bit by bit; then `Log.finish_read` on the loop gives the result. Nothing unchecked
is ever served, and no read blocks the loop.

`run` touches only what the plan captured: the open file, a copy of the index, numbers. When the log was
truncated meanwhile, what it sees is meaningless: it ends with `stale` set, and the reader asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.types import Offset, Position
from storage.batch_scan import OutOfPlace, check_epoch, iter_checked
from storage.errors import CorruptLog, StorageFailure
from storage.leader_epochs import LeaderEpochCache
from storage.region import FileRegion

if TYPE_CHECKING:
    from storage.segment import Segment


_READ_AHEAD_MIN = 1 << 16
"""A disk gives that much for the price of less."""


class Generation:
    """Counts how often a log lost bytes that a plan may be about to read (truncation, deletion)."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class ColdRead:
    """Reads from `offset` up to `upper` (exclusive) and `max_bytes`, in one segment."""

    def __init__(
        self,
        segment: Segment,
        generation: Generation,
        *,
        offset: Offset,
        start: Position,
        upper: Offset,
        max_bytes: int,
        min_one: bool,
        end_offset: Offset,
        gaps: bool,
        epochs: LeaderEpochCache,
    ) -> None:
        """`start` is the position of the batch that holds `offset`, -1 when the index must tell; `end_offset` is
        where the segment ends, `gaps` says that a cleaner may have taken offsets out of it, `epochs` is a copy.
        Opens the file if it is not: raises StorageFailure.
        """
        self.segment = segment
        self._file = segment.file
        self._size_bytes = segment.size_bytes
        self._index = segment.offset_index.frozen() if start < 0 else None
        self._generation = generation
        self._made_at = generation.number
        self.offset = offset
        """Where the reader wants to begin."""
        self._start = start
        self._upper = upper
        self._max_bytes = max_bytes
        self._min_one = min_one
        self._end_offset = end_offset
        self._gaps = gaps
        self._epochs = epochs
        self._first = -1
        # What `run` found out.
        self.checked: tuple[Position, Position] = (0, 0)
        """Bytes that were read and checked."""
        self.region: FileRegion | None = None
        self.next_offset = offset
        """Offset behind the last batch of the region; where there is none because a cleaner left nothing there, behind
        the gap.
        """
        self.index_is_wrong = False
        """Whether the offset index named a place where its batch is not."""

    @property
    def stale(self) -> bool:
        """Whether the log was truncated since this was made: `run` has nothing to say then."""
        return self._generation.number != self._made_at

    def run(self) -> None:
        """Blocks. Raises: CorruptLog at a batch that is not what was written; StorageFailure."""
        try:
            start = self._start if self._index is None else self._indexed_start()
            self._read(start)
        except (CorruptLog, StorageFailure):  # an index whose name has changed is not there
            if not self.stale:
                raise

    def _indexed_start(self) -> Position:
        """Where the index says that a batch begins, if the log agrees; the start of the segment otherwise."""
        assert self._index is not None
        try:
            indexed, position, _ = self._index.lookup(self.offset)
            if indexed < self.segment.base_offset:
                return 0
            batches = iter_checked(self._file, position, self._size_bytes, due=None, gaps=True)
            if next(batches)[1].last_offset == indexed:
                return position
        except (CorruptLog, StopIteration):
            pass
        # Either the index or the batch is damaged; reading all from the start tells which.
        self.index_is_wrong = True
        return 0

    def _read(self, position: Position) -> None:
        """Reads from the start of a batch on. The batch behind the region is looked at as well: it vouches for the
        base offset of the last one in it.
        """
        self.checked = (position, position)
        try:
            self._take_batches(position)
        except OutOfPlace:
            raise
        except CorruptLog:
            if self._first < 0:
                raise  # otherwise what is sound is served, and the next read meets the damage
        if self._first >= 0:
            self.region = FileRegion(self._file, self._first, self.checked[1] - self._first)

    def _take_batches(self, start: Position) -> None:
        name = self._file.name
        reached = self.segment.base_offset if start == 0 else None
        batches = iter_checked(
            self._file,
            start,
            self._size_bytes,
            due=reached,
            gaps=self._gaps,
            read_ahead=max(self._max_bytes, _READ_AHEAD_MIN),
        )
        for at, header, _ in batches:
            if header.base_offset >= self._upper:
                return
            check_epoch(name, at, header, self._epochs)
            end = at + header.size_bytes
            if header.last_offset >= self.offset:
                if not self._takes(at, end, header.base_offset):
                    return
                self.next_offset = header.last_offset + 1
            self.checked = (start, end)
            reached = header.last_offset + 1
        if reached != self._end_offset and not self._gaps:
            raise OutOfPlace(
                name, self._size_bytes, f"ends with offset {reached}, {self._end_offset} was due"
            )
        if self._first < 0:
            self.next_offset = max(self.offset, min(self._end_offset, self._upper))

    def _takes(self, at: Position, end: Position, base_offset: Offset) -> bool:
        """Whether a batch belongs in the region. Raises: OutOfPlace."""
        if self._first >= 0:
            return end - self._first <= self._max_bytes
        if base_offset > self.offset and not self._gaps:
            raise OutOfPlace(self._file.name, at, f"offset {self.offset} is missing before {base_offset}")
        if end - at > self._max_bytes and not self._min_one:
            return False
        self._first = at
        return True
