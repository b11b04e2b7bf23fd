"""The transaction coordinator: the broker's shard, behind what handlers do for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from coordinator.internal_records import TRANSACTION_RECORDS
from coordinator.shard import (
    CoordinatorRecord,
    Effects,
    EndTxnMarkers,
    Event,
    Shard,
    TransactionalProducer,
    Waiter,
)
from coordinator.transaction_config import TransactionConfig
from coordinator.transaction_shard import TransactionShard
from coordinator.transactions.states import TransactionState
from protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from protocol.messages.describe_transactions import DescribeTransactionsResponse
from protocol.messages.end_txn import EndTxnRequest
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from protocol.messages.message import Message
from protocol.messages.records_transaction import TransactionLogKey, TransactionLogValue
from protocol.types import Offset, ProducerId, TimestampMs
from tests.simulation.common.network import Exchange
from tests.simulation.transactions.coordinator_server import CoordinatorServer, Writer
from tests.simulation.transactions.replica import Replica

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation

OFFSETS_TOPIC = "__consumer_offsets"
_VERSION_OF_PARTITIONS = 3
_FIRST_VERSION_WITH_EPOCHS = 5


class ProducerIds:
    """A `ProducerIdSource` that is out of stock at times."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._next = 1000

    def next_now(self) -> ProducerId | None:
        if self._sim.faulty and self._sim.choose.random() < 0.1:
            return None
        return self.next()

    def next(self) -> ProducerId:
        self._next += 1
        return self._next


class Feature:
    """A `TransactionFeature`; clients read it, too."""

    def __init__(self, level: int) -> None:
        self.level = level


class Catalog:
    """A `TopicCatalog` of topics that stay."""

    version = 0

    def __init__(self, partitions: dict[str, int]) -> None:
        self._partitions = partitions

    def topic_names(self) -> Collection[str]:
        return self._partitions.keys()

    def topic_id(self, name: str) -> bytes | None:
        return name.encode().ljust(16, b"\0") if name in self._partitions else None

    def topic_name(self, topic_id: bytes) -> str | None:
        name = topic_id.rstrip(b"\0").decode()
        return name if name in self._partitions else None

    def partition_count(self, name: str) -> int:
        return self._partitions.get(name, 0)

    def partition_racks(self, name: str, partition: int) -> Collection[str]:
        return ()


class _Watched(TransactionShard):
    """Lets the checker see what is written, and why."""

    __slots__ = ("event", "server", "serves")

    server: TransactionServer
    event: Event | None
    serves: bool

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        self.event = event
        super().decide(event, now_ms, effects)
        self.server.note_answers(effects)
        for _, response in effects.answers:
            if isinstance(response, DescribeTransactionsResponse):
                self.server.sim.checker.described(response)

    def replay(
        self, record: CoordinatorRecord, offset: Offset, producer: TransactionalProducer | None
    ) -> None:
        super().replay(record, offset, producer)
        if self.serves:
            self.server.sim.checker.wrote(record, offset, self.event)

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        self.serves = True
        super().on_loaded(now_ms, effects)
        self.server.note_answers(effects)


class TransactionServer(CoordinatorServer):
    def __init__(self, sim: Simulation, replica: Replica, config: TransactionConfig) -> None:
        super().__init__(sim, replica, TRANSACTION_RECORDS)
        self.config = config
        self.producer_ids = ProducerIds(sim)

    def age(self, transactional_ids: Iterable[str], epoch: int) -> None:
        """Have these ids been used for so long that their epochs soon end."""
        for producer_id, transactional_id in enumerate(transactional_ids, start=100):
            key = TransactionLogKey(transactional_id=transactional_id)
            value = TransactionLogValue(
                producer_id=producer_id,
                producer_epoch=epoch,
                transaction_timeout_ms=60_000,
                transaction_status=TransactionState.COMPLETE_COMMIT,
                transaction_partitions=[],
            )
            offset = Writer(self).append([CoordinatorRecord(key, value)], None, self.sim.clock.now_ms)
            self.sim.checker.found(transactional_id, value, offset)

    def new_shard(self) -> Shard:
        sim = self.sim
        shard = _Watched(self.config, sim.catalog, self.producer_ids, sim.feature, self.replica.leader_epoch)
        shard.server, shard.event, shard.serves = self, None, False
        return shard

    def hard_state(self, shard: Shard) -> Any:
        assert isinstance(shard, TransactionShard)
        return dict(sorted(shard.state.transactions.items()))

    def receive(self, exchange: Exchange) -> None:
        request = exchange.request
        if exchange.zombie:
            self.sim.checker.count(f"late {type(request).__name__}")
        if _is_too_late(exchange):
            self.sim.checker.count(f"late {type(request).__name__} that nothing protects from")
            return
        match request:
            case InitProducerIdRequest(transactional_id=None):
                producer_id = self.producer_ids.next()
                exchange.take(InitProducerIdResponse(producer_id=producer_id, producer_epoch=0))
            case AddOffsetsToTxnRequest():
                added = AddPartitionsToTxnRequest(
                    v3_and_below_transactional_id=request.transactional_id,
                    v3_and_below_producer_id=request.producer_id,
                    v3_and_below_producer_epoch=request.producer_epoch,
                    v3_and_below_topics=[
                        AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=OFFSETS_TOPIC, partitions=[0])
                    ],
                )
                self.call(exchange, added, _VERSION_OF_PARTITIONS)
            case _:
                self.call(exchange, request)

    def answer(self, waiter: Waiter, response: Message) -> None:
        assert isinstance(waiter, Exchange)
        if isinstance(waiter.request, AddOffsetsToTxnRequest):
            assert isinstance(response, AddPartitionsToTxnResponse)
            row = response.results_by_topic_v3_and_below[0].results_by_partition[0]
            response = AddOffsetsToTxnResponse(error_code=row.partition_error_code)
        super().answer(waiter, response)
        self.sim.checker.coordinator_answered(waiter, response)

    def send(self, markers: EndTxnMarkers) -> None:
        assert self.runtime is not None
        self.sim.markers.send(markers, self.runtime)


def _is_too_late(exchange: Exchange) -> bool:
    """Whether it must not come now: below version 5, an EndTxn that its producer gave up ends the next transaction."""
    is_end = isinstance(exchange.request, EndTxnRequest) and exchange.version < _FIRST_VERSION_WITH_EPOCHS
    return is_end and exchange.zombie and exchange.about.superseded
