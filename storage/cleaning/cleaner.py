"""One pass of compaction over a log: reads its segments twice and writes new ones beside them.

The first look (marking.py) finds which dirty records are superseded. The second goes through all segments up to where
the first one got, in groups (grouping.py), and writes each group's new segment without what is to go. Records in the
clean part are looked up in the map before, in windows of some hundred thousand. A segment that stands alone and loses
nothing is left as it is.

Nothing but files that end in .cleaned is made here, and no file of the log is changed, so that this may run in another
process while the log is appended to and read; that process may die at any time. Blocks. A new segment is made durable
while the next one is written, where there is a thread for that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import NamedTuple

from protocol.errors import BrokerError
from protocol.record_keys import read_keys
from protocol.records import record_bytes
from protocol.types import Position
from storage.batch_scan import Readable
from storage.cleaning.batch_retention import BatchRetention
from storage.cleaning.cleaned_segment import CleanedSegment
from storage.cleaning.grouping import group_segments
from storage.cleaning.job import CleanedGroup, CleaningJob, CleaningResult, SourceSegment
from storage.cleaning.marking import Marked, mark_superseded
from storage.cleaning.source import Opened, Pace, Source
from storage.cleaning.transactions import CleanedTransactions
from storage.errors import CorruptLog, StorageFailure
from storage.fs import File, FileSystem

_WINDOW_RECORDS = 1 << 19


class _Window(NamedTuple):
    """Batches at bytes [start, end) of a segment, with marks for their records from place `first` on."""

    start: Position
    end: Position
    marks: bytearray
    first: int


Sync = Callable[[], None]
"""Makes a new segment durable. Blocks. Raises: StorageFailure."""

StartSync = Callable[[Sync], Sync]
"""Told what will be called in a while, may start it on another thread; returns what is to be called instead."""


class _Written(NamedTuple):
    """A new segment with nothing left to write."""

    segment: CleanedSegment
    group: CleanedGroup
    sync: Sync


def no_pace(_bytes: int) -> None:
    """As fast as it goes."""


def _as_it_is(file: File) -> Readable:
    return file


def _not_before(sync: Sync) -> Sync:
    return sync


class Cleaner:
    """Use once: `run`, then `result`."""

    def __init__(
        self,
        fs: FileSystem,
        job: CleaningJob,
        pace: Pace = no_pace,
        opened: Opened = _as_it_is,
        start_sync: StartSync = _not_before,
    ) -> None:
        self.result: CleaningResult | None = None
        """Known when `run` has ended."""
        self._fs = fs
        self._job = job
        self._source = Source(fs, job, pace, opened)
        self._transactions = CleanedTransactions(job.aborted)
        self._retention = BatchRetention(job, self._transactions)
        self._marked: Marked
        self._next_mark = 0
        """Place of the next dirty record in the map's marks."""
        self._target: CleanedSegment | None = None
        self._start_sync = start_sync
        self._written: _Written | None = None
        """The last one, until it is handed out."""
        self._passed = -1
        """Bytes of the segments that the second look is done with; -1 before it begins."""

    @property
    def done_bytes(self) -> int:
        """How far it is, of the job's `work_bytes`; may go back a little. Any thread may ask."""
        if self._passed < 0:
            return self._source.bytes_read
        done = self._job.dirty_bytes + self._passed + max(self._source.position, 0)
        return min(done, self._job.work_bytes)

    def run(self) -> Generator[CleanedGroup, None, None]:
        """Yields each new segment once it is durable; in whatever way it ends, none that was not handed
        out stays behind.

        Raises: CorruptLog for what cannot be read as records; StorageFailure.
        """
        try:
            yield from self._run()
        except BrokerError as error:
            raise CorruptLog(self._source.path, self._source.position, str(error)) from error
        finally:
            self._discard()

    def _run(self) -> Iterator[CleanedGroup]:
        job = self._job
        self._marked = mark_superseded(job, self._source)
        groups = group_segments(
            [segment for segment in job.segments if segment.base_offset < self._marked.end],
            segment_bytes=job.segment_bytes,
            segment_index_bytes=job.segment_index_bytes,
            end_offset=job.first_uncleanable_offset,
        )
        before = after = 0
        self._passed = 0
        for group in groups:
            size = sum(segment.size_bytes for segment in group)
            before += size
            try:
                target = self._clean_group(group)
            finally:  # what was done before stays done: on a full disk that makes room
                yield from self._durable()
            if target is None:
                after += size
                continue
            after += target.size_bytes
            cleaned = CleanedGroup(group[0].base_offset, group[-1].base_offset, target.size_bytes)
            self._written = _Written(target, cleaned, self._start_sync(target.sync))
            self._target = None
        yield from self._durable()
        keys = len(self._marked.map)
        self.result = CleaningResult(self._marked.end, self._source.bytes_read, before, after, keys)

    def _durable(self) -> Iterator[CleanedGroup]:
        """The segment that was written last, if it was not handed out yet, when it is durable."""
        written = self._written
        if written is not None:
            written.sync()
            self._written = None
            yield written.group

    def _discard(self) -> None:
        unfinished = [self._target] if self._written is None else [self._target, self._written.segment]
        for segment in unfinished:
            if segment is not None:
                with suppress(StorageFailure):
                    segment.discard()

    def _clean_group(self, group: list[SourceSegment]) -> CleanedSegment | None:
        """Writes the new segment of a group; None when its only segment is to stay as it is."""
        first = group[0]
        if len(group) > 1:
            self._begin_segment(first)
        for segment in group:
            self._clean_segment(segment)
            self._passed += segment.size_bytes
        aborted = self._transactions.take_retained()
        target = self._target
        if target is None:
            return None
        target.add_aborted(aborted)
        target.finish()
        return target

    def _begin_segment(self, first: SourceSegment) -> CleanedSegment:
        target = self._target = CleanedSegment(
            self._fs,
            self._job.directory,
            first.base_offset,
            index_interval_bytes=self._job.index_interval_bytes,
            pace=self._source.pace,
        )
        return target

    def _clean_segment(self, segment: SourceSegment) -> None:
        end_offset = self._marked.end
        for window in self._windows(segment):
            place = window.first
            for position, header, batch in self._source.batches(segment, window.start, window.end):
                marks = None
                if not header.is_control and header.base_offset < end_offset:
                    marks = window.marks[place : place + header.record_count]
                    place += header.record_count
                retained = self._retention.filter(header, batch, marks)
                target = self._target
                if target is None and (retained is None or retained[1] is not batch):
                    target = self._begin_late(segment, position)
                if target is not None and retained is not None:
                    target.append(*retained)
            if window.marks is self._marked.map.marks:
                self._next_mark = place

    def _begin_late(self, segment: SourceSegment, changed_at: Position) -> CleanedSegment:
        """The first change in a segment that stands alone: what lies before it is copied now."""
        target = self._begin_segment(segment)
        if changed_at:
            for _, header, batch in self._source.batches(segment, 0, changed_at):
                target.append(header, batch)
        return target

    def _windows(self, segment: SourceSegment) -> Iterator[_Window]:
        """All of a segment: first the clean batches, looked up in the map, then those that it knows."""
        start = end = 0
        if segment.base_offset < self._job.first_dirty_offset:
            questions = self._marked.map.questions()
            for position, header, batch in self._source.batches(segment):
                end = position
                if header.last_offset >= self._job.first_dirty_offset:
                    break
                end += header.size_bytes
                if not header.is_control:
                    count = header.record_count
                    questions.add(*read_keys(bytes(record_bytes(batch, header)), count))
                if len(questions.marks) >= _WINDOW_RECORDS:
                    questions.answer()
                    yield _Window(start, end, questions.marks, 0)
                    start, questions = end, self._marked.map.questions()
            questions.answer()
            if end > start:
                yield _Window(start, end, questions.marks, 0)
        if end < segment.size_bytes:
            yield _Window(end, segment.size_bytes, self._marked.map.marks, self._next_mark)
