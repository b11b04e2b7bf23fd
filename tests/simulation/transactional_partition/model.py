"""What a partition with transactions must look like, worked out from a plain list of everything that was written to it.

Nothing here is remembered from step to step but the list itself: which transactions are open, where the last stable
offset is, and which records a reader of committed ones gets, is found by going through it again each time.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.types import Offset, ProducerEpoch, ProducerId

PLAIN = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of a transaction, or of nobody; ends inclusive."""

    producer_id: ProducerId
    epoch: ProducerEpoch
    sequence: int
    first: Offset
    last: Offset

    @property
    def is_transactional(self) -> bool:
        return self.producer_id != PLAIN


@dataclass(frozen=True, slots=True)
class Marker:
    """The end of a transaction."""

    producer_id: ProducerId
    epoch: ProducerEpoch
    first: Offset
    committed: bool

    @property
    def last(self) -> Offset:
        return self.first


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one producer wrote between two of its markers."""

    producer_id: ProducerId
    batches: tuple[Batch, ...]
    marker: Marker | None

    @property
    def first(self) -> Offset:
        return self.batches[0].first


class History:
    """The list."""

    def __init__(self) -> None:
        self.entries: list[Batch | Marker] = []
        self.log_start: Offset = 0

    @property
    def end(self) -> Offset:
        return self.entries[-1].last + 1 if self.entries else self.log_start

    def truncate(self, offset: Offset) -> None:
        self.entries = [entry for entry in self.entries if entry.last < offset]

    def transactions(self) -> list[Transaction]:
        """All that have records, in the order of their first."""
        begun: dict[ProducerId, list[Batch]] = {}
        found: list[Transaction] = []
        for entry in self.entries:
            if isinstance(entry, Marker):
                batches = begun.pop(entry.producer_id, None)
                if batches:
                    found.append(Transaction(entry.producer_id, tuple(batches), entry))
            elif entry.is_transactional:
                begun.setdefault(entry.producer_id, []).append(entry)
        found += [Transaction(producer_id, tuple(batches), None) for producer_id, batches in begun.items()]
        return sorted(found, key=lambda transaction: transaction.first)

    def unstable(self, decided_below: Offset) -> list[Transaction]:
        """Those that are open, or whose marker is not below `decided_below`."""
        return [
            transaction
            for transaction in self.transactions()
            if transaction.marker is None or transaction.marker.first >= decided_below
        ]

    def last_stable_offset(self, high_watermark: Offset, decided_below: Offset) -> Offset:
        first = min((each.first for each in self.unstable(decided_below)), default=high_watermark)
        return min(max(first, self.log_start), high_watermark)

    def last_stable_offset_at_most(self, high_watermark: Offset, decided_below: Offset) -> Offset:
        """The same for who knows of transactions only what is left of them in the log."""
        firsts = [
            batch.first
            for transaction in self.unstable(decided_below)
            for batch in transaction.batches
            if batch.last >= self.log_start
        ]
        return min(max(min(firsts, default=high_watermark), self.log_start), high_watermark)

    def aborted(self, start: Offset, end: Offset) -> list[tuple[ProducerId, Offset]]:
        """Those that overlap [start, end), in the order of their markers."""
        found = [
            (transaction.marker.first, transaction.producer_id, transaction.first)
            for transaction in self.transactions()
            if transaction.marker is not None
            and not transaction.marker.committed
            and transaction.marker.first >= start
            and transaction.first < end
        ]
        return [(producer_id, first) for _, producer_id, first in sorted(found)]

    def committed(self, start: Offset, end: Offset) -> list[Batch]:
        """What a reader of committed records gets of [start, end), batches whole."""
        aborted = {
            batch
            for transaction in self.transactions()
            if transaction.marker is not None and not transaction.marker.committed
            for batch in transaction.batches
        }
        return [
            entry
            for entry in self.entries
            if isinstance(entry, Batch)
            and start < end
            and entry.last >= start
            and entry.first < end
            and entry not in aborted
        ]

    def is_open(self, producer_id: ProducerId, epoch: ProducerEpoch) -> bool:
        """Whether this producer's newest epoch is `epoch`, with a transaction open."""
        open_ones = [each for each in self.transactions() if each.marker is None]
        return self.epoch(producer_id) == epoch and any(each.producer_id == producer_id for each in open_ones)

    def epoch(self, producer_id: ProducerId) -> ProducerEpoch:
        """The newest one; -1 for a producer that never wrote."""
        return max((entry.epoch for entry in self.entries if entry.producer_id == producer_id), default=-1)

    def next_sequence(self, producer_id: ProducerId, epoch: ProducerEpoch) -> int:
        return sum(
            entry.last - entry.first + 1
            for entry in self.entries
            if isinstance(entry, Batch) and entry.producer_id == producer_id and entry.epoch == epoch
        )
