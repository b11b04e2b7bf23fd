"""What the checker knows of a partition, from its batches alone: which transactions are open, and what that means.

expected last stable offset = the smallest of: first offsets of open transactions; of ended ones, until the marker
                              is below the high watermark; the high watermark

And which batches must be known when they come again: the last five of each producer, of which a snapshot of producers
keeps the last alone. What else was written before that snapshot a new term may take for out of order, as with Kafka.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from protocol.control_records import read_end_txn_marker
from protocol.records import BatchHeader
from protocol.types import Buffer, Offset

_REPEATABLE = 5
"""Batches that a producer may have in flight."""


class PartitionPicture:
    def __init__(self, name: str) -> None:
        self.name = name
        self.open: dict[int, Offset] = {}
        """By producer id: first offset of its open transaction."""
        self._ended: list[tuple[Offset, Offset, int]] = []
        """Marker, first offset and producer id of transactions whose marker may not be committed yet."""
        self._epochs: dict[int, int] = {}
        self.coordinator_epochs: dict[int, int] = {}
        """By producer id: the last one that a marker carried."""
        self._repeatable: dict[int, deque[tuple[int, int]]] = {}
        """By producer id: sequences (inclusive) of the last batches of its epoch."""
        self.high_watermark: Offset = 0
        self.last_stable_offset: Offset = 0
        self._end_offset: Offset = 0
        self._begun_at: Offset = 0
        """Where the log ended when the term began."""

    def begin_term(self, batches: Iterable[tuple[BatchHeader, Buffer]], snapshot_offset: Offset) -> None:
        """Begin anew with what the log holds now, and producers as a snapshot at that offset has them."""
        self.open.clear()
        self._ended.clear()
        self._epochs.clear()
        self.coordinator_epochs.clear()
        self._repeatable.clear()
        self.high_watermark = self.last_stable_offset = self._end_offset = 0
        for header, batch in batches:
            self.note(header, batch)
            if header.last_offset < snapshot_offset and header.producer_id in self._repeatable:
                repeatable = self._repeatable[header.producer_id]
                while len(repeatable) > 1:
                    repeatable.popleft()
        self._begun_at = self._end_offset

    def note(self, header: Any, batch: Buffer) -> None:
        """A batch is in the log."""
        assert header.base_offset == self._end_offset, (
            f"{self.name}: {header} where {self._end_offset} is due"
        )
        self._end_offset = header.last_offset + 1
        producer_id, epoch = header.producer_id, header.producer_epoch
        if producer_id < 0:
            return
        known = self._epochs.get(producer_id, -1)
        assert epoch >= known, f"{self.name}: producer {producer_id} writes in epoch {epoch} after {known}"
        self._epochs[producer_id] = epoch
        if epoch != known:
            self._repeatable[producer_id] = deque(maxlen=_REPEATABLE)
        if header.base_sequence >= 0:
            self._repeatable[producer_id].append((header.base_sequence, header.last_sequence))
        if header.is_control:
            marker = read_end_txn_marker(batch)
            assert marker is not None
            heard = self.coordinator_epochs.get(producer_id, -1)
            assert marker.coordinator_epoch >= heard, (
                f"{self.name}: a marker of coordinator epoch {marker.coordinator_epoch} after one of {heard}"
            )
            self.coordinator_epochs[producer_id] = marker.coordinator_epoch
            first = self.open.pop(producer_id, None)
            if first is not None:
                self._ended.append((header.base_offset, first, producer_id))
        elif header.is_transactional:
            self.open.setdefault(producer_id, header.base_offset)
        else:
            assert producer_id not in self.open, f"{self.name}: {header} outside the open transaction"

    def refused(self, header: BatchHeader) -> None:
        """A batch was refused as out of order."""
        if header.producer_epoch == self._epochs.get(header.producer_id):
            assert (header.base_sequence, header.last_sequence) not in self._repeatable[header.producer_id], (
                f"{self.name}: {header} is refused, and is here"
            )

    def check(self, high_watermark: Offset, last_stable_offset: Offset, end_offset: Offset) -> None:
        """What the partition says of itself follows from its batches, and never goes back."""
        assert end_offset == self._end_offset, f"{self.name}: ends at {end_offset}, not {self._end_offset}"
        assert self.high_watermark <= high_watermark <= end_offset, (
            f"{self.name}: high watermark {high_watermark} after {self.high_watermark}, end {end_offset}"
        )
        self._ended = [each for each in self._ended if each[0] >= high_watermark]
        ended = [first for marker, first, _ in self._ended if marker >= self._begun_at]
        most = min([high_watermark, *self.open.values(), *ended])
        least = min([most, *(first for _, first, _ in self._ended)])
        assert least <= last_stable_offset <= most, (
            f"{self.name}: last stable offset {last_stable_offset}, expected {least} to {most}: high watermark "
            f"{high_watermark}, open {self.open}, ended {self._ended}"
        )
        assert last_stable_offset >= self.last_stable_offset, (
            f"{self.name}: last stable offset {last_stable_offset} after {self.last_stable_offset}"
        )
        self.high_watermark, self.last_stable_offset = high_watermark, last_stable_offset

    def is_free_of(self, producer_id: int) -> bool:
        """Whether no transaction of the producer is open here, nor ended in this term and not for good."""
        new = [each for each in self._ended if each[0] >= self._begun_at]
        return producer_id not in self.open and all(each[2] != producer_id for each in new)
