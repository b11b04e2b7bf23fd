"""The port through which storage touches files, and nothing else does.

Three implementations: `storage.fs.real.RealFileSystem`, `storage.fs.memory.MemoryFileSystem`, and
`storage.fs.faulty.FaultyFileSystem`, which forgets what was not synced. Every operating-system error leaves
as `storage.errors.StorageFailure`. Paths are plain strings.

What a caller may rely on, and no more:
- An append is atomic towards this process: it is all there or, when it raised, none of it is.
- File content is durable after `File.sync`. A name (create, rename, remove) is durable after `sync_dir` of
  its parent.
- A failed `sync` is never tried again: the kernel may have dropped the dirty pages and would report success.
- `rename` replaces its target atomically.
"""

from __future__ import annotations

import enum
import posixpath
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from protocol.types import Buffer


class OpenMode(enum.Enum):
    """How a file is opened."""

    READ = "read"
    """Must exist; appending and truncating are refused by the system."""
    APPEND = "append"
    """Created when missing; appends go to its end."""
    CREATE = "create"
    """Empty afterwards, whatever was there before."""


class File(Protocol):
    """An open file. Positions and sizes are bytes. One writer; readers may be on other threads."""

    name: str
    """The path it was opened with; a later rename does not show."""

    def append(self, data: Buffer) -> int:
        """Writes all of `data` at the end and returns the position of its first byte.

        Raises: StorageFailure, with the file at its former size.
        """

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`; fewer only at end of file."""

    def truncate(self, size: int) -> None:
        """Cuts the file down to `size` bytes, which must not exceed its size."""

    def sync(self) -> None:
        """Blocks until content and size are durable. Raises: StorageFailure; the file then refuses every
        write.
        """

    def size(self) -> int:
        """Size in bytes, tracked: no system call."""

    def is_resident(self, position: int, size: int) -> bool:
        """Whether reading the region would not wait for the disk. A probe, not a promise."""

    def read_resident(self, position: int, size: int) -> bytes | None:
        """`size` bytes from `position`; None where reading them would wait for the disk, or they are not there."""

    def fileno(self) -> int:
        """The descriptor, for sendfile; -1 where there is none."""

    def close(self) -> None:
        """Ends appending; reads and syncs go on. The descriptor closes with the last reference to this
        object.
        """


class DiskSpace(NamedTuple):
    """Size of a file system, and how much of that may still be written; bytes."""

    total: int
    usable: int


class Lock(Protocol):
    """A held directory lock."""

    def release(self) -> None:
        """Gives the lock up; the file stays."""


class FileSystem(Protocol):
    """Names, directories, and whole small files."""

    open_files: int
    """Descriptors that the File objects of this file system hold."""

    def open(self, path: str, mode: OpenMode) -> File:
        """Opens `path`. The name of a new file is durable only after `sync_dir` of its parent."""

    def exists(self, path: str) -> bool:
        """Whether a file or directory is there."""

    def is_dir(self, path: str) -> bool:
        """Whether a directory is there."""

    def listdir(self, path: str) -> list[str]:
        """Names (not paths) in a directory, sorted."""

    def size(self, path: str) -> int:
        """Size of a file in bytes."""

    def mtime_ms(self, path: str) -> int:
        """Time of the last write, milliseconds since 1970."""

    def disk_space(self, path: str) -> DiskSpace:
        """What there is of the disk that holds a directory. May block."""

    def mkdir(self, path: str) -> None:
        """Makes a directory in one that exists; one that is there already is fine."""

    def makedirs(self, path: str) -> None:
        """Makes a directory and its missing parents; one that exists is fine."""

    def remove(self, path: str) -> None:
        """Removes a file; one that is missing is fine. Open files live on."""

    def remove_tree(self, path: str) -> None:
        """Removes a directory with all it holds; one that is missing is fine."""

    def rename(self, source: str, target: str) -> None:
        """Renames a file or directory, replacing a target file atomically."""

    def sync_dir(self, path: str) -> None:
        """Blocks until the names in the directory are durable."""

    def read_file(self, path: str) -> bytes:
        """The whole content of a small file."""

    def write_atomic(self, path: str, data: bytes) -> None:
        """Replaces a small file so that a crash leaves the old or the new content, durably the new on return.

        Blocks: writes beside it, syncs, renames, syncs the directory.
        """

    def lock(self, path: str) -> Lock:
        """Takes the exclusive lock on file `path`, made when missing. Raises: DirectoryLocked."""

    def is_locked(self, path: str) -> bool:
        """Whether another process holds the lock on file `path`; takes nothing, makes nothing."""


ATOMIC_SUFFIX = ".tmp"
"""Ends the name of the file that `write_atomic` writes beside its target; a leftover is worth nothing."""


def write_beside(fs: FileSystem, path: str, data: bytes) -> None:
    """`write_atomic` of file systems that may lose what was not synced."""
    beside = path + ATOMIC_SUFFIX
    file = fs.open(beside, OpenMode.CREATE)
    file.append(data)
    file.sync()
    fs.rename(beside, path)
    fs.sync_dir(posixpath.dirname(path))


def has_content(fs: FileSystem, path: str) -> bool:
    """Whether there is a file with something in it: Kafka makes its checkpoints before it has anything to put there,
    and a crash leaves a file that was just made. Raises: StorageFailure.
    """
    return fs.exists(path) and fs.size(path) > 0
