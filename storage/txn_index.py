"""Aborted transactions of one segment (.txnindex), for consumers that read committed records only.

Layout: entries of 34 bytes, big-endian: int16 version (0) | int64 producer id | int64 first offset |
int64 offset of the abort marker | int64 last stable offset once it was decided. Entries stand in the segment that
holds the marker; the transaction may have begun in an earlier one. Marker offsets ascend, hence last stable
offsets never fall. There is no file until a transaction is aborted. No checksum: after a crash, rebuild.
A range of offsets may need later segments too: a transaction that overlaps it can be aborted far behind it. The
last stable offset bounds that search: once it has reached the end of the range, no later marker concerns it.
Source: KIP-98; apache/kafka storage/…/log/{TransactionIndex,AbortedTxn}.java.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from protocol.types import Offset, ProducerId
from storage.errors import CorruptLog, NoSpace
from storage.fs import OpenMode

if TYPE_CHECKING:
    from storage.fs import File, FileSystem

SUFFIX = ".txnindex"
VERSION = 0

_ENTRY = Struct(">hqqqq")
ENTRY_BYTES = _ENTRY.size
_last_offset = attrgetter("last_offset")


class AbortedTxn(NamedTuple):
    """An aborted transaction that wrote to the partition."""

    producer_id: ProducerId
    first_offset: Offset
    last_offset: Offset
    """The abort marker (inclusive)."""
    last_stable_offset: Offset
    """First offset still undecided once this marker was written (exclusive end of what is stable)."""


class TxnIndex:
    """The index of one segment; entries are read on first use and kept, since most segments have none."""

    def __init__(self, fs: FileSystem, path: str, base_offset: Offset) -> None:
        self.path = path
        self._fs = fs
        self._base_offset = base_offset
        self._file: File | None = None
        self._entries: list[AbortedTxn] | None = None
        self._written = 0
        """How many of the entries are in the file: fewer than all only after a full disk refused some."""

    @property
    def entries(self) -> list[AbortedTxn]:
        """All entries in order of their markers; not to be changed. Raises: CorruptLog, StorageFailure."""
        if self._entries is None:
            self._entries = self._read()
        return self._entries

    def append(self, txn: AbortedTxn) -> None:
        """Add a transaction whose marker follows all others; a full disk makes it wait in memory for `write_out`.

        Its marker is in the log already, so it cannot be refused. Raises: StorageFailure other than NoSpace.
        """
        entries = self.entries
        if entries and entries[-1].last_offset >= txn.last_offset:
            raise AssertionError(f"{self.path}: {txn} does not follow {entries[-1]}")
        entries.append(txn)
        with suppress(NoSpace):
            self.write_out()

    def write_out(self) -> None:
        """Write what is not in the file yet. Raises: StorageFailure, with nothing changed."""
        waiting = self._entries[self._written :] if self._entries else ()
        if waiting:
            if self._file is None:
                self._file = self._fs.open(self.path, OpenMode.APPEND)
            self._file.append(b"".join(_ENTRY.pack(VERSION, *txn) for txn in waiting))
            self._written += len(waiting)

    def lookup(self, start_offset: Offset, end_offset: Offset) -> tuple[list[AbortedTxn], bool]:
        """Return the transactions that overlap [start_offset, end_offset), and whether later segments matter not.

        Raises: CorruptLog, StorageFailure.
        """
        entries = self.entries
        found: list[AbortedTxn] = []
        for index in range(bisect_left(entries, start_offset, key=_last_offset), len(entries)):
            txn = entries[index]
            if txn.first_offset < end_offset:
                found.append(txn)
            if txn.last_stable_offset >= end_offset:
                return found, True
        return found, False

    def truncate_to(self, offset: Offset) -> None:
        """Drop the entries whose marker is at or above `offset`. Raises: StorageFailure."""
        entries = self.entries
        kept = bisect_left(entries, offset, key=_last_offset)
        if kept == len(entries):
            return
        if kept < self._written:
            if self._file is None:
                self._file = self._fs.open(self.path, OpenMode.APPEND)
            self._file.truncate(kept * _ENTRY.size)
            self._written = kept
        del entries[kept:]

    def reset(self) -> None:
        """Empty the index, whatever its file holds: it is about to be rebuilt. Raises: StorageFailure."""
        if self._fs.exists(self.path):
            if self._file is None:
                self._file = self._fs.open(self.path, OpenMode.APPEND)
            self._file.truncate(0)
        self._entries = []
        self._written = 0

    def replace(self, entries: list[AbortedTxn]) -> None:
        """Make these the entries, durably; a crash leaves the file as it was, or with all of them.

        Blocks. Raises: StorageFailure.
        """
        self.close()
        if entries or self._fs.exists(self.path):
            self._fs.write_atomic(self.path, b"".join(_ENTRY.pack(VERSION, *txn) for txn in entries))
        self._entries = entries
        self._written = len(entries)

    def sanity_check(self) -> None:
        """Raises: CorruptLog when the file cannot be the index of this segment; StorageFailure."""
        last = self._base_offset - 1
        for index, txn in enumerate(self.entries):
            if txn.last_offset <= last or not 0 <= txn.first_offset < txn.last_offset:
                raise CorruptLog(self.path, index * _ENTRY.size, f"{txn} does not belong after offset {last}")
            last = txn.last_offset

    def sync(self) -> None:
        """Make what was appended durable; blocks. Raises: StorageFailure."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Drop the handle; entries already read stay readable."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> list[AbortedTxn]:
        if not self._fs.exists(self.path):
            return []
        data = self._fs.read_file(self.path)
        if len(data) % _ENTRY.size:
            raise CorruptLog(self.path, len(data) - len(data) % _ENTRY.size, "an entry is cut short")
        entries: list[AbortedTxn] = []
        for version, *fields in _ENTRY.iter_unpack(data):
            if version != VERSION:
                position = len(entries) * _ENTRY.size
                raise CorruptLog(self.path, position, f"unknown entry version {version}")
            entries.append(AbortedTxn._make(fields))
        self._written = len(entries)
        return entries
