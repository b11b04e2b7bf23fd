"""One data directory: its lock, its identity, its checkpoints, and whether it still works.

Not here: what is in the partitions (manager.py, log.py), what all directories of a node have to do with each other
(data_directories.py).

Life: `acquire` makes and locks it; `identity` says whose it is, `claim` makes it ours; then it is loaded and serves
until `fail` takes it offline for good, or `release` gives it back. A directory that failed stays locked: nobody else
should write to a disk that is breaking.

Its id goes with the directory, wherever it is mounted: the cluster's metadata says by it where a partition lies
(KIP-858).
"""

from __future__ import annotations

import posixpath
from contextlib import suppress
from typing import TYPE_CHECKING

from protocol.types import ZERO_UUID, uuid_from_str
from storage.checkpoint import (
    CLEANER_OFFSETS,
    HIGH_WATERMARKS,
    LOG_START_OFFSETS,
    RECOVERY_POINTS,
    read_cleaned,
)
from storage.directories.meta_properties import (
    META_PROPERTIES,
    MetaProperties,
    read_meta_properties,
    write_meta_properties,
)
from storage.directories.offset_checkpoint import OffsetCheckpoint
from storage.errors import AccessDenied, DirectoryLocked, DirectoryUnusable, MalformedFile, StorageFailure

if TYPE_CHECKING:
    from protocol.types import Offset, TopicPartition
    from storage.fs import DiskSpace, FileSystem, Lock

LOCK_FILE = ".lock"


class DataDirectory:
    """The directory at `path`."""

    def __init__(self, fs: FileSystem, path: str) -> None:
        self.path = path
        """Absolute, without a slash at the end."""
        self.directory_id = ZERO_UUID
        """Known once it is ours."""
        self.failure: str | None = None
        """Why the directory is offline; None while it is not."""
        self.recovery_points = OffsetCheckpoint(fs, f"{path}/{RECOVERY_POINTS}")
        self.log_start_offsets = OffsetCheckpoint(fs, f"{path}/{LOG_START_OFFSETS}")
        self.high_watermarks = OffsetCheckpoint(fs, f"{path}/{HIGH_WATERMARKS}")
        self.cleaner_offsets = OffsetCheckpoint(fs, f"{path}/{CLEANER_OFFSETS}")
        self.cleaned: dict[TopicPartition, Offset] = {}
        """Partitions that a cleaner has compacted or is about to, and up to where: offsets that are missing there were
        not lost.
        """
        self.was_clean = False
        """Whether the last owner stopped properly: its logs need no recovery."""
        self._fs = fs
        self._lock: Lock | None = None

    @property
    def is_online(self) -> bool:
        return self.failure is None

    @property
    def checkpoints(self) -> tuple[OffsetCheckpoint, ...]:
        """All checkpoints of this directory."""
        return (self.recovery_points, self.log_start_offsets, self.high_watermarks, self.cleaner_offsets)

    def acquire(self) -> None:
        """Makes the directory where it is missing, and locks it. Raises: DirectoryLocked, DirectoryUnusable."""
        try:
            self._fs.makedirs(self.path)
            self._lock = self._fs.lock(f"{self.path}/{LOCK_FILE}")
        except DirectoryLocked:
            raise DirectoryLocked(
                f"data directory {self.path} is in use by another broker, which holds {self.path}/{LOCK_FILE}: "
                "stop that broker, or use another directory"
            ) from None
        except StorageFailure as failure:
            raise DirectoryUnusable(
                f"data directory {self.path} cannot be used: {failure.message} ({failure.path}): "
                "correct its permissions, or use another directory"
            ) from failure

    def identity(self) -> MetaProperties | None:
        """Whose directory it is; None when it is new. Raises: DirectoryUnusable, StorageFailure."""
        try:
            found = read_meta_properties(self._fs, f"{self.path}/{META_PROPERTIES}")
            if found is not None and found.directory_id:
                self.directory_id = uuid_from_str(found.directory_id)
            return found
        except MalformedFile as error:
            raise DirectoryUnusable(
                f"data directory {self.path} is refused, {META_PROPERTIES} is malformed: {error.reason}: "
                "restore that file, or use another directory"
            ) from error

    def claim(self, properties: MetaProperties) -> None:
        """Makes the directory ours, durably, with the names of all directories above it. Raises: StorageFailure."""
        parent = posixpath.dirname(self.path)
        while True:
            with suppress(AccessDenied):  # one that may not be read was not made by us
                self._fs.sync_dir(parent)
            if parent == posixpath.dirname(parent):
                break
            parent = posixpath.dirname(parent)
        write_meta_properties(self._fs, f"{self.path}/{META_PROPERTIES}", properties)
        self.directory_id = uuid_from_str(properties.directory_id)

    def absence(self) -> StorageFailure | None:
        """What to raise if this directory is not at its path any more: removed, or with its disk taken away, it leaves
        nothing there, or a place to which nothing of it must be written.
        """
        if self._fs.exists(f"{self.path}/{META_PROPERTIES}"):
            return None
        return StorageFailure(self.path, "the data directory was removed while the broker ran")

    def check_present(self) -> None:
        """Raises: StorageFailure; see `absence`."""
        absence = self.absence()
        if absence is not None:
            raise absence

    def disk_space(self) -> DiskSpace:
        """What there is of its disk. May block. Raises: StorageFailure."""
        return self._fs.disk_space(self.path)

    def read_checkpoints(self, warnings: list[str]) -> None:
        """Reads all checkpoints. Of a damaged one nothing is believed, with a warning. Raises: StorageFailure."""
        for checkpoint in (self.recovery_points, self.log_start_offsets, self.high_watermarks):
            try:
                checkpoint.load()
            except MalformedFile as error:
                warnings.append(f"{error}; none of its offsets is believed")
        try:
            if read_cleaned(self._fs, self.path):
                self.cleaner_offsets.load()
                self.cleaned = dict(self.cleaner_offsets.loaded)
        except MalformedFile as error:
            warnings.append(f"{error}; none of its partitions is known to have been compacted")

    def forget(self, topic_partition: TopicPartition) -> None:
        """A partition is no longer here: plans made so far shall not write of it, the checkpoints are planned anew."""
        self.cleaned.pop(topic_partition, None)
        for checkpoint in self.checkpoints:
            checkpoint.outdate_plans()

    def fail(self, reason: str) -> None:
        """Takes the directory offline; the first reason stays."""
        self.failure = self.failure or reason

    def release(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
