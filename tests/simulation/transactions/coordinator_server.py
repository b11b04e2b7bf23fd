"""A coordinator's shard in its runtime, over a partition that comes and goes: what a host does around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from coordinator.internal_records import RecordTypes, encode_key, encode_value
from coordinator.runtime import ShardRuntime, State
from coordinator.shard import (
    Call,
    Caller,
    CoordinatorRecord,
    Effects,
    EndTxnMarkers,
    Event,
    Shard,
    TransactionalProducer,
    TransactionMarker,
    Waiter,
)
from protocol.control_records import read_end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.record_builder import RecordBatchBuilder
from protocol.records import NO_PRODUCER_EPOCH, NO_PRODUCER_ID, iter_records
from protocol.types import Offset, TimestampMs
from storage.log import AppendOrigin
from tests.simulation.common.alarm import Alarm
from tests.simulation.common.network import Exchange
from tests.simulation.transactions.replica import Replica

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation

_AWAY = (
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
)


_CHECK_REPLAY = 0.3
"""Of the stops: it costs much."""


class Writer:
    """A `PartitionWriter` over a replica, as the broker's is over its partition."""

    def __init__(self, server: CoordinatorServer) -> None:
        self._server = server
        self._replica = server.replica

    @property
    def high_watermark(self) -> Offset:
        return self._replica.high_watermark

    def append(
        self,
        records: Sequence[CoordinatorRecord],
        producer: TransactionalProducer | None,
        now_ms: TimestampMs,
    ) -> Offset:
        builder = RecordBatchBuilder(
            producer_id=NO_PRODUCER_ID if producer is None else producer.producer_id,
            producer_epoch=NO_PRODUCER_EPOCH if producer is None else producer.producer_epoch,
            transactional=producer is not None,
        )
        builder.extend(
            [encode_key(key) for key, _ in records],
            [None if value is None else encode_value(value) for _, value in records],
            timestamp_ms=now_ms,
        )
        try:
            return self._replica.append(builder.build(), AppendOrigin.COORDINATOR).base_offset
        except BrokerError:
            self._server.append_refused()
            raise

    def append_marker(self, marker: TransactionMarker, now_ms: TimestampMs) -> Offset:
        return self._replica.append_marker(
            producer_id=marker.producer.producer_id,
            producer_epoch=marker.producer.producer_epoch,
            committed=marker.committed,
            coordinator_epoch=marker.coordinator_epoch,
            transaction_version=marker.transaction_version,
        ).base_offset


class CoordinatorServer:
    """Serves calls while its replica leads; else it refuses."""

    def __init__(self, sim: Simulation, replica: Replica, types: RecordTypes) -> None:
        self.sim = sim
        self.replica = replica
        self.runtime: ShardRuntime | None = None
        self._types = types
        self._alarm: Alarm
        self._decision = Effects()
        """The last one."""
        replica.on_committed = self._committed

    def __repr__(self) -> str:
        return str(self.replica)

    def new_shard(self) -> Shard:
        raise NotImplementedError

    # -- life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The replica leads: build the shard from the log."""
        shard = self._replayed()
        self.runtime = ShardRuntime(shard, Writer(self), self, self)
        self._alarm = Alarm(self.sim.clock, self.sim.choose, self.runtime)
        self.runtime.loaded(self.sim.clock.now_ms, self.replica.log.log_end_offset)
        self._alarm.arm()

    def stop(self, *, moved: bool) -> None:
        runtime, self.runtime = self.runtime, None
        if runtime is not None:
            if self.sim.choose.random() < _CHECK_REPLAY:
                self.check_replay(runtime)
            runtime.resign()
            self.replica.stop(moved=moved)

    def come_back(self) -> None:
        if self.runtime is None:
            self.replica.come_back()
            self.start()

    def _replayed(self) -> Shard:
        shard = self.new_shard()
        for header, batch in self.replica.batches():
            producer = None
            if header.is_transactional:
                producer = TransactionalProducer(header.producer_id, header.producer_epoch)
            if header.is_control:
                marker = read_end_txn_marker(batch)
                assert producer is not None and marker is not None
                shard.replay_marker(producer, commit=marker.committed)
                continue
            for record in iter_records(batch):
                decoded = self._types.decode(record.key, record.value)
                assert decoded is not None
                shard.replay(decoded, record.offset, producer)
        return shard

    def check_replay(self, runtime: ShardRuntime | None = None) -> None:
        """What serving built is what the log says."""
        runtime = self.runtime if runtime is None else runtime
        if runtime is not None and runtime.state is State.ACTIVE:
            served, replayed = self.hard_state(runtime.shard), self.hard_state(self._replayed())
            assert served == replayed, f"{self}: replay differs:\n  {served}\n  {replayed}"

    def hard_state(self, shard: Shard) -> object:
        """Return what a restart must find again, to be compared."""
        raise NotImplementedError

    # -- events ----------------------------------------------------------------------------------------------

    def receive(self, exchange: Exchange) -> None:
        """A request arrived."""
        self.call(exchange, exchange.request)

    def call(self, exchange: Exchange, request: Message, version: int | None = None) -> None:
        """Put a request to the shard; the exchange is answered."""
        runtime = self.runtime
        if runtime is None:
            exchange.take(self.sim.choose.choice(_AWAY))
            return
        version = exchange.version if version is None else version
        runtime.call(
            Call(request, Caller(version, exchange.client_id, exchange.client_host), exchange),
            self.sim.clock.now_ms,
        )
        self._alarm.arm()

    def handle(self, event: Event) -> None:
        if self.runtime is not None:
            self.runtime.handle(event, self.sim.clock.now_ms)
            self._alarm.arm()

    def answer(self, waiter: Waiter, response: Message) -> None:
        assert isinstance(waiter, Exchange)
        self._answered(waiter, response)

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None:
        assert isinstance(waiter, Exchange)
        self._answered(waiter, code)

    def _answered(self, exchange: Exchange, outcome: Message | ErrorCode) -> None:
        over = self.runtime is None or self.runtime.state is State.OVER
        if not over:
            assert exchange.needed <= self.replica.high_watermark, (
                f"answered before it was committed: needs {exchange.needed}, committed "
                f"{self.replica.high_watermark}: {outcome}"
            )
        assert not exchange.unwritten or isinstance(outcome, ErrorCode), (
            f"answered although it could not be written: {outcome}"
        )
        exchange.take(outcome)

    def send(self, markers: EndTxnMarkers) -> None:
        raise AssertionError(f"{self} sends no markers")

    def note_answers(self, effects: Effects) -> None:
        """Before a decision is performed: its answers may leave when all of it is committed."""
        self._decision = effects
        self._need(self.replica.log.log_end_offset + len(effects.records), unwritten=False)

    def append_refused(self) -> None:
        """Nothing of the last decision happens; who waits for it is refused."""
        self._need(self.replica.log.log_end_offset, unwritten=True)

    def _need(self, offset: Offset, *, unwritten: bool) -> None:
        for waiter, _ in (*self._decision.answers, *self._decision.refusals):
            assert isinstance(waiter, Exchange)
            waiter.needed, waiter.unwritten = offset, unwritten

    def _committed(self) -> None:
        if self.runtime is not None:
            self.runtime.high_watermark_moved()
