"""Reading the segments that are to be cleaned: every batch checked, bytes counted, and in no hurry.

What is copied was read and checked here: a flipped bit must not get a new checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from protocol.records import BatchHeader
from protocol.types import Position
from storage.batch_scan import Readable, iter_checked
from storage.cleaning.job import CleaningJob, SourceSegment
from storage.fs import File, FileSystem, OpenMode
from storage.segment import LOG_SUFFIX, file_stem

Pace = Callable[[int], None]
"""Told how many bytes were read or written since the last call; may take its time."""

Opened = Callable[[File], Readable]
"""Told of each file before it is read from; what it returns is read instead."""

_PACE_BYTES = 1 << 16


class Source:
    """The segments of one job."""

    def __init__(self, fs: FileSystem, job: CleaningJob, pace: Pace, opened: Opened) -> None:
        self.path = job.directory
        self.position: Position = -1
        """Where the batch begins that was handed out last, and in which file."""
        self.bytes_read = 0
        self.pace = pace
        self._fs = fs
        self._opened = opened
        self._directory = job.directory
        self._unpaced = 0

    def batches(
        self, segment: SourceSegment, start: Position = 0, end: Position | None = None
    ) -> Iterator[tuple[Position, BatchHeader, memoryview]]:
        """The batches in [start, end) of a segment, by default all, with their positions.

        Raises: CorruptLog, StorageFailure.
        """
        self.path = f"{self._directory}/{file_stem(segment.base_offset)}{LOG_SUFFIX}"
        path, file = self.path, self._opened(self._fs.open(self.path, OpenMode.READ))
        due = None if start else segment.base_offset
        end = segment.size_bytes if end is None else end
        for position, header, batch in iter_checked(file, start, end, due=due, gaps=True):
            self.path, self.position = path, position
            yield position, header, batch
            self.bytes_read += len(batch)
            self._unpaced += len(batch)
            if self._unpaced >= _PACE_BYTES:
                self._keep_pace()
        self._keep_pace()  # small segments are held to the limit, too

    def _keep_pace(self) -> None:
        self.pace(self._unpaced)
        self._unpaced = 0
