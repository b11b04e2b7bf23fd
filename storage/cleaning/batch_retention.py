"""What is left of one batch: all of it, some of its records, a mere header, or nothing.

Rules, in Kafka's words and order:
- A record goes when a later one has its key, when it has no key, or when its transaction was aborted.
- A tombstone goes, too, once its batch's delete horizon has passed. The first pass that keeps one sets the horizon, now
  + delete.retention.ms, so that whoever reads from the start has that long to meet it (KIP-534). Markers that no record
  needs any more likewise.
- A batch without records goes, but for the last one of an active producer, since it says which sequence comes next,
  and the last one of the pass, since it says where the log ends: of those the header stays.
Source: KIP-58, KIP-98, KIP-534. Checked against Cleaner.java (cleanInto) and MemoryRecords.java (filterTo).
"""

from __future__ import annotations

from protocol.control_records import read_end_txn_marker
from protocol.record_keys import keep_records, pack_batch, set_delete_horizon, without_records
from protocol.records import BatchHeader, record_bytes
from protocol.types import Buffer
from storage.cleaning.job import CleaningJob
from storage.cleaning.transactions import CleanedTransactions
from storage.offset_map import SUPERSEDED, TOMBSTONE

Retained = tuple[BatchHeader, Buffer]
"""A batch with its header; length and checksum in that may be those from before."""

_STAYS_UNLESS_SUPERSEDED = bytes((1, 0, 1)).ljust(256, b"\0")
_STAYS_WITH_VALUE = bytes((1, 0, 0)).ljust(256, b"\0")


class BatchRetention:
    """Judges the batches of a log one after the other, from its start."""

    def __init__(self, job: CleaningJob, transactions: CleanedTransactions) -> None:
        self._transactions = transactions
        self._last_records = job.last_records
        self._end_offset = job.first_uncleanable_offset
        self._now_ms = job.now_ms
        self._horizon = job.now_ms + job.delete_retention_ms

    def filter(self, header: BatchHeader, batch: Buffer, marks: bytearray | None) -> Retained | None:
        """Returns what takes the place of `batch`: that itself when nothing changes; None when it goes.

        `marks` has a byte for each of its records; None when nothing is known of them, and they stay.
        Raises: BrokerError INVALID_RECORD.
        """
        if header.is_control:
            return self._filter_marker(header, batch)
        if self._transactions.on_data(header):
            return self._emptied(header, batch)
        if marks is None:
            return header, batch
        going = marks.count(SUPERSEDED)
        tombstones = marks.count(TOMBSTONE)
        horizon = header.delete_horizon
        keep_table = _STAYS_UNLESS_SUPERSEDED
        if tombstones and horizon is not None and horizon <= self._now_ms:
            going += tombstones
            keep_table = _STAYS_WITH_VALUE
        if going == header.record_count:
            return self._emptied(header, batch)
        sets_horizon = tombstones > 0 and horizon is None
        if not going and not sets_horizon:
            return header, batch
        body = bytes(record_bytes(batch, header))
        if going:
            header, body = keep_records(header, body, bytes(marks.translate(keep_table)))
        if sets_horizon:
            header, body = set_delete_horizon(header, body, self._horizon)
        return header, pack_batch(header, body)

    def _filter_marker(self, header: BatchHeader, batch: Buffer) -> Retained | None:
        if not header.record_count:
            return self._emptied(header, batch)  # all of its transaction went before
        marker = read_end_txn_marker(batch)
        if marker is None or not self._transactions.on_marker(header, committed=marker.committed):
            return header, batch
        horizon = header.delete_horizon
        if horizon is None:
            header, body = set_delete_horizon(header, bytes(record_bytes(batch, header)), self._horizon)
            return header, pack_batch(header, body)
        return (header, batch) if self._now_ms < horizon else self._emptied(header, batch)

    def _emptied(self, header: BatchHeader, batch: Buffer) -> Retained | None:
        if header.last_offset + 1 != self._end_offset and not self._is_last_of_producer(header):
            return None
        if not header.record_count:
            return header, batch
        header = without_records(header)
        return header, pack_batch(header, b"")

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        last = self._last_records.get(header.producer_id)
        if last is None:
            return False
        if last.last_data_offset >= 0:
            return header.last_offset == last.last_data_offset
        return header.is_control and header.producer_epoch == last.epoch
