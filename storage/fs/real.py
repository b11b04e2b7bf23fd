"""The real file system: system calls, tracked sizes, and errors mapped at this edge.

Appends are `pwrite` at the tracked end, so that taking back a half-written append is one `ftruncate` and no
file position can go astray. Nothing is memory-mapped: a mapped write on a full disk is SIGBUS, which kills
the process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from storage.errors import DirectoryLocked, StorageFailure, failure_from
from storage.fs.port import DiskSpace, OpenMode, write_beside
from storage.fs.residency import is_resident, read_resident

if TYPE_CHECKING:
    from protocol.types import Buffer
    from storage.fs.port import File, Lock

_FLAGS = {
    OpenMode.READ: os.O_RDONLY,
    OpenMode.APPEND: os.O_RDWR | os.O_CREAT,
    OpenMode.CREATE: os.O_RDWR | os.O_CREAT | os.O_TRUNC,
}
_FILE_PERMISSIONS = 0o644
_MEMORY_FILE_SYSTEMS = frozenset({b"tmpfs", b"ramfs", b"hugetlbfs"})

_FAILED = "refused: an earlier write or sync of this file failed"

_pread = os.pread
_pwrite = os.pwrite


class _mapped:
    """Context manager: an OSError inside becomes a StorageFailure on `path`."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise failure_from(error, self._path) from error


class RealFile:
    """A descriptor with its size.

    `_refused` is why writes are refused, empty while they are not. It never turns empty again: after a
    failed write or sync what the disk holds is not known.
    """

    __slots__ = ("_descriptor", "_refused", "_resident_by_nature", "_size", "_system", "name")

    def __init__(self, system: RealFileSystem, path: str, descriptor: int) -> None:
        self.name = path
        self._descriptor = descriptor
        self._refused = ""
        self._system = system
        system.count_files(1)
        status = os.fstat(descriptor)
        self._size = status.st_size
        self._resident_by_nature = system.is_memory_device(status.st_dev)

    def append(self, data: Buffer) -> int:
        position = self._size
        if self._refused:
            raise StorageFailure(self.name, self._refused)
        try:
            size = len(data)
            written = _pwrite(self._descriptor, data, position)
            if written != size:
                self._write_rest(memoryview(data)[written:], position + written)
        except OSError as error:
            raise self._taken_back(position, error) from error
        self._size = position + size
        return position

    def _write_rest(self, rest: memoryview, position: int) -> None:
        while rest:
            written = _pwrite(self._descriptor, rest, position)
            position += written
            rest = rest[written:]

    def _taken_back(self, position: int, error: OSError) -> StorageFailure:
        """Undoes a half-written append; the failure to raise."""
        failure = failure_from(error, self.name)
        try:
            os.ftruncate(self._descriptor, position)
        except OSError as second:
            self._refused = _FAILED
            undo = failure_from(second, self.name)
            return StorageFailure(self.name, f"{failure.message}, and taking it back: {undo.message}")
        if failure.fatal:
            self._refused = _FAILED
        return failure

    def read_at(self, position: int, size: int) -> bytes:
        with _mapped(self.name):
            data = _pread(self._descriptor, size, position)
            if len(data) == size or position + len(data) >= self._size:
                return data
            return self._read_rest(data, position, size)

    def _read_rest(self, data: bytes, position: int, size: int) -> bytes:
        parts = [data]
        got = len(data)
        while got < size and data:  # a read may be short of 2 GiB or when interrupted
            data = _pread(self._descriptor, size - got, position + got)
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def truncate(self, size: int) -> None:
        if size > self._size:
            raise ValueError(f"truncate to {size} bytes would extend {self.name} of {self._size} bytes")
        if self._refused:
            raise StorageFailure(self.name, self._refused)
        with _mapped(self.name):
            os.ftruncate(self._descriptor, size)
        self._size = size

    def sync(self) -> None:
        if self._refused is _FAILED:
            raise StorageFailure(self.name, self._refused)
        try:
            _sync_content(self._descriptor)
        except OSError as error:
            self._refused = _FAILED
            failure = failure_from(error, self.name)
            raise StorageFailure(self.name, f"sync failed: {failure.message}") from error

    def size(self) -> int:
        return self._size

    def is_resident(self, position: int, size: int) -> bool:
        if self._resident_by_nature:
            return True
        try:
            return is_resident(self._descriptor, position, size)
        except OSError as error:
            raise failure_from(error, self.name) from error

    def read_resident(self, position: int, size: int) -> bytes | None:
        if self._resident_by_nature:
            data = self.read_at(position, size)
            return data if len(data) == size else None
        try:
            return read_resident(self._descriptor, position, size)
        except OSError as error:
            raise failure_from(error, self.name) from error

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        self._refused = self._refused or "closed"

    def __del__(self) -> None:
        self._system.count_files(-1)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


class RealLock:
    """Holds a lock file open; the system frees the lock when the process ends, however it ends."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class RealFileSystem:
    """Files of the operating system. `open_files` counts the descriptors that its File objects hold."""

    def __init__(self) -> None:
        self.open_files = 0
        # Files are opened and dropped on any thread, also by the collector.
        self._count_lock = threading.RLock()
        self._memory_devices: dict[int, bool] = {}

    def open(self, path: str, mode: OpenMode) -> File:
        with _mapped(path):
            descriptor = os.open(path, _FLAGS[mode], _FILE_PERMISSIONS)
            return RealFile(self, path, descriptor)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def is_dir(self, path: str) -> bool:
        return os.path.isdir(path)

    def listdir(self, path: str) -> list[str]:
        with _mapped(path):
            return sorted(os.listdir(path))

    def size(self, path: str) -> int:
        with _mapped(path):
            return os.stat(path).st_size

    def mtime_ms(self, path: str) -> int:
        with _mapped(path):
            return os.stat(path).st_mtime_ns // 1_000_000

    def disk_space(self, path: str) -> DiskSpace:
        with _mapped(path):
            found = os.statvfs(path)
        return DiskSpace(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def mkdir(self, path: str) -> None:
        with _mapped(path):
            try:
                os.mkdir(path)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise

    def makedirs(self, path: str) -> None:
        with _mapped(path):
            os.makedirs(path, exist_ok=True)

    def remove(self, path: str) -> None:
        with _mapped(path), contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def remove_tree(self, path: str) -> None:
        with _mapped(path), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    def rename(self, source: str, target: str) -> None:
        with _mapped(source):
            os.replace(source, target)

    def sync_dir(self, path: str) -> None:
        with _mapped(path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read_file(self, path: str) -> bytes:
        with _mapped(path), open(path, "rb") as file:
            return file.read()

    def write_atomic(self, path: str, data: bytes) -> None:
        write_beside(self, path, data)

    def lock(self, path: str) -> Lock:
        with _mapped(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _FILE_PERMISSIONS)
        try:
            _lock_both_ways(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise DirectoryLocked(f"{path} is locked by another process") from error
            raise failure_from(error, path) from error
        return RealLock(descriptor)

    def is_locked(self, path: str) -> bool:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            return _is_locked_elsewhere(descriptor)
        finally:
            os.close(descriptor)

    def count_files(self, change: int) -> None:
        """Called by each File as it takes and gives back its descriptor."""
        with self._count_lock:
            self.open_files += change

    def is_memory_device(self, device: int) -> bool:
        """Whether a device number belongs to a file system that lives in memory; asked once per device."""
        known = self._memory_devices.get(device)
        if known is None:
            known = self._memory_devices[device] = _is_memory_device(device)
        return known


def _lock_both_ways(descriptor: int) -> None:
    """flock keeps out a second broker, in this process too; the POSIX lock keeps out Java, which takes only
    those.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_locked_elsewhere(descriptor: int) -> bool:
    """Asks for the holder of the POSIX lock, which every broker takes, Java's too; one of this process is not seen.

    Trying the lock itself would turn away a broker that starts at this moment.
    """
    layout, type_at = ("qqihh", 3) if sys.platform == "darwin" else ("hhqqi", 0)  # struct flock
    question = [0] * 5
    question[type_at] = fcntl.F_WRLCK
    answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, *question))
    return bool(struct.unpack(layout, answer)[type_at] != fcntl.F_UNLCK)


def _sync_content(descriptor: int) -> None:
    """Content and size durable. macOS: fsync alone stops at the drive's cache."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


def _is_memory_device(device: int) -> bool:
    """Looks the device up in the mount table. Line: id parent major:minor root mount options - type source
    …
    """
    wanted = b"%d:%d" % (os.major(device), os.minor(device))
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            lines = mounts.read().splitlines()
    except OSError:
        return False  # not Linux
    for line in lines:
        fields, _, kind = line.partition(b" - ")
        if fields.split(b" ", 3)[2] == wanted:
            return kind.split(b" ", 1)[0] in _MEMORY_FILE_SYSTEMS
    return False
