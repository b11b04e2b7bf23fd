"""A file system in memory that forgets what was not synced, and fails when told to.

The model. Each file has volatile content, which every reader sees, and durable content, which a crash
leaves behind. Between the two lie the writes and truncations since the last `sync`. Each directory has
volatile and durable names, with the creates, renames and removals since the last `sync_dir` between them.
Syncing a file does not make its name durable, nor the reverse: stricter than any one file system, as strict
as POSIX.

`crash` builds the file system that a restart would find, in one of four ways (`Loss`), and leaves this one
untouched: a recorded workload can be crashed after each of its operations in one run. All choices come from
the seed.

A failed `sync` behaves as Linux does: the pages stay readable and count as clean, so that a second `sync`
succeeds without ever having written them.

Operations that change something are numbered from 1. `after` is called behind each (the place to crash),
`before` ahead of each, reads included, and may return an errno to fail it with. Nothing of a failed
operation happens.
"""

from __future__ import annotations

import enum
import errno
import posixpath
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from storage.errors import DirectoryLocked, StorageFailure, failure_from
from storage.fs import ATOMIC_SUFFIX, OpenMode

if TYPE_CHECKING:
    from protocol.types import Buffer
    from storage.fs import File, Lock

_FREE_BYTES = 1 << 40
_PAGE_SIZES = (512, 4096)  # the sector that a disk writes whole, and the page that the kernel writes back


class Loss(enum.Enum):
    """What a crash takes of the unsynced."""

    NONE = "none"
    """Nothing: the process was killed, and the page cache lives on."""
    ALL = "all"
    """Everything: files and names are as last synced."""
    SUBSET = "subset"
    """Any pages, in any order, with zeroes for those lost; sizes and names each survive or not."""
    TORN = "torn"
    """Per file the first few writes, the last of them in part; per directory the first few changes."""


POWER_LOSSES = (Loss.ALL, Loss.SUBSET, Loss.TORN)
"""The ways in which a power failure may end."""


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


class _Inode:
    """A file. `pending` holds (position, bytes written) and (size, None) for truncations, oldest first."""

    __slots__ = ("data", "durable", "lost", "mtime_ms", "pending")

    def __init__(self, now_ms: int, content: bytes = b"") -> None:
        self.data = bytearray(content)
        self.durable = bytearray(content)
        self.pending: list[tuple[int, bytes | None]] = []
        self.lost: list[tuple[int, int]] = []
        self.mtime_ms = now_ms

    def append(self, data: bytes) -> int:
        position = len(self.data)
        self.data += data
        self.pending.append((position, data))
        return position

    def truncate(self, size: int) -> None:
        del self.data[size:]
        self.pending.append((size, None))
        self.lost = [(start, min(end, size)) for start, end in self.lost if start < size]

    def sync(self) -> None:
        if not self.pending:
            return
        first = min(place for place, _ in self.pending)
        before = bytes(self.durable)
        self.durable += bytes(max(first - len(before), 0))
        self.durable[first:] = self.data[first:]
        for start, end in self.lost:
            self.durable[start:end] = before[start:end].ljust(end - start, b"\0")
        self.pending.clear()

    def fail_sync(self) -> None:
        """The kernel gives the dirty pages up, but keeps them readable."""
        self.lost += [(place, place + len(data)) for place, data in self.pending if data is not None]
        self.pending = [(place, data) for place, data in self.pending if data is None]

    def after_crash(self, loss: Loss, choose: random.Random) -> bytes:
        if loss is Loss.NONE:
            return bytes(self.data)
        if loss is Loss.ALL or not self.pending:
            return bytes(self.durable)
        if loss is Loss.SUBSET:
            return self._some_pages(choose)
        return self._first_writes(choose)

    def _some_pages(self, choose: random.Random) -> bytes:
        page = choose.choice(_PAGE_SIZES)
        longest = max(len(self.data), len(self.durable))
        image = bytearray(self.durable.ljust(longest, b"\0"))
        first = min(place for place, _ in self.pending)
        last_kept = len(self.durable)
        for start in range(first - first % page, len(self.data), page):
            if choose.random() < 0.5:
                kept = self.data[start : start + page]
                image[start : start + len(kept)] = kept
                last_kept = max(last_kept, start + len(kept))
        return bytes(image[: choose.choice((len(self.durable), len(self.data), last_kept))])

    def _first_writes(self, choose: random.Random) -> bytes:
        image = bytearray(self.durable)
        whole = choose.randrange(len(self.pending))
        for place, data in self.pending[:whole]:
            _apply(image, place, data)
        place, data = self.pending[whole]
        if data is None:
            return bytes(image)
        end = choose.randint(0, len(data))
        start = choose.choice((0, 0, choose.randint(0, end)))
        if start:  # an inner part survived: what is before it reads as zeroes
            data = bytes(start) + data[start:]
        _apply(image, place, data[:end])
        return bytes(image)


def _apply(image: bytearray, place: int, data: bytes | None) -> None:
    if data is None:
        del image[place:]
        return
    if place > len(image):
        image += bytes(place - len(image))
    image[place : place + len(data)] = data


class _Directory:
    """Names. `pending` holds (name gone or None, name added or None, what it names), oldest first."""

    __slots__ = ("durable", "entries", "pending")

    def __init__(self) -> None:
        self.entries: dict[str, _Node] = {}
        self.durable: dict[str, _Node] = {}
        self.pending: list[tuple[str | None, str | None, _Node]] = []

    def change(self, gone: str | None, added: str | None, node: _Node) -> None:
        _rename_in(self.entries, gone, added, node)
        self.pending.append((gone, added, node))

    def sync(self) -> None:
        self.durable = dict(self.entries)
        self.pending.clear()

    def after_crash(self, loss: Loss, choose: random.Random) -> dict[str, _Node]:
        if loss is Loss.NONE:
            return dict(self.entries)
        names = dict(self.durable)
        if loss is Loss.ALL or not self.pending:
            return names
        first_few = choose.randint(0, len(self.pending))
        for index, (gone, added, node) in enumerate(self.pending):
            if index < first_few if loss is Loss.TORN else choose.random() < 0.5:
                _rename_in(names, gone, added, node)
        return names


_Node: TypeAlias = _Inode | _Directory


def _rename_in(names: dict[str, _Node], gone: str | None, added: str | None, node: _Node) -> None:
    if gone is not None and names.get(gone) is node:
        del names[gone]
    if added is not None:
        names[added] = node


class FaultyFile:
    """An open file on an inode; refuses writes once a write or a sync of it failed for good."""

    __slots__ = ("_inode", "_refused", "_system", "name")

    def __init__(self, system: FaultyFileSystem, path: str, inode: _Inode, refused: str) -> None:
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

    def append_many(self, parts: Sequence[Buffer]) -> int:
        return self.append(b"".join(parts))

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

    def is_resident(self, position: int, size: int) -> bool:
        return True

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self._refused = self._refused or "closed"

    def _check_writable(self) -> None:
        if self._refused:
            raise StorageFailure(self.name, self._refused)


class FaultyLock:
    """A held name in the file system's set of locks."""

    __slots__ = ("_held", "_path")

    def __init__(self, held: set[str], path: str) -> None:
        self._held = held
        self._path = path
        held.add(path)

    def release(self) -> None:
        self._held.discard(self._path)


class FaultyFileSystem:
    """See the head of the module. `now_ms` stamps writes; the owner moves it."""

    def __init__(self, seed: int = 0, now_ms: int = 0) -> None:
        self.seed = seed
        self.now_ms = now_ms
        self.open_files = 0
        self.operations = 0
        self.before: Callable[[Operation], int | None] | None = None
        self.after: Callable[[Operation], None] | None = None
        self._root = _Directory()
        self._locks: set[str] = set()

    # What the disk does.

    def crash(self, loss: Loss) -> FaultyFileSystem:
        """The file system that a reboot at this moment finds: everything in it is durable, no lock is held."""
        choose = random.Random(f"{self.seed} {self.operations} {loss.value}")
        after = FaultyFileSystem(self.seed, self.now_ms)
        after._root = _directory_after(self._root, loss, choose)
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

    def write(self, path: str, inode: _Inode, data: bytes) -> int:
        """Appends to an inode; one operation."""
        self._ahead(Kind.WRITE, path)
        position = inode.append(data)
        inode.mtime_ms = self.now_ms
        self._behind(Kind.WRITE, path)
        return position

    def truncate(self, path: str, inode: _Inode, size: int) -> None:
        """Cuts an inode; one operation."""
        self._ahead(Kind.TRUNCATE, path)
        inode.truncate(size)
        inode.mtime_ms = self.now_ms
        self._behind(Kind.TRUNCATE, path)

    def sync(self, path: str, inode: _Inode) -> None:
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
        if isinstance(node, _Directory):
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
        return isinstance(self._find(path), _Directory)

    def listdir(self, path: str) -> list[str]:
        return sorted(self._directory(path).entries)

    def size(self, path: str) -> int:
        return len(self._inode(path).data)

    def mtime_ms(self, path: str) -> int:
        return self._inode(path).mtime_ms

    def mkdir(self, path: str) -> None:
        path = posixpath.normpath(path)
        if self.is_dir(path):
            return
        if self.exists(path):
            raise failure_from(OSError(errno.EEXIST, ""), path)
        parent, name = posixpath.split(path)
        self.mkdir(parent)
        self._change((Kind.MKDIR, path), None, name, _Directory())

    def remove(self, path: str) -> None:
        path = posixpath.normpath(path)
        node = self._find(path)
        if node is not None:
            self._change((Kind.REMOVE, path), posixpath.basename(path), None, node)

    def remove_tree(self, path: str) -> None:
        node = self._find(path)
        if isinstance(node, _Directory):
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
                OSError(errno.EISDIR if isinstance(node, _Inode) else errno.ENOTDIR, ""), target
            )
        if isinstance(over, _Directory) and over.entries:
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
        beside = path + ATOMIC_SUFFIX
        file = self.open(beside, OpenMode.CREATE)
        file.append(data)
        file.sync()
        self.rename(beside, path)
        self.sync_dir(posixpath.dirname(path))

    def lock(self, path: str) -> Lock:
        path = posixpath.normpath(path)
        if path in self._locks:
            raise DirectoryLocked(f"{path} is locked by another process")
        self.open(path, OpenMode.APPEND)
        return FaultyLock(self._locks, path)

    def free_bytes(self, path: str) -> int:
        return _FREE_BYTES

    # The tree.

    def _change(self, operation: tuple[Kind, str], gone: str | None, added: str | None, node: _Node) -> None:
        """Changes one name in the parent directory of the operation's path; one operation."""
        parent = self._directory(posixpath.dirname(operation[1]))
        self._ahead(*operation)
        parent.change(gone, added, node)
        self._behind(*operation)

    def _create(self, path: str) -> _Inode:
        inode = _Inode(self.now_ms)
        self._change((Kind.CREATE, path), None, posixpath.basename(path), inode)
        return inode

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for name in posixpath.normpath(path).split("/"):
            if not name:
                continue
            if not isinstance(node, _Directory):
                return None
            node = node.entries.get(name)
        return node

    def _inode(self, path: str) -> _Inode:
        node = self._find(path)
        if not isinstance(node, _Inode):
            raise _missing(path)
        return node

    def _directory(self, path: str) -> _Directory:
        node = self._find(path)
        if not isinstance(node, _Directory):
            raise _missing(path)
        return node


def _directory_after(directory: _Directory, loss: Loss, choose: random.Random) -> _Directory:
    after = _Directory()
    for name, node in sorted(directory.after_crash(loss, choose).items()):
        if isinstance(node, _Directory):
            after.durable[name] = _directory_after(node, loss, choose)
        else:
            after.durable[name] = _Inode(node.mtime_ms, node.after_crash(loss, choose))
    after.entries = dict(after.durable)
    return after


def _missing(path: str) -> StorageFailure:
    return failure_from(OSError(errno.ENOENT, ""), path)
