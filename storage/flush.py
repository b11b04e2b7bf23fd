"""Making a log durable up to an offset: a plan for the thread pool.

`Log.flush_plan` captures on the loop what has to reach the disk; `run` blocks in the pool; `Log.flushed` on the
loop then moves the recovery point. Everything that waits for an offset below `up_to` may go on: one fsync serves
them all.

What must be on disk before the recovery point passes an offset, since recovery will not look below it:
the batches; for each segment that ends there its indexes and the producer snapshot behind it; the leader epochs;
the names of all those files; and, once, the topic id and the name of the log's own directory. Offset and time
index of the active segment are not among them: recovery makes them anew. So a recovery point right at the start
of a segment may come before these indexes of the one before, if that was rolled after it was flushed: recovery scans
that one, too.

A failed sync is never tried again: the kernel may have dropped the dirty pages and would report success.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol.types import LeaderEpoch, Offset
from storage.checkpoint import LEADER_EPOCHS, write_leader_epochs
from storage.fs import File, FileSystem, OpenMode
from storage.partition_metadata import PARTITION_METADATA

if TYPE_CHECKING:
    from storage.segment import Segment


class FlushPlan:
    """What to sync so that everything below `up_to` survives a power failure."""

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        *,
        up_to: Offset,
        truncations: int,
        files: list[File],
        rolled: Sequence[Segment],
        leader_epochs: Sequence[tuple[LeaderEpoch, Offset]] | None,
        directory_changes: int | None,
        is_first: bool,
    ) -> None:
        self.up_to = up_to
        self.truncations = truncations
        """How often the log was truncated when this was made; after another the plan says nothing any more."""
        self.leader_epochs = leader_epochs
        self.directory_changes = directory_changes
        """How many changes of names are durable afterwards; None: all were already."""
        self.is_first = is_first
        """Whether the log's own directory, made when the log was created, is not known to be durable."""
        self.files = files
        self.rolled = rolled
        """Inactive segments whose indexes are among `files`."""
        self.closes = False
        """Whether the log is complete afterwards, indexes and all, if nothing was appended meanwhile."""
        self._fs = fs
        self._directory = directory

    def run(self) -> None:
        """Blocks. Raises: StorageFailure; then nothing may be assumed to be on disk."""
        self.run_but_for_the_name()
        if self.is_first:
            self._fs.sync_dir(posixpath.dirname(self._directory))

    def run_but_for_the_name(self) -> None:
        """`run` for one of many logs in one data directory, which the caller syncs, before or behind, once for all."""
        for file in self.files:
            file.sync()
        if self.leader_epochs is not None:
            write_leader_epochs(self._fs, f"{self._directory}/{LEADER_EPOCHS}", self.leader_epochs)
        if self.directory_changes is not None:
            self._fs.sync_dir(self._directory)
        if self.is_first:
            self._sync_topic_id()

    def _sync_topic_id(self) -> None:
        """Creating a log waits neither for it nor for the name of the log's directory."""
        metadata = f"{self._directory}/{PARTITION_METADATA}"
        if self._fs.exists(metadata):
            self._fs.open(metadata, OpenMode.READ).sync()


class DeletePlan:
    """Files that were renamed out of the log and are to be removed after a while, for readers' sake."""

    def __init__(self, fs: FileSystem, directory: str, paths: Sequence[str], not_before_ms: int) -> None:
        self.paths = paths
        self.not_before_ms = not_before_ms
        """When `run` is due."""
        self._fs = fs
        self._directory = directory

    def run(self) -> None:
        """Blocks. Raises: StorageFailure; what is left over is removed when the log is opened again."""
        self._fs.sync_dir(self._directory)  # first the names: a removal must not overtake its rename
        for path in self.paths:
            self._fs.remove(path)
