"""A file system in memory: no faults, no clock of its own, no descriptors.

Names map to inodes as on a real one, so that an open file survives its rename and its removal. Everything
is durable at once; for what a crash forgets, see `storage.fs.faulty`.
"""

from __future__ import annotations

import errno
import posixpath
from typing import TYPE_CHECKING

from storage.errors import DirectoryLocked, StorageFailure, failure_from
from storage.fs.port import DiskSpace, OpenMode

if TYPE_CHECKING:
    from protocol.types import Buffer
    from storage.fs.port import File, Lock


MEMORY_SPACE = DiskSpace(1 << 40, 1 << 39)
"""What file systems in memory say of their disk."""


class MemoryInode:
    """A file's content and the time of its last write."""

    __slots__ = ("data", "mtime_ms")

    def __init__(self, now_ms: int) -> None:
        self.data = bytearray()
        self.mtime_ms = now_ms


class ResidentFile:
    """What an open file says of its place, if that is memory."""

    __slots__ = ()

    def is_resident(self, position: int, size: int) -> bool:
        return True

    def read_resident(self: File, position: int, size: int) -> bytes | None:
        data = self.read_at(position, size) if self.is_resident(position, size) else b""
        return data if len(data) == size else None

    def fileno(self) -> int:
        return -1


class MemoryFile(ResidentFile):
    """An open file on an inode."""

    __slots__ = ("_inode", "_system", "_writable", "name")

    def __init__(self, system: MemoryFileSystem, path: str, inode: MemoryInode, writable: bool) -> None:
        self.name = path
        self._system = system
        self._inode = inode
        self._writable = writable

    def append(self, data: Buffer) -> int:
        self._check_writable()
        inode = self._inode
        position = len(inode.data)
        inode.data += data
        inode.mtime_ms = self._system.now_ms
        return position

    def read_at(self, position: int, size: int) -> bytes:
        return bytes(self._inode.data[position : position + size])

    def truncate(self, size: int) -> None:
        self._check_writable()
        if size > len(self._inode.data):
            raise ValueError(f"truncate to {size} bytes would extend {self.name}")
        del self._inode.data[size:]
        self._inode.mtime_ms = self._system.now_ms

    def sync(self) -> None:
        return None

    def size(self) -> int:
        return len(self._inode.data)

    def close(self) -> None:
        self._writable = False

    def _check_writable(self) -> None:
        if not self._writable:
            raise StorageFailure(self.name, "closed, or opened for reading only")


class MemoryLock:
    """A held name in the file system's set of locks."""

    __slots__ = ("_held", "_path")

    def __init__(self, held: set[str], path: str) -> None:
        self._held = held
        self._path = path
        held.add(path)

    def release(self) -> None:
        self._held.discard(self._path)


class MemoryFileSystem:
    """Directories and inodes by absolute path. `now_ms` stamps writes; the owner moves it."""

    def __init__(self, now_ms: int = 0) -> None:
        self.open_files = 0
        self.now_ms = now_ms
        self._files: dict[str, MemoryInode] = {}
        self._directories: set[str] = {"/"}
        self._locks: set[str] = set()

    def open(self, path: str, mode: OpenMode) -> File:
        path = posixpath.normpath(path)
        self._check_no_directory(path)
        inode = self._files.get(path)
        if inode is None:
            if mode is OpenMode.READ:
                raise _missing(path)
            self._check_parent(path)
            inode = self._files[path] = MemoryInode(self.now_ms)
        elif mode is OpenMode.CREATE:
            inode.data.clear()
            inode.mtime_ms = self.now_ms
        return MemoryFile(self, path, inode, mode is not OpenMode.READ)

    def exists(self, path: str) -> bool:
        path = posixpath.normpath(path)
        return path in self._files or path in self._directories

    def is_dir(self, path: str) -> bool:
        return posixpath.normpath(path) in self._directories

    def listdir(self, path: str) -> list[str]:
        path = posixpath.normpath(path)
        if path not in self._directories:
            raise _missing(path)
        entries = (*self._files, *self._directories)
        return sorted(posixpath.basename(entry) for entry in entries if _is_child(entry, path))

    def size(self, path: str) -> int:
        return len(self._inode(path).data)

    def mtime_ms(self, path: str) -> int:
        return self._inode(path).mtime_ms

    def disk_space(self, path: str) -> DiskSpace:
        self._check_parent(f"{path}/-")
        return MEMORY_SPACE

    def mkdir(self, path: str) -> None:
        path = posixpath.normpath(path)
        if path in self._files:
            raise failure_from(OSError(errno.EEXIST, ""), path)
        if path not in self._directories:
            self._check_parent(path)
            self._directories.add(path)

    def makedirs(self, path: str) -> None:
        path = posixpath.normpath(path)
        if not self.is_dir(path):
            if not self.exists(path):
                self.makedirs(posixpath.dirname(path))
            self.mkdir(path)

    def remove(self, path: str) -> None:
        self._files.pop(posixpath.normpath(path), None)

    def remove_tree(self, path: str) -> None:
        path = posixpath.normpath(path)
        for file in [entry for entry in self._files if _is_inside(entry, path)]:
            del self._files[file]
        self._directories -= {entry for entry in self._directories if _is_inside(entry, path)}

    def rename(self, source: str, target: str) -> None:
        source, target = posixpath.normpath(source), posixpath.normpath(target)
        self._check_parent(target)
        if source in self._files:
            self._check_no_directory(target)
            self._files[target] = self._files.pop(source)
        elif source in self._directories:
            self._rename_directory(source, target)
        else:
            raise _missing(source)

    def _rename_directory(self, source: str, target: str) -> None:
        if target in self._files:
            raise failure_from(OSError(errno.ENOTDIR, ""), target)
        if any(_is_child(entry, target) for entry in (*self._files, *self._directories)):
            raise failure_from(OSError(errno.ENOTEMPTY, ""), target)
        for file in [entry for entry in self._files if _is_inside(entry, source)]:
            self._files[target + file[len(source) :]] = self._files.pop(file)
        moved = {entry for entry in self._directories if _is_inside(entry, source)}
        self._directories -= moved
        self._directories |= {target + entry[len(source) :] for entry in moved}

    def sync_dir(self, path: str) -> None:
        if posixpath.normpath(path) not in self._directories:
            raise _missing(path)

    def read_file(self, path: str) -> bytes:
        return bytes(self._inode(path).data)

    def write_atomic(self, path: str, data: bytes) -> None:
        path = posixpath.normpath(path)
        self._check_parent(path)
        self._check_no_directory(path)
        inode = self._files[path] = MemoryInode(self.now_ms)
        inode.data += data

    def lock(self, path: str) -> Lock:
        path = posixpath.normpath(path)
        if path in self._locks:
            raise DirectoryLocked(f"{path} is locked by another process")
        self.open(path, OpenMode.APPEND)
        return MemoryLock(self._locks, path)

    def is_locked(self, path: str) -> bool:
        return posixpath.normpath(path) in self._locks

    def _inode(self, path: str) -> MemoryInode:
        path = posixpath.normpath(path)
        inode = self._files.get(path)
        if inode is None:
            raise _missing(path)
        return inode

    def _check_parent(self, path: str) -> None:
        parent = posixpath.dirname(path)
        if parent not in self._directories:
            raise _missing(parent)

    def _check_no_directory(self, path: str) -> None:
        if path in self._directories:
            raise failure_from(OSError(errno.EISDIR, ""), path)


def _missing(path: str) -> StorageFailure:
    return failure_from(OSError(errno.ENOENT, ""), path)


def _is_child(entry: str, directory: str) -> bool:
    return entry != directory and posixpath.dirname(entry) == directory


def _is_inside(entry: str, directory: str) -> bool:
    return entry == directory or entry.startswith(directory + "/")
