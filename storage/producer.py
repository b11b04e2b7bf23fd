"""What a partition remembers of one producer: its newest epoch, the last batches under it, its open transaction.

The five last batches are kept, because that is how many requests a producer may have under way; a snapshot keeps one.
Sequences run from 0 to 2^31-1 and wrap to 0; batches that come from a coordinator have none (-1).
Source: KIP-98; apache/kafka storage/…/log/ProducerStateEntry.java.
"""

from __future__ import annotations

from typing import NamedTuple

from protocol.types import Offset, ProducerEpoch, ProducerId, TimestampMs
from storage.producer_snapshot import SnapshotEntry

BATCHES_RETAINED = 5
"""A producer may have this many requests in flight, so a retry can be this many batches old."""

SEQUENCE_MASK = 0x7FFFFFFF
_NONE = -1


class BatchMetadata(NamedTuple):
    """A batch that was written; both ends inclusive."""

    first_sequence: int
    last_sequence: int
    first_offset: Offset
    last_offset: Offset
    timestamp_ms: TimestampMs


class ProducerState:
    """One producer's newest epoch and what was written under it."""

    __slots__ = (
        "batches",
        "coordinator_epoch",
        "epoch",
        "last_timestamp_ms",
        "next_sequence",
        "txn_first_offset",
    )

    def __init__(self, epoch: ProducerEpoch) -> None:
        self.epoch = epoch
        self.next_sequence = 0
        """The sequence that continues the last batch; 0 when none of this epoch is known."""
        self.batches: list[tuple[int, int, Offset, Offset, TimestampMs]] = []
        """Fields of `BatchMetadata`, oldest first, `BATCHES_RETAINED` at most; plain tuples, since every append makes
        one, in a list, since an empty deque has 760 bytes and partitions may know very many producers."""
        self.last_timestamp_ms: TimestampMs = _NONE
        """Largest timestamp of the last batch or marker: what expiry counts from."""
        self.coordinator_epoch = _NONE
        self.txn_first_offset: Offset = _NONE
        """First offset of the open transaction, -1 when there is none."""

    def batch_with(self, first_sequence: int, last_sequence: int) -> BatchMetadata | None:
        """Return the retained batch with exactly these sequences (both inclusive)."""
        for batch in self.batches:
            if batch[0] == first_sequence and batch[1] == last_sequence:
                return BatchMetadata._make(batch)
        return None

    @classmethod
    def from_snapshot(cls, entry: SnapshotEntry) -> ProducerState:
        """Return what a snapshot kept of a producer."""
        producer = cls(entry.epoch)
        producer.last_timestamp_ms = entry.timestamp_ms
        producer.coordinator_epoch = entry.coordinator_epoch
        producer.txn_first_offset = max(entry.txn_first_offset, _NONE)
        if entry.last_offset >= 0:
            last = entry.last_sequence
            first = _NONE if last < 0 else (last - entry.offset_delta) & SEQUENCE_MASK
            first_offset = entry.last_offset - entry.offset_delta
            producer.batches.append((first, last, first_offset, entry.last_offset, entry.timestamp_ms))
            producer.next_sequence = (last + 1) & SEQUENCE_MASK
        return producer

    def to_snapshot(self, producer_id: ProducerId) -> SnapshotEntry:
        """Return what a snapshot keeps."""
        last_sequence, first_offset, last_offset = _NONE, _NONE, _NONE
        if self.batches:
            _, last_sequence, first_offset, last_offset, _ = self.batches[-1]
        return SnapshotEntry(
            producer_id,
            self.epoch,
            last_sequence,
            last_offset,
            last_offset - first_offset,
            self.last_timestamp_ms,
            self.coordinator_epoch,
            self.txn_first_offset,
        )
