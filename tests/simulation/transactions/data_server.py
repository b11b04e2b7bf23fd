"""Leader of a partition with clients' records: takes what producers write, and serves readers.

The first batch of a transaction waits until the transaction coordinator was asked, and what comes behind it on the same
connection waits, too, as in the broker. The rules of that are the broker's own: `Inquiry`.

Below transaction version 2 a batch may come so late that its producer has given it up, and is in its next transaction,
in the same epoch: Java's goes on in it when the batch's time is up while the transaction ends, and it was sent only
once. No broker can tell such a batch from one of the next transaction (KIP-890 is what mends it), so it is refused.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from coordinator.shard import EndTxnMarkers
from logd.coordination.transaction_verification import TransactionSupport
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from storage.log import AppendOrigin
from tests.simulation.common.network import Connection, Exchange
from tests.simulation.transactions.inquiry import Inquiry
from tests.simulation.transactions.replica import Replica, Written

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation


class Produce(Message):
    """A request with one batch: what the broker's handler takes from a ProduceRequest."""

    __slots__ = ("base_sequence", "batch", "producer_epoch", "producer_id", "transactional_id")
    VERSIONS: ClassVar[tuple[int, int]] = (3, 13)

    def __init__(
        self,
        batch: bytearray,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        transactional_id: str | None,
    ) -> None:
        self.batch = batch
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self.transactional_id = transactional_id

    def __repr__(self) -> str:
        who = f"{self.producer_id}/{self.producer_epoch}"
        return f"Produce({self.transactional_id} as {who}, sequence {self.base_sequence})"


class DataServer:
    def __init__(self, sim: Simulation, replica: Replica) -> None:
        self.sim = sim
        self.replica = replica
        self._held: dict[Connection, deque[Exchange]] = {}
        """What waits behind an inquiry, by connection."""

    def __repr__(self) -> str:
        return str(self.replica)

    def stop(self, *, moved: bool) -> None:
        if self.replica.leads:
            self.replica.stop(moved=moved)

    def come_back(self) -> None:
        if not self.replica.leads:
            self.replica.come_back()

    # -- producing -------------------------------------------------------------------------------------------

    def receive(self, exchange: Exchange) -> None:
        held = self._held.get(exchange.connection)
        if held is not None:
            held.append(exchange)
        else:
            self._work_off(exchange)

    def _work_off(self, exchange: Exchange) -> None:
        request = exchange.request
        assert isinstance(request, Produce)
        if request.transactional_id is None:
            self._append(exchange, request)
            return
        inquiry = Inquiry(
            self.sim,
            self.replica,
            transactional_id=request.transactional_id,
            producer_id=request.producer_id,
            producer_epoch=request.producer_epoch,
            base_sequence=request.base_sequence,
            support=TransactionSupport.of_produce(exchange.version),
            about=exchange.about,
        )
        try:
            asks = inquiry.start()
        except BrokerError as refusal:
            exchange.take(refusal.code)
            return
        if not asks:
            self._append(exchange, request)
            return
        self._held[exchange.connection] = deque()
        inquiry.ask(self._inquired, exchange, request, inquiry)

    def _inquired(self, exchange: Exchange, request: Produce, inquiry: Inquiry) -> None:
        try:
            inquiry.admit()
        except BrokerError as refusal:
            exchange.take(refusal.code)
        else:
            self._append(exchange, request)
        held = self._held.pop(exchange.connection)
        while held:
            self.receive(held.popleft())

    def _append(self, exchange: Exchange, request: Produce) -> None:
        if self.sim.checker.gets_into_the_next(self.replica, request, exchange):
            self.sim.checker.count("late batch that nothing protects from")
            exchange.take(ErrorCode.REQUEST_TIMED_OUT)
            return
        try:
            result = self.replica.append(bytearray(request.batch), AppendOrigin.CLIENT)
        except BrokerError as refusal:
            exchange.take(refusal.code)
            return
        if not result.duplicate:
            self.sim.checker.appended(self.replica, request, exchange)
        self.replica.when_committed(result.last_offset + 1, exchange.take)

    # -- markers ---------------------------------------------------------------------------------------------

    def write_marker(self, markers: EndTxnMarkers, written: Written) -> None:
        """Write the end of a transaction; `written` is told once what became of it."""
        try:
            result = self.replica.append_marker(
                producer_id=markers.producer_id,
                producer_epoch=markers.producer_epoch,
                committed=markers.committed,
                coordinator_epoch=markers.coordinator_epoch,
                transaction_version=markers.transaction_version,
            )
        except BrokerError as refusal:
            written(refusal.code)
        else:
            self.replica.when_committed(result.last_offset + 1, written)
