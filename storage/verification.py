"""Transactions that a partition was asked to take part in and has nothing of yet (KIP-890).

A producer's first batch in a transaction waits while its coordinator is asked whether the partition is part of the
transaction. Meanwhile the transaction may end: a marker passes, and the batch that comes behind it would begin one
that nobody ever ends. So a request starts a `Verification` before it asks, and the batch is written only while that is
still the one in force and was confirmed:

    started ──► confirmed ──► dropped by the first batch, by a marker, or by age

Who waits longer than others that asked with him still has it when the transaction has begun, or has ended and the next
one has begun. It then stands for the one transaction that its first batch began, if any.

It is of one producer and shared by all requests that ask at the same time. Kept in memory alone: who waits for an
answer does not outlive the process.
Source: KIP-890; apache/kafka storage/…/log/{VerificationStateEntry,VerificationGuard,UnifiedLog}.java.
"""

from __future__ import annotations

from protocol.types import Offset, ProducerEpoch, ProducerId, TimestampMs

_NONE = -1


class Verification:
    """One producer's question to its coordinator, from when it was asked first."""

    __slots__ = ("began_at", "bumps_epoch", "confirmed_epoch", "epoch", "lowest_sequence", "started_ms")

    def __init__(
        self, epoch: ProducerEpoch, sequence: int, *, bumps_epoch: bool, started_ms: TimestampMs
    ) -> None:
        self.epoch = epoch
        self.lowest_sequence = sequence
        """The smallest first sequence of this epoch that asked. A larger one must not be written first: the smaller
        one, tried again, would be out of order for ever."""
        self.bumps_epoch = bumps_epoch
        """Transaction version 2: every transaction has an epoch of its own, and sequences begin at 0 in it."""
        self.confirmed_epoch: ProducerEpoch = _NONE
        """The epoch whose transaction the coordinator said this partition is part of; -1 before."""
        self.started_ms = started_ms
        self.began_at: Offset = _NONE
        """First offset of the transaction whose first batch dropped it; -1 when none did."""


class Verifications:
    """Those of one partition."""

    __slots__ = ("_by_producer",)

    def __init__(self) -> None:
        self._by_producer: dict[ProducerId, Verification] = {}

    def __len__(self) -> int:
        return len(self._by_producer)

    def get(self, producer_id: ProducerId) -> Verification | None:
        """Return the one in force."""
        return self._by_producer.get(producer_id)

    def start(
        self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        sequence: int,
        *,
        bumps_epoch: bool,
        now_ms: TimestampMs,
    ) -> Verification:
        """Return the one in force, begun now if there is none, for a batch that begins with `sequence`."""
        verification = self._by_producer.get(producer_id)
        if verification is None:
            verification = Verification(epoch, sequence, bumps_epoch=bumps_epoch, started_ms=now_ms)
            self._by_producer[producer_id] = verification
        elif epoch > verification.epoch:
            verification.epoch = epoch
            verification.lowest_sequence = sequence
            verification.bumps_epoch = bumps_epoch
        elif epoch == verification.epoch:
            verification.lowest_sequence = min(verification.lowest_sequence, sequence)
            verification.bumps_epoch &= bumps_epoch  # else a marker might leave alone what it ends
        return verification

    def confirm(self, producer_id: ProducerId, epoch: ProducerEpoch, verification: Verification) -> bool:
        """Take the coordinator's word for the transaction of `epoch`; False when a marker has come between."""
        if self._by_producer.get(producer_id) is not verification:
            return False
        verification.confirmed_epoch = epoch
        return True

    def note_batch(self, producer_id: ProducerId, txn_first_offset: Offset) -> None:
        """A batch of the transaction that began there was written: from now on that itself vouches for the next."""
        verification = self._by_producer.pop(producer_id, None)
        if verification is not None:
            verification.began_at = txn_first_offset

    def note_marker(self, producer_id: ProducerId, epoch: ProducerEpoch) -> None:
        """A marker was written: whoever waits for the coordinator's word asks anew.

        But a marker of version 2 carries the epoch of the *next* transaction, which may have asked already.
        """
        verification = self._by_producer.get(producer_id)
        if verification is not None and not (verification.bumps_epoch and verification.epoch == epoch):
            del self._by_producer[producer_id]

    def remove_started_before(self, horizon_ms: TimestampMs) -> None:
        """Forget those that led to nothing, begun at `horizon_ms` or earlier."""
        expired = [id_ for id_, each in self._by_producer.items() if each.started_ms <= horizon_ms]
        for producer_id in expired:
            del self._by_producer[producer_id]
