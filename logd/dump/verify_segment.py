"""Checking one segment: its batches and their records, and what its three indexes say of them.

Of a batch the CRC covers all but the base offset and the leader epoch. The first must continue the batch before (behind
gaps that a cleaner left: must not fall below it), the second must be what the file of leader epochs says of the offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.dump.batch_walk import BatchWalk
from logd.dump.finding import REMOVE_FILE
from logd.dump.index_checks import OffsetIndexCursor, TimeIndexCursor
from logd.dump.verify_context import DirectoryState
from protocol.errors import BrokerError
from protocol.record_walk import RecordFault, walk_records
from protocol.records import iter_records, record_bytes
from storage.batch_scan import OutOfPlace
from storage.errors import CorruptLog
from storage.fs import OpenMode
from storage.offset_index import SUFFIX as OFFSET_INDEX_SUFFIX
from storage.offset_index import OffsetIndex
from storage.producer_replay import replay_batch
from storage.segment import LOG_SUFFIX, OFFSET_SPAN_MAX, file_stem
from storage.time_index import SUFFIX as TIME_INDEX_SUFFIX
from storage.time_index import TimeIndex
from storage.txn_index import ENTRY_BYTES, AbortedTxn, TxnIndex
from storage.txn_index import SUFFIX as TXN_INDEX_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logd.dump.finding import Report
    from logd.dump.verify_context import PartitionContext, PartitionWalk
    from protocol.records import BatchHeader
    from protocol.types import Offset, Position
    from storage.fs import FileSystem
    from storage.index_file import IndexFile

RESTORE = "restore the partition from a replica or a copy; a broker keeps it offline rather than serve this"
CUT_AT_START = "the next start of `logd serve` cuts the log here and keeps what it cuts off beside it"
_REPAIRED_AT_START = "the next start of `logd serve` reads the log from here on and makes it anew"
_PRODUCERS_MAX = 100_000
_ANY_TIME = 1 << 64


class SegmentCheck:
    """One pass over a segment. `end` tells afterwards where it ends (exclusive)."""

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        base_offset: Offset,
        next_base: Offset | None,
        walk: PartitionWalk,
        context: PartitionContext,
        report: Report,
    ) -> None:
        """`next_base` is where the next segment begins; None for the active one."""
        self._fs = fs
        self._stem = f"{directory}/{file_stem(base_offset)}"
        self._path = self._stem + LOG_SUFFIX
        self._base_offset = base_offset
        self._next_base = next_base
        self._walk = walk
        self._context = context
        self._report = report
        self._offset_cursor: OffsetIndexCursor | None = None
        self._time_cursor: TimeIndexCursor | None = None
        self._aborted: list[AbortedTxn] = []
        """What the transaction index must hold."""
        self._size = 0
        self.end: Offset = base_offset

    def run(self) -> None:
        """Raises: StorageFailure."""
        # Indexes are opened before the size is taken: what they point to is then in the log, whoever writes to it.
        self._open_indexes()
        file = self._fs.open(self._path, OpenMode.READ)
        self._size = size = file.size()
        batches = BatchWalk(
            file,
            size,
            base_offset=self._base_offset,
            due=self._base_offset,
            gaps=self._context.may_have_gaps,
            on_damage=self._on_damage,
            places=self._indexed_places,
        )
        for position, header, batch in batches:
            self._check_batch(position, header, batch)
        self._finish(size)

    # -- batches -------------------------------------------------------------------------------------------

    def _check_batch(self, position: Position, header: BatchHeader, batch: memoryview) -> None:
        self._report.add_batch(len(batch), header.record_count)
        last_offset = header.last_offset
        self.end = last_offset + 1
        if last_offset - self._base_offset > OFFSET_SPAN_MAX:
            self._wrong(position, header, f"offset {last_offset} is too far above the segment's first")
        if self._next_base is not None and last_offset >= self._next_base:
            text = f"offset {last_offset} belongs into the next segment, which begins with {self._next_base}"
            self._wrong(position, header, text)
        self._check_epoch(position, header)
        if header.record_count != header.last_offset_delta + 1 and not self._context.may_have_gaps:
            text = f"{header.record_count} records for {header.last_offset_delta + 1} offsets"
            self._wrong(position, header, text)
        if self._context.walk_records:
            self._check_records(position, header, batch)
        if self._offset_cursor is not None:
            self._offset_cursor.on_batch(position, last_offset)
        if self._time_cursor is not None:
            self._time_cursor.on_batch(header.base_offset, last_offset, header.max_timestamp)
        if header.producer_id >= 0:
            self._replay(position, header, batch)

    def _check_epoch(self, position: Position, header: BatchHeader) -> None:
        epoch, walk = header.leader_epoch, self._walk
        if epoch < walk.last_epoch:
            self._wrong(position, header, f"its leader epoch {epoch} follows epoch {walk.last_epoch}")
        else:
            walk.last_epoch = epoch
        latest = self._context.leader_epoch
        if latest is not None and epoch > latest:
            self._wrong(
                position,
                header,
                f"its leader epoch is {epoch}, the metadata has given out {latest} as the last",
            )
            return
        for offset in (header.base_offset, header.last_offset):
            expected = walk.epochs.epoch_at(offset)
            newer = epoch > walk.epochs.latest and not self._context.is_settled(offset)
            if expected >= 0 and epoch != expected and not newer:
                text = f"its leader epoch is {epoch}, by leader-epoch-checkpoint it is {expected}"
                self._wrong(position, header, text)
                return

    def _check_records(self, position: Position, header: BatchHeader, batch: memoryview) -> None:
        try:
            body = record_bytes(batch, header)
            _, faults = walk_records(
                body, header.record_count, header.base_timestamp, -_ANY_TIME, _ANY_TIME, key_required=False
            )
            if any(fault is RecordFault.OFFSET for _, fault in faults):
                self._check_record_offsets(position, header, batch)
        except BrokerError as error:
            self._wrong(position, header, error.text)

    def _check_record_offsets(self, position: Position, header: BatchHeader, batch: memoryview) -> None:
        """Of a batch that a cleaner took records out of: they ascend within the batch's offsets."""
        last = header.base_offset - 1
        for record in iter_records(batch):
            if not last < record.offset <= header.last_offset:
                self._wrong(
                    position, header, f"a record with offset {record.offset} stands behind offset {last}"
                )
                return
            last = record.offset
        if not self._context.may_have_gaps:
            self._wrong(position, header, "its records do not have one offset after the other")

    def _replay(self, position: Position, header: BatchHeader, batch: memoryview) -> None:
        producers = self._walk.producers
        if producers is None:
            return
        try:
            aborted = replay_batch(producers, header, batch)
        except BrokerError as error:
            self._wrong(position, header, error.text)
            return
        if aborted is not None:
            self._aborted.append(aborted)
        producers.on_high_watermark(header.last_offset + 1)
        if len(producers.producers) > _PRODUCERS_MAX:
            self._walk.producers = None

    def _wrong(self, position: Position, header: BatchHeader, problem: str) -> None:
        self._report.problem(
            self._path,
            f"batch: {problem}",
            self._advice(header.base_offset),
            position=position,
            offset=header.base_offset,
        )

    def _advice(self, offset: Offset) -> str:
        if self._context.is_settled(offset) or self._context.state is DirectoryState.RUNNING:
            return RESTORE
        return CUT_AT_START if self._context.recovery_point is not None else RESTORE

    # -- damage --------------------------------------------------------------------------------------------

    def _on_damage(self, error: CorruptLog, end: Position, due: Offset) -> None:
        position = error.position
        is_tail = end == self._size and self._next_base is None
        if is_tail and self._context.state is DirectoryState.RUNNING:
            self._report.note(self._path, "is being written to here", position=position, offset=due)
            return
        self._walk.history_is_whole = False
        text = error.reason
        if isinstance(error, OutOfPlace) and not self._context.gaps_known:
            text += " (gaps are in order if the topic is or was compacted: then ask again with --compacted)"
        if end > position:
            text += f"; {end - position} bytes cannot be used"
        self._report.problem(self._path, text, self._advice(due), position=position, offset=due)
        if self._offset_cursor is not None:
            self._offset_cursor.skip_to(end)
        if self._time_cursor is not None:
            self._time_cursor.is_sure = False

    def _indexed_places(self, position: Position) -> Iterator[Position]:
        """Positions behind `position` that the offset index names."""
        cursor = self._offset_cursor
        if cursor is None:
            return
        cursor.skip_to(position + 1)
        while (place := cursor.next_position) is not None and place < self._size:
            yield place
            cursor.advance()

    # -- indexes -------------------------------------------------------------------------------------------

    def _open_indexes(self) -> None:
        lags = self._context.state is not DirectoryState.CLEAN
        preallocated = lags and self._next_base is None
        for suffix in (OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX):
            path = self._stem + suffix
            if not self._fs.exists(path):
                if self._context.state is not DirectoryState.RUNNING and self._fs.size(self._path):
                    self._report.problem(path, "is missing", "the next start of a broker makes it anew")
                continue
            self._report.files += 1
            if suffix == OFFSET_INDEX_SUFFIX:
                offsets = OffsetIndex.open(self._fs, path, self._base_offset)
                self._check_whole(offsets)
                self._offset_cursor = OffsetIndexCursor(offsets, self._report, preallocated=preallocated)
            else:
                times = TimeIndex.open(self._fs, path, self._base_offset)
                self._check_whole(times)
                self._time_cursor = TimeIndexCursor(times, self._report, preallocated=preallocated)

    def _check_whole(self, index: IndexFile) -> None:
        if not index.is_whole() and self._context.state is not DirectoryState.RUNNING:
            position = index.entries * index.ENTRY.size
            self._report.problem(index.path, "the last entry is cut short", REMOVE_FILE, position=position)

    def _finish(self, size: Position) -> None:
        grows = self._context.state is DirectoryState.RUNNING and self._next_base is None
        settled = self._context.is_settled(self.end - 1)
        if self._offset_cursor is not None:
            self._offset_cursor.on_end(size, grows=grows)
        if self._time_cursor is not None:
            self._time_cursor.on_end(self.end, grows=grows, is_complete=settled and not grows)
        self._check_transactions(grows)

    def _check_transactions(self, grows: bool) -> None:
        """Compare the transaction index with what the batches say; with gaps, a cleaner has taken part of both."""
        path = self._stem + TXN_INDEX_SUFFIX
        index = TxnIndex(self._fs, path, self._base_offset)
        try:
            entries = index.entries
            index.sanity_check()
        except CorruptLog as error:
            self._report.problem(path, error.reason, _REPAIRED_AT_START, position=error.position)
            return
        self._report.files += bool(entries)
        limit = self._next_base if self._next_base is not None else self.end
        known = {txn.last_offset: txn for txn in self._aborted}
        exact = self._walk.history_is_whole and self._walk.producers is not None
        for number, txn in enumerate(entries):
            if txn.last_offset >= limit:
                if not grows:
                    self._wrong_txn(path, number, txn, f"is behind the segment's end {limit}")
            elif self._context.may_have_gaps or not exact:
                continue
            elif txn.last_offset not in known:
                self._wrong_txn(path, number, txn, "does not end with an abort marker in the log")
            elif known.pop(txn.last_offset) != txn:
                self._wrong_txn(path, number, txn, "is not what the batches say")
        if exact and known and not self._context.may_have_gaps and not grows:
            missing = min(known)
            text = f"the transaction that was aborted at offset {missing} is missing: read_committed consumers see it"
            self._report.problem(path, text, RESTORE, offset=missing)

    def _wrong_txn(self, path: str, number: int, txn: AbortedTxn, problem: str) -> None:
        text = f"entry {number} (producer {txn.producer_id}, offsets {txn.first_offset} to {txn.last_offset}) {problem}"
        self._report.problem(path, text, RESTORE, position=number * ENTRY_BYTES, offset=txn.last_offset)
