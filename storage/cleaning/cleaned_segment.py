"""A new segment while a cleaner writes it: `<base offset>` + .log .index .timeindex .txnindex, each + .cleaned.

Made with its files, which take batches, are finished and then synced. Not a Segment: it is never read from, and takes
batches as they are. Its indexes obey the rules of any other's.
"""

from __future__ import annotations

from protocol.records import BatchHeader
from protocol.types import Buffer, Offset, TimestampMs
from storage.cleaning.source import Pace
from storage.fs import FileSystem, OpenMode
from storage.index_file import WRITE_OUT_ENTRIES
from storage.offset_index import SUFFIX as OFFSET_INDEX_SUFFIX
from storage.offset_index import OffsetIndex
from storage.recovery.leftovers import CLEANED_SUFFIX
from storage.segment import LOG_SUFFIX, SUFFIXES, file_stem
from storage.time_index import NO_TIMESTAMP, TimeIndex
from storage.time_index import SUFFIX as TIME_INDEX_SUFFIX
from storage.txn_index import SUFFIX as TXN_INDEX_SUFFIX
from storage.txn_index import AbortedTxn, TxnIndex

_WRITE_BYTES = 1 << 20


def discard_unfinished(fs: FileSystem, directory: str) -> None:
    """Removes what a cleaner that died has left. Raises: StorageFailure."""
    for name in fs.listdir(directory):
        if name.endswith(CLEANED_SUFFIX):
            fs.remove(f"{directory}/{name}")


class CleanedSegment:
    """`append`, `finish`, `sync`, or at any time `discard`. All of them raise StorageFailure."""

    def __init__(
        self, fs: FileSystem, directory: str, base_offset: Offset, *, index_interval_bytes: int, pace: Pace
    ) -> None:
        self._fs = fs
        self._directory = directory
        self._stem = stem = f"{directory}/{file_stem(base_offset)}"
        self._index_interval_bytes = index_interval_bytes
        self._pace = pace
        self.size_bytes = 0
        self._unwritten = bytearray()
        self._bytes_since_index = 0
        self._largest_timestamp: TimestampMs = NO_TIMESTAMP
        self._largest_at: Offset = base_offset
        self.discard()  # what an attempt that failed may have left
        self._file = fs.open(stem + LOG_SUFFIX + CLEANED_SUFFIX, OpenMode.CREATE)
        self._offset_index = OffsetIndex(fs, stem + OFFSET_INDEX_SUFFIX + CLEANED_SUFFIX, base_offset)
        self._time_index = TimeIndex(fs, stem + TIME_INDEX_SUFFIX + CLEANED_SUFFIX, base_offset)
        self._txn_index = TxnIndex(fs, stem + TXN_INDEX_SUFFIX + CLEANED_SUFFIX, base_offset)
        self._offset_index.create()
        self._time_index.create()

    def append(self, header: BatchHeader, batch: Buffer) -> None:
        """Takes a whole batch with its header."""
        last_offset = header.last_offset
        if header.max_timestamp > self._largest_timestamp:
            self._largest_timestamp = header.max_timestamp
            self._largest_at = last_offset
        if self._bytes_since_index > self._index_interval_bytes:
            self._offset_index.append(last_offset, self.size_bytes)
            self._time_index.maybe_append(self._largest_timestamp, self._largest_at)
            self._bytes_since_index = 0
            if self._offset_index.tail_entries >= WRITE_OUT_ENTRIES:
                self._offset_index.write_out()
                self._time_index.write_out()
        self._bytes_since_index += len(batch)
        self.size_bytes += len(batch)
        self._unwritten += batch
        if len(self._unwritten) >= _WRITE_BYTES:
            self._write()

    def add_aborted(self, transactions: list[AbortedTxn]) -> None:
        """Takes transactions whose markers are in this segment."""
        for transaction in transactions:
            self._txn_index.append(transaction)

    def finish(self) -> None:
        """Writes what is still to be written."""
        self._write()
        if self.size_bytes:
            self._time_index.maybe_append(self._largest_timestamp, self._largest_at)
        self._offset_index.write_out()
        self._time_index.write_out()
        self._txn_index.write_out()
        self._file.close()
        self._txn_index.close()

    def sync(self) -> None:
        """Makes finished files durable, and their names. Blocks; another thread may do it."""
        for suffix in SUFFIXES:
            path = self._stem + suffix + CLEANED_SUFFIX
            if self._fs.exists(path):
                self._fs.open(path, OpenMode.READ).sync()
        self._fs.sync_dir(self._directory)

    def discard(self) -> None:
        """Removes its files."""
        for suffix in SUFFIXES:
            self._fs.remove(self._stem + suffix + CLEANED_SUFFIX)

    def _write(self) -> None:
        if self._unwritten:
            self._file.append(self._unwritten)
            self._pace(len(self._unwritten))
            self._unwritten = bytearray()
