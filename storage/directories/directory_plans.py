"""What the log manager has to do on disk but must not wait for: plans for the thread pool.

Each has `not_before_ms`, when it is due (0: at once), and `run`, which blocks and raises StorageFailure. A plan that is
lost to a crash is made again when the directory is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol.types import TimestampMs
from storage.directories.offset_checkpoint import OffsetCheckpointPlan

if TYPE_CHECKING:
    from storage.directories.data_directory import DataDirectory
    from storage.fs import FileSystem


class CheckpointPlan:
    """Writes the checkpoints of one data directory."""

    __slots__ = ("_files", "_home", "not_before_ms", "path")

    def __init__(self, home: DataDirectory, files: Sequence[OffsetCheckpointPlan]) -> None:
        self.path = home.path
        self.not_before_ms: TimestampMs = 0
        self._home = home
        self._files = files

    def run(self) -> None:
        """Blocks until all are durable. Raises: StorageFailure."""
        self._home.check_present()
        for file in self._files:
            file.run()


class RemoveDirectoryPlan:
    """Removes a partition's directory that was renamed out of the way."""

    __slots__ = ("_fs", "_parent", "not_before_ms", "path")

    def __init__(self, fs: FileSystem, parent: str, name: str, not_before_ms: TimestampMs) -> None:
        self.path = f"{parent}/{name}"
        self.not_before_ms = not_before_ms
        self._fs = fs
        self._parent = parent

    def run(self) -> None:
        """Blocks. Raises: StorageFailure; what is left over is removed when the data directory is loaded again."""
        self._fs.sync_dir(self._parent)  # first the name: a removal must not overtake its rename
        self._fs.remove_tree(self.path)
