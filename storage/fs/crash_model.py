"""What a crash leaves of files and directories: the model behind `storage.fs.faulty`.

Each file has volatile content, which every reader sees, and durable content, which a crash leaves behind. Between the
two lie the writes and truncations since the last sync. Each directory has volatile and durable names, with the creates,
renames and removals since its last sync between them. Syncing a file does not make its name durable, nor the reverse:
stricter than any one file system, as strict as POSIX.

A failed sync behaves as on Linux: the pages stay readable and count as clean, so that a second sync succeeds without
ever having written them.
"""

from __future__ import annotations

import enum
import random
from typing import TypeAlias

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


class Inode:
    """A file. `pending` holds (position, bytes written) and (size, None) for truncations, oldest first."""

    __slots__ = ("data", "durable", "lost", "mtime_ms", "pending")

    def __init__(self, now_ms: int, content: bytes = b"") -> None:
        self.data = bytearray(content)
        self.durable = bytearray(content)
        self.pending: list[tuple[int, bytes | None]] = []
        self.lost: list[tuple[int, int]] = []
        """[start, end) of bytes that a failed sync gave up."""
        self.mtime_ms = now_ms

    def append(self, data: bytes) -> int:
        """Adds to the volatile content; returns where."""
        position = len(self.data)
        self.data += data
        self.pending.append((position, data))
        return position

    def truncate(self, size: int) -> None:
        """Cuts the volatile content."""
        del self.data[size:]
        self.pending.append((size, None))
        self.lost = [(start, min(end, size)) for start, end in self.lost if start < size]

    def sync(self) -> None:
        """Makes the content durable, but for what an earlier sync gave up."""
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
        """The content that a crash leaves."""
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


class Directory:
    """Names. `pending` holds (name gone or None, name added or None, what it names), oldest first."""

    __slots__ = ("durable", "entries", "pending")

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}
        self.pending: list[tuple[str | None, str | None, Node]] = []

    def change(self, gone: str | None, added: str | None, node: Node) -> None:
        """Takes a name out, puts one in, or both at once."""
        _rename_in(self.entries, gone, added, node)
        self.pending.append((gone, added, node))

    def sync(self) -> None:
        """Makes the names durable."""
        self.durable = dict(self.entries)
        self.pending.clear()

    def after_crash(self, loss: Loss, choose: random.Random) -> dict[str, Node]:
        """The names that a crash leaves."""
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


Node: TypeAlias = Inode | Directory


def _rename_in(names: dict[str, Node], gone: str | None, added: str | None, node: Node) -> None:
    if gone is not None and names.get(gone) is node:
        del names[gone]
    if added is not None:
        names[added] = node


def directory_after(directory: Directory, loss: Loss, choose: random.Random) -> Directory:
    """The tree that a crash leaves, all of it durable."""
    after = Directory()
    for name, node in sorted(directory.after_crash(loss, choose).items()):
        if isinstance(node, Directory):
            after.durable[name] = directory_after(node, loss, choose)
        else:
            after.durable[name] = Inode(node.mtime_ms, node.after_crash(loss, choose))
    after.entries = dict(after.durable)
    return after
