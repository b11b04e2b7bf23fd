"""A file system in memory that forgets what was not synced, and fails when told to.

What is volatile and what is durable is told in `storage.fs.crash_model`. `crash` builds the file system that a restart
would find, in one of four ways (`Loss`), and leaves this one untouched: a recorded workload can be crashed after each
of its operations in one run. All choices come from the seed.

Operations that change something are numbered from 1. `after` is called behind each (the place to crash), `before`
ahead of each, reads included, and may return an errno to fail it with. Nothing of a failed operation happens.
"""

from __future__ import annotations

import enum
import errno
import posixpath
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from storage.errors import DirectoryLocked, StorageFailure, failure_from
from storage.fs.crash_model import POWER_LOSSES, Directory, Inode, Loss, Node, directory_after
from storage.fs.memory import MEMORY_SPACE, MemoryLock, ResidentFile
from storage.fs.port import DiskSpace, OpenMode, write_beside

if TYPE_CHECKING:
    from protocol.types import Buffer
    from storage.fs.port import File, Lock

__all__ = ["POWER_LOSSES", "FaultyFileSystem", "Kind", "Loss", "Operation"]


class Kind(enum.Enum):
    """What an operation does."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    MKDIR = "mkdir"
    REMOVE = "remove"
    RENAME = "rename"
    SYNC_DIR = "sync_dir"
    READ = "read"


class Operation(NamedTuple):
    """One file operation. `number` counts changes from 1; a read carries the number of the last change."""

    number: int
    kind: Kind
    path: str


class FaultyFile(ResidentFile):
    """An open file on an inode; refuses writes once a write or a sync of it failed for good."""

    __slots__ = ("_inode", "_refused", "_system", "name")

    def __init__(self, system: FaultyFileSystem, path: str, inode: Inode, refused: str) -> None:
        self.name = path
        self._system = system
        self._inode = inode
        self._refused = refused

    def append(self, data: Buffer) -> int:
        self._check_writable()
        try:
            return self._system.write(self.name, self._inode, bytes(data))
        except StorageFailure as failure:
            if failure.fatal:
                self._refused = "refused: an earlier write failed"
            raise

    def read_at(self, position: int, size: int) -> bytes:
        self._system.reading(self.name)
        return bytes(self._inode.data[position : position + size])

    def truncate(self, size: int) -> None:
        self._check_writable()
        if size > len(self._inode.data):
            raise ValueError(f"truncate to {size} bytes would extend {self.name}")
        self._system.truncate(self.name, self._inode, size)

    def sync(self) -> None:
        if self._refused.startswith("refused"):
            raise StorageFailure(self.name, self._refused)
        try:
            self._system.sync(self.name, self._inode)
        except StorageFailure:
            self._refused = "refused: an earlier sync failed"
            raise

    def size(self) -> int:
        return len(self._inode.data)

    def close(self) -> None:
        self._refused = self._refused or "closed"

    def _check_writable(self) -> None:
        if self._refused:
            raise StorageFailure(self.name, self._refused)


class FaultyFileSystem:
    """See the head of the module. `now_ms` stamps writes; the owner moves it."""

    def __init__(self, seed: int = 0, now_ms: int = 0) -> None:
        self.seed = seed
        self.now_ms = now_ms
        self.open_files = 0
        self.operations = 0
        self.before: Callable[[Operation], int | None] | None = None
        self.after: Callable[[Operation], None] | None = None
        self._root = Directory()
        self._locks: set[str] = set()

    # What the disk does.

    def crash(self, loss: Loss) -> FaultyFileSystem:
        """The file system that a reboot at this moment finds: everything in it is durable, no lock is held."""
        choose = random.Random(f"{self.seed} {self.operations} {loss.value}")
        after = FaultyFileSystem(self.seed, self.now_ms)
        after._root = directory_after(self._root, loss, choose)
        return after

    def flip_bit(self, path: str, position: int, bit: int = 0) -> None:
        """Rots one bit of a file, on the disk and in every reader's view."""
        inode = self._inode(path)
        for content in (inode.data, inode.durable):
            if position < len(content):
                content[position] ^= 1 << bit

    def walk(self, path: str = "/") -> Iterator[str]:
        """The paths of all files below a directory, in order of name."""
        for name in self.listdir(path):
            child = posixpath.join(path, name)
            if self.is_dir(child):
                yield from self.walk(child)
            else:
                yield child

    # Called by the open files.

    def write(self, path: str, inode: Inode, data: bytes) -> int:
        """Appends to an inode; one operation."""
        self._ahead(Kind.WRITE, path)
        position = inode.append(data)
        inode.mtime_ms = self.now_ms
        self._behind(Kind.WRITE, path)
        return position

    def truncate(self, path: str, inode: Inode, size: int) -> None:
        """Cuts an inode; one operation."""
        self._ahead(Kind.TRUNCATE, path)
        inode.truncate(size)
        inode.mtime_ms = self.now_ms
        self._behind(Kind.TRUNCATE, path)

    def sync(self, path: str, inode: Inode) -> None:
        """Makes an inode durable, or, when told to fail, gives its dirty pages up."""
        try:
            self._ahead(Kind.SYNC, path)
        except StorageFailure as failure:
            inode.fail_sync()
            raise StorageFailure(path, f"sync failed: {failure.message}") from failure
        inode.sync()
        self._behind(Kind.SYNC, path)

    def reading(self, path: str) -> None:
        """Called ahead of each read; fails it when told to."""
        self._ahead(Kind.READ, path)

    def _ahead(self, kind: Kind, path: str) -> None:
        if self.before is None:
            return
        number = self.operations + (kind is not Kind.READ)
        code = self.before(Operation(number, kind, path))
        if code is not None:
            raise failure_from(OSError(code, ""), path)

    def _behind(self, kind: Kind, path: str) -> None:
        self.operations += 1
        if self.after is not None:
            self.after(Operation(self.operations, kind, path))

    # The port.

    def open(self, path: str, mode: OpenMode) -> File:
        path = posixpath.normpath(path)
        node = self._find(path)
        if isinstance(node, Directory):
            raise failure_from(OSError(errno.EISDIR, ""), path)
        if node is None:
            if mode is OpenMode.READ:
                raise _missing(path)
            node = self._create(path)
        elif mode is OpenMode.CREATE and node.data:
            self.truncate(path, node, 0)
        return FaultyFile(self, path, node, "opened for reading only" if mode is OpenMode.READ else "")

    def exists(self, path: str) -> bool:
        return self._find(path) is not None

    def is_dir(self, path: str) -> bool:
        return isinstance(self._find(path), Directory)

    def listdir(self, path: str) -> list[str]:
        return sorted(self._directory(path).entries)

    def size(self, path: str) -> int:
        return len(self._inode(path).data)

    def mtime_ms(self, path: str) -> int:
        return self._inode(path).mtime_ms

    def disk_space(self, path: str) -> DiskSpace:
        self.reading(path)
        self._directory(path)
        return MEMORY_SPACE

    def mkdir(self, path: str) -> None:
        path = posixpath.normpath(path)
        if self.is_dir(path):
            return
        if self.exists(path):
            raise failure_from(OSError(errno.EEXIST, ""), path)
        self._change((Kind.MKDIR, path), None, posixpath.basename(path), Directory())

    def makedirs(self, path: str) -> None:
        path = posixpath.normpath(path)
        if not self.is_dir(path):
            if not self.exists(path):
                self.makedirs(posixpath.dirname(path))
            self.mkdir(path)

    def remove(self, path: str) -> None:
        path = posixpath.normpath(path)
        node = self._find(path)
        if node is not None:
            self._change((Kind.REMOVE, path), posixpath.basename(path), None, node)

    def remove_tree(self, path: str) -> None:
        node = self._find(path)
        if isinstance(node, Directory):
            for name in sorted(node.entries):
                self.remove_tree(posixpath.join(path, name))
        self.remove(path)

    def rename(self, source: str, target: str) -> None:
        source, target = posixpath.normpath(source), posixpath.normpath(target)
        node = self._find(source)
        if node is None:
            raise _missing(source)
        over = self._find(target)
        if over is not None and type(over) is not type(node):
            raise failure_from(
                OSError(errno.EISDIR if isinstance(node, Inode) else errno.ENOTDIR, ""), target
            )
        if isinstance(over, Directory) and over.entries:
            raise failure_from(OSError(errno.ENOTEMPTY, ""), target)
        (parent, name), (new_parent, new_name) = posixpath.split(source), posixpath.split(target)
        if parent != new_parent:
            raise ValueError(f"renaming {source} across directories is not modelled")
        self._change((Kind.RENAME, source), name, new_name, node)

    def sync_dir(self, path: str) -> None:
        directory = self._directory(path)
        self._ahead(Kind.SYNC_DIR, path)
        directory.sync()
        self._behind(Kind.SYNC_DIR, path)

    def read_file(self, path: str) -> bytes:
        self.reading(path)
        return bytes(self._inode(path).data)

    def write_atomic(self, path: str, data: bytes) -> None:
        write_beside(self, path, data)

    def lock(self, path: str) -> Lock:
        path = posixpath.normpath(path)
        if path in self._locks:
            raise DirectoryLocked(f"{path} is locked by another process")
        self.open(path, OpenMode.APPEND)
        return MemoryLock(self._locks, path)

    def is_locked(self, path: str) -> bool:
        return posixpath.normpath(path) in self._locks

    # The tree.

    def _change(self, operation: tuple[Kind, str], gone: str | None, added: str | None, node: Node) -> None:
        """Changes one name in the parent directory of the operation's path; one operation."""
        parent = self._directory(posixpath.dirname(operation[1]))
        self._ahead(*operation)
        parent.change(gone, added, node)
        self._behind(*operation)

    def _create(self, path: str) -> Inode:
        inode = Inode(self.now_ms)
        self._change((Kind.CREATE, path), None, posixpath.basename(path), inode)
        return inode

    def _find(self, path: str) -> Node | None:
        node: Node | None = self._root
        for name in posixpath.normpath(path).split("/"):
            if not name:
                continue
            if not isinstance(node, Directory):
                return None
            node = node.entries.get(name)
        return node

    def _inode(self, path: str) -> Inode:
        node = self._find(path)
        if not isinstance(node, Inode):
            raise _missing(path)
        return node

    def _directory(self, path: str) -> Directory:
        node = self._find(path)
        if not isinstance(node, Directory):
            raise _missing(path)
        return node


def _missing(path: str) -> StorageFailure:
    return failure_from(OSError(errno.ENOENT, ""), path)
