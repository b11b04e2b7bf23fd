"""A cleaned segment takes the place of those it was made of: on the thread that owns the log, waiting elsewhere.

`SegmentSwap.steps` is a generator: what it yields blocks and belongs in a thread pool, what it does in between belongs
on the log's thread and takes microseconds. Steps, each of which a crash may interrupt (recovery/leftovers.py settles
that):

1. .cleaned is renamed to .swap and the names synced: from here on the new segment counts.   crash before: the old log
2. In memory it takes the place of the old ones; readers under way look again.
3. The old files are renamed to .replaced, some at a time, and the names synced.             crash: .swap is finished
4. .swap is dropped from the names, the log file's last, and the names synced.               crash: the new log

The old files go after file.delete.delay.ms; who is being sent a region of one keeps it open. A disk that fails on the
way leaves names that only opening the log sorts out: so that is fatal, even if the disk is merely full.

Names change on the log's thread alone, which knows whose they are: while something blocks, the topic may be deleted and
made again, with files of the same names. Then whoever takes the steps takes no more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from protocol.types import TimestampMs
from storage.cleaning.job import CleanedGroup
from storage.errors import StorageFailure
from storage.flush import DeletePlan
from storage.fs import FileSystem
from storage.log import Log
from storage.recovery.leftovers import CLEANED_SUFFIX, REPLACED_SUFFIX, SWAP_SUFFIX
from storage.segment import SUFFIXES, Segment, file_stem

#: How many are renamed in one go: half a millisecond.
_RENAMES_MAX: Final = 64


class SegmentSwap:
    """One cleaned segment on its way into a log that nobody truncates or deletes from meanwhile."""

    def __init__(self, fs: FileSystem, log: Log, group: CleanedGroup, now_ms: TimestampMs) -> None:
        self.removal: DeletePlan | None = None
        """What removes the replaced files; known when all steps are done."""
        self._fs = fs
        self._log = log
        self._group = group
        self._now_ms = now_ms
        self._replaced: list[str] = []

    def steps(self) -> Iterator[Callable[[], None]]:
        """See the module's head. Raises, as what it yields does: StorageFailure."""
        try:
            yield from self._steps()
        except StorageFailure as failure:
            raise StorageFailure(failure.path, failure.message) from failure

    def _steps(self) -> Iterator[Callable[[], None]]:
        fs, log, group = self._fs, self._log, self._group
        stem = f"{log.directory}/{file_stem(group.first_base_offset)}"
        names = [stem + suffix for suffix in SUFFIXES if fs.exists(stem + suffix + CLEANED_SUFFIX)]
        for name in names:
            fs.rename(name + CLEANED_SUFFIX, name + SWAP_SUFFIX)
        yield lambda: fs.sync_dir(log.directory)
        segment = Segment.open(
            fs, log.directory, group.first_base_offset, group.size_bytes, self._now_ms, suffix=SWAP_SUFFIX
        )
        old = log.replace_segments(group.first_base_offset, group.last_base_offset, segment)
        paths = [path for each in old for path in each.paths]
        for each in old[1:]:
            snapshot = log.producers.detach_snapshot(each.base_offset)
            if snapshot is not None:
                paths.append(snapshot)
        for start in range(0, len(paths), _RENAMES_MAX):
            self._put_aside(paths[start : start + _RENAMES_MAX])
            yield lambda: fs.sync_dir(log.directory)
        log.generation.number += 1  # readers that are under way look again, by the new names
        for name in reversed(names):
            fs.rename(name + SWAP_SUFFIX, name)
        segment.renamed()
        yield lambda: fs.sync_dir(log.directory)
        gone = [path + REPLACED_SUFFIX for path in self._replaced]
        self.removal = DeletePlan(fs, log.directory, gone, self._now_ms + log.config.file_delete_delay_ms)

    def _put_aside(self, paths: list[str]) -> None:
        for path in paths:
            if self._fs.exists(path):
                self._fs.rename(path, path + REPLACED_SUFFIX)
                self._replaced.append(path)


def swap_at_once(fs: FileSystem, log: Log, group: CleanedGroup, now_ms: TimestampMs) -> DeletePlan | None:
    """All steps one after the other. Blocks. Raises: StorageFailure."""
    swap = SegmentSwap(fs, log, group, now_ms)
    for wait in swap.steps():
        wait()
    return swap.removal
