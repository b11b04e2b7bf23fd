"""Reading a damaged log on: every batch that can be made out, sound or not, from the first byte to the last.

`storage.batch_scan` stops at the first fault, since nothing behind it may be served. A check wants to know of all of
them. So it goes on where the next batch can be told to begin: behind the damaged one when a header stands there, else
at the next place that the offset index names. What lies between is reported as one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from protocol.records import HEADER, HEADER_SIZE, LOG_OVERHEAD, MAGIC, BatchHeader
from storage.batch_scan import OutOfPlace, iter_checked
from storage.errors import CorruptLog
from storage.segment import OFFSET_SPAN_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from protocol.types import Offset, Position
    from storage.fs import File

_BELIEVED_BYTES = 16 << 20
"""A batch that claims to be larger is read only if another follows where it ends: a flipped bit in its length must not
fill the memory.
"""


class BatchWalk:
    """Yields the sound batches of [0, size) in order; tells `on_damage` of what is skipped."""

    def __init__(
        self,
        file: File,
        size: Position,
        *,
        base_offset: Offset,
        due: Offset | None,
        gaps: bool,
        on_damage: Callable[[CorruptLog, Position, Offset], None],
        places: Callable[[Position], Iterable[Position]],
    ) -> None:
        """`on_damage(what, end, offset)`: the walk goes on at `end`; `offset` was due, -1 for unknown.
        `places(position)` names positions behind `position` where batches may begin.
        """
        self.due = due
        """Offset that the next batch begins with; None when nobody knows."""
        self._file = cast("File", _CautiousFile(file, size))  # all that a walk needs of a file
        self._size = size
        self._base_offset = base_offset
        self._gaps = gaps
        self._on_damage = on_damage
        self._places = places

    def __iter__(self) -> Iterator[tuple[Position, BatchHeader, memoryview]]:
        position = 0
        while position < self._size:
            try:
                for found, header, batch in iter_checked(
                    self._file, position, self._size, due=self.due, gaps=self._gaps
                ):
                    position = found + header.size_bytes
                    self.due = header.last_offset + 1
                    yield found, header, batch
                return
            except OutOfPlace as error:
                position = self._pass_misplaced(error)
            except CorruptLog as error:
                position = self._pass_damaged(error)

    def _pass_misplaced(self, error: OutOfPlace) -> Position:
        """The base offset has no checksum: when the next batch stands right, only this one's is wrong."""
        position, due = error.position, self.due
        assert due is not None
        header = self._read_header(position)
        end = position + header.size_bytes
        expected = due + header.last_offset_delta + 1
        following = self._header_at(end)
        if end == self._size or (following is not None and following.base_offset == expected):
            self._on_damage(error, end, due)
            self.due = expected
            return end
        self._on_damage(error, position, due)
        self.due = None  # another run begins here
        return position

    def _pass_damaged(self, error: CorruptLog) -> Position:
        position = error.position
        end = self._end_of(position)
        self._on_damage(error, end, -1 if self.due is None else self.due)
        following = self._header_at(end)
        self.due = None if following is None else following.base_offset
        return end

    def _end_of(self, position: Position) -> Position:
        """Where to go on behind the damage at `position`."""
        header = self._header_at(position)
        if header is not None:
            end = position + header.size_bytes
            if end == self._size or self._header_at(end) is not None:
                return end
        return next((p for p in self._places(position) if self._header_at(p) is not None), self._size)

    def _header_at(self, position: Position) -> BatchHeader | None:
        """The header of a batch that may well begin there; None where none can."""
        if position + HEADER_SIZE > self._size:
            return None
        header = self._read_header(position)
        size = header.batch_length + LOG_OVERHEAD
        plausible = header.magic == MAGIC and size >= HEADER_SIZE and position + size <= self._size
        ascends = self._base_offset <= header.base_offset <= self._base_offset + OFFSET_SPAN_MAX
        return header if plausible and ascends else None

    def _read_header(self, position: Position) -> BatchHeader:
        return BatchHeader._make(HEADER.unpack(self._file.read_at(position, HEADER_SIZE)))


class _CautiousFile:
    """A file that reads no piece beyond `_BELIEVED_BYTES` unless a batch of that size is credible."""

    def __init__(self, file: File, size: Position) -> None:
        self.name = file.name
        self._file = file
        self._size = size

    def read_at(self, position: int, size: int) -> bytes:
        if size > _BELIEVED_BYTES and position + size < self._size:
            behind = self._file.read_at(position + size, HEADER_SIZE)
            if len(behind) < HEADER_SIZE or HEADER.unpack(behind)[3] != MAGIC:
                raise CorruptLog(self.name, position, f"a batch of {size} bytes ends where no other begins")
        return self._file.read_at(position, size)
