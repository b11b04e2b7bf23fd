"""Finding the first record at or after a time, or the record with the largest time: a plan for the thread pool.

Always a plan: the record's own timestamp lies inside its batch, which may have to be read from disk and
decompressed. Every batch is checked on the way. Index entries are trusted only as far as the batch that they
name agrees with them; where it does not, the search goes over the whole segment instead.
Source: KIP-79, KIP-734; apache/kafka core/…/log/UnifiedLog.scala (fetchOffsetByTimestamp).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from protocol.errors import BrokerError
from protocol.records import BatchHeader, iter_records
from protocol.types import LeaderEpoch, Offset, Position, TimestampMs
from storage.batch_scan import check_epoch, iter_checked
from storage.errors import CorruptLog, StorageFailure
from storage.fs import File, FileSystem, OpenMode
from storage.leader_epochs import LeaderEpochCache

if TYPE_CHECKING:
    from storage.cold_read import Generation
    from storage.offset_index import OffsetIndex
    from storage.segment import Segment
    from storage.time_index import TimeIndex


class TimestampOffset(NamedTuple):
    """A record found by its time; a timestamp or epoch of -1 is not known."""

    timestamp_ms: TimestampMs
    offset: Offset
    leader_epoch: LeaderEpoch


class _SegmentView(NamedTuple):
    """What a search needs of a segment, safe from the appends that go on meanwhile."""

    path: str
    base_offset: Offset
    size_bytes: int
    max_timestamp: TimestampMs | None
    offset_index: OffsetIndex
    time_index: TimeIndex

    @classmethod
    def of(cls, segment: Segment) -> _SegmentView:
        return cls(
            segment.path,
            segment.base_offset,
            segment.size_bytes,
            segment.max_timestamp,
            segment.offset_index.frozen(),
            segment.time_index.frozen(),
        )

    @property
    def largest(self) -> TimestampMs:
        return self.time_index.last_entry()[0] if self.max_timestamp is None else self.max_timestamp


class TimestampLookup:
    """Looks for the first record at or above `start_offset` whose timestamp is >= `target_ms`; for the first
    record with the largest timestamp when `target_ms` is None.
    """

    def __init__(
        self,
        fs: FileSystem,
        segments: Sequence[Segment],
        generation: Generation,
        *,
        target_ms: TimestampMs | None,
        start_offset: Offset,
        gaps: bool,
        epochs: LeaderEpochCache,
    ) -> None:
        """`epochs` is a copy; `gaps` says whether a cleaner may have taken offsets out."""
        self._fs = fs
        self._segments = [_SegmentView.of(segment) for segment in segments if segment.size_bytes]
        self._generation = generation
        self._made_at = generation.number
        self._target_ms = target_ms
        self._start_offset = start_offset
        self._gaps = gaps
        self._epochs = epochs

    @property
    def stale(self) -> bool:
        """Whether files were deleted or truncated since this was made: ask again."""
        return self._generation.number != self._made_at

    def run(self) -> TimestampOffset | None:
        """Blocks; None where there is no such record, and when `stale`. Raises: CorruptLog, StorageFailure."""
        try:
            if self._target_ms is not None:
                return self._first_at_or_after(self._target_ms)
            return self._latest()
        except (CorruptLog, StorageFailure):
            if not self.stale:
                raise
            return None

    def _first_at_or_after(self, target_ms: TimestampMs) -> TimestampOffset | None:
        for segment in self._segments:
            if segment.largest >= target_ms:
                found = self._search(segment, target_ms)
                if found is not None:
                    return found
        return None

    def _latest(self) -> TimestampOffset | None:
        largest = max((self._largest_readable(segment) for segment in self._segments), default=-1)
        return self._first_at_or_after(largest) if largest >= 0 else None

    def _largest_readable(self, segment: _SegmentView) -> TimestampMs:
        """Largest timestamp in a segment; what lies below the start offset does not count."""
        if segment.base_offset >= self._start_offset:
            return segment.largest
        file = self._fs.open(segment.path, OpenMode.READ)
        largest = -1
        for _, header, batch in self._checked(file, segment, 0):
            if header.base_offset >= self._start_offset:
                largest = max(largest, header.max_timestamp)
            elif header.last_offset >= self._start_offset:
                largest = max(largest, _largest_from(header, batch, self._start_offset))
        return largest

    def _search(self, segment: _SegmentView, target_ms: TimestampMs) -> TimestampOffset | None:
        file = self._fs.open(segment.path, OpenMode.READ)
        for header, batch in self._batches(file, segment, target_ms):
            if header.max_timestamp >= target_ms and header.last_offset >= self._start_offset:
                found = _first_record(header, batch, target_ms, self._start_offset)
                if found is not None:
                    return found
        return None

    def _batches(
        self, file: File, segment: _SegmentView, target_ms: TimestampMs
    ) -> Iterator[tuple[BatchHeader, memoryview]]:
        """The batches from which on a record of that time can come."""
        position = self._indexed_start(file, segment, target_ms)
        for at, header, batch in self._checked(file, segment, position):
            check_epoch(segment.path, at, header, self._epochs)
            yield header, batch

    def _checked(
        self, file: File, segment: _SegmentView, position: Position
    ) -> Iterator[tuple[Position, BatchHeader, memoryview]]:
        due = segment.base_offset if position == 0 else None
        return iter_checked(file, position, segment.size_bytes, due=due, gaps=self._gaps)

    def _indexed_start(self, file: File, segment: _SegmentView, target_ms: TimestampMs) -> Position:
        """Where the time index says that the search begins, if the batch there agrees; else the start."""
        try:
            timestamp_ms, last_offset = segment.time_index.lookup(target_ms)
            if timestamp_ms < 0:
                return 0
            _, position, _ = segment.offset_index.lookup(last_offset)
            for at, header, _ in self._checked(file, segment, position):
                if header.last_offset >= last_offset:
                    agrees = header.last_offset == last_offset and header.max_timestamp == timestamp_ms
                    return at if agrees else 0
        except CorruptLog:
            pass  # the search from the start tells whether it is the log or only the index
        return 0


def _largest_from(header: BatchHeader, batch: memoryview, start_offset: Offset) -> TimestampMs:
    """Largest timestamp of a batch's records from `start_offset` on."""
    try:
        return max((r.timestamp_ms for r in iter_records(batch) if r.offset >= start_offset), default=-1)
    except BrokerError:
        return header.max_timestamp  # as in _first_record


def _first_record(
    header: BatchHeader, batch: memoryview, target_ms: TimestampMs, start_offset: Offset
) -> TimestampOffset | None:
    """The first record of a batch that qualifies; of one that cannot be taken apart, what its header says."""
    try:
        for record in iter_records(batch):
            if record.timestamp_ms >= target_ms and record.offset >= start_offset:
                return TimestampOffset(record.timestamp_ms, record.offset, header.leader_epoch)
    except BrokerError:
        # Producers are taken at their word about what is inside a batch; here one lied.
        return TimestampOffset(
            header.max_timestamp, max(header.base_offset, start_offset), header.leader_epoch
        )
    return None
