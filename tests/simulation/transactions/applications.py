"""What producers' processes do: transactions of their own, or plain records."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from protocol.errors import ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest
from tests.simulation.transactions.sender import BACKOFF_MS, Batch, Entry, Identity, Sender
from tests.simulation.transactions.transactional_producer import MustAbort, TransactionalProducer, Wait

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation


class TransactionalWriter(TransactionalProducer):
    """Writes to a few partitions in each transaction, commits most, aborts some."""

    def life(self) -> Generator[Wait, None, None]:
        choose = self.sim.choose
        yield from self.initialise()
        while not self.sim.closing:
            try:
                yield from self._one()
            except MustAbort:
                self.sim.checker.count(f"must abort: {self.error.name if self.error else None}")
                yield from self.abort()
            yield choose.choice((0, 50, 1_000, 4_000, 6_000))

    def _one(self) -> Generator[Wait, None, None]:
        choose = self.sim.choose
        transaction = self.begin()
        partitions = choose.sample(self.sim.writable, choose.randint(1, len(self.sim.writable)))
        for _ in range(choose.randint(1, 5)):
            partition = choose.choice(partitions)
            self.write(partition, [transaction.next_value() for _ in range(choose.randint(1, 3))])
            yield choose.choice((0, 0, 20, 300))
        if choose.random() < 0.05:
            yield choose.randint(0, 2 * self.timeout_ms)  # long enough to be timed out at times
        if choose.random() < 0.8:
            yield from self.commit()
        else:
            yield from self.abort()


class PlainWriter(Sender):
    """An idempotent producer without transactions."""

    def __init__(self, sim: Simulation, name: str) -> None:
        super().__init__(sim, name)
        self.transaction = sim.new_transaction(name, None)
        self._asking = False
        self._must_bump: list[Entry] = []

    def start(self) -> None:
        self.later(0, self._write_forever)

    def _write_forever(self) -> None:
        choose = self.sim.choose
        if self.sim.closing:
            return
        partition = choose.choice(self.sim.writable)
        self.put(
            partition, [self.transaction.next_value() for _ in range(choose.randint(1, 3))], self.transaction
        )
        self.later(choose.choice((0, 50, 2_000, 5_000)), self._write_forever)

    def work(self) -> None:
        if not self.alive:
            return
        self.resolve_sequences()
        self._bump()
        if self.identity is None:
            self._ask_who()
        else:
            self.drain()

    def _ask_who(self) -> None:
        if self._asking:
            return
        self._asking = True

        def told(outcome: Any) -> None:
            self._asking = False
            if outcome is None or isinstance(outcome, ErrorCode) or outcome.error_code:
                self.later(BACKOFF_MS, self.work)
                return
            self.identity = Identity(outcome.producer_id, outcome.producer_epoch)
            self.work()

        request = InitProducerIdRequest(transactional_id=None)
        self.request(self.sim.transactions, request, 5, told, self.transaction)

    def _bump(self) -> None:
        """Go on in a new epoch where sequences are not known any more."""
        if not self._must_bump or self.identity is None:
            return
        self.identity = Identity(self.identity.producer_id, self.identity.epoch + 1)
        for entry in self._must_bump:
            entry.begin_sequences(self.identity)
            entry.unresolved = None
        self._must_bump.clear()

    def in_flight_max(self, entry: Entry) -> int:
        """One until the partition knows it: of a producer that it does not know a partition takes any batch for the
        first, so the second would overtake a first one that was refused, here as with Kafka.
        """
        return super().in_flight_max(entry) if entry.last_acknowledged >= 0 else 1

    def batch_failed(self, batch: Batch, code: ErrorCode) -> None:
        """Its time is up: it was retried for long enough, or waited behind a gap. One whose first request is not
        answered in time leaves a gap that Java's does not see either until batches behind it have been refused. The
        answer may be to what it was before it got a new sequence.
        """
        is_behind_a_gap = batch.base_sequence > self.entry(batch.partition).last_acknowledged + 1
        out_of_order = code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert code.retriable or (out_of_order and (is_behind_a_gap or batch.was_reset)), (
            f"{self}: unexpected {code!r} for a batch"
        )

    def adjust_sequences(self, batch: Batch, entry: Entry) -> None:
        self._must_bump.append(entry)

    def sequences_lost(self, entry: Entry) -> None:
        self._must_bump.append(entry)

    def retries_out_of_order(self, batch: Batch, entry: Entry) -> bool:
        if entry.unresolved is None or entry.unresolved == batch.base_sequence:
            self._must_bump.append(entry)
        return True

    def produce_version(self) -> int:
        return 13
