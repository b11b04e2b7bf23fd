"""The group coordinator: the broker's shard, and the inquiry before offsets are committed in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.group_config import GroupConfig
from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS
from coordinator.runtime import APPEND_REFUSALS
from coordinator.shard import (
    Effects,
    EndTxnMarkers,
    Event,
    Shard,
    TransactionalProducer,
    TransactionMarker,
)
from logd.coordination.transaction_verification import TransactionSupport
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from protocol.types import TimestampMs
from tests.simulation.common.network import Exchange
from tests.simulation.groups.hard_state import hard_state
from tests.simulation.transactions.coordinator_server import CoordinatorServer
from tests.simulation.transactions.inquiry import Inquiry
from tests.simulation.transactions.replica import Replica, Written
from tests.support.groups import Counted, OwnConfigs

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation

_NO_SEQUENCE = -1
_FIRST_VERSION_WITH_EPOCHS = 5


class _Watched(GroupShard):
    """Lets the checker see every decision, before it is performed."""

    __slots__ = ("server",)

    server: GroupServer

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        super().decide(event, now_ms, effects)
        self.server.note_answers(effects)
        self.server.sim.checker.group_decided(event, effects)


class GroupServer(CoordinatorServer):
    """No heartbeat arrives later than its member's next ones: it may be given partitions in the answer, which nobody
    gets, and be told of them only when its assignment changes again (as with Kafka; docs/gaps.md).
    """

    def __init__(self, sim: Simulation, replica: Replica) -> None:
        super().__init__(sim, replica, GROUP_RECORDS)
        self._entropy = Counted()

    def new_shard(self) -> Shard:
        config = GroupConfig(consumer_session_timeout_ms=8_000, consumer_heartbeat_interval_ms=2_000)
        shard = _Watched(config, self.sim.catalog, self._entropy, OwnConfigs())
        shard.server = self
        return shard

    def hard_state(self, shard: Shard) -> object:
        assert isinstance(shard, GroupShard)
        return hard_state(shard.state)

    def receive(self, exchange: Exchange) -> None:
        request = exchange.request
        if isinstance(request, ConsumerGroupHeartbeatRequest) and exchange.zombie:
            self.sim.checker.count("late heartbeat that nothing protects from")
            return
        if not isinstance(request, TxnOffsetCommitRequest):
            super().receive(exchange)
            return
        if _is_too_late(exchange):
            self.sim.checker.count("late TxnOffsetCommitRequest that nothing protects from")
            return
        if self.runtime is None:
            super().receive(exchange)
            return
        inquiry = Inquiry(
            self.sim,
            self.replica,
            transactional_id=request.transactional_id,
            producer_id=request.producer_id,
            producer_epoch=request.producer_epoch,
            base_sequence=_NO_SEQUENCE,
            support=TransactionSupport.of_offset_commit(exchange.version),
            about=exchange.about,
        )
        try:
            asks = inquiry.start()
        except BrokerError as refusal:
            exchange.take(_refused(request, refusal.code))
            return
        if asks:
            inquiry.ask(self._inquired, exchange, request, inquiry)
        else:
            super().receive(exchange)

    def _inquired(self, exchange: Exchange, request: TxnOffsetCommitRequest, inquiry: Inquiry) -> None:
        try:
            inquiry.admit()
        except BrokerError as refusal:
            exchange.take(_refused(request, refusal.code))
        else:
            super().receive(exchange)

    def write_marker(self, markers: EndTxnMarkers, written: Written) -> None:
        """Write the end of a transaction; `written` is told once what became of it."""
        if self.runtime is None:
            written(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            return
        marker = TransactionMarker(
            TransactionalProducer(markers.producer_id, markers.producer_epoch),
            markers.committed,
            markers.coordinator_epoch,
            markers.transaction_version,
        )
        self.runtime.write_marker(marker, written, self.sim.clock.now_ms)


def _is_too_late(exchange: Exchange) -> bool:
    """Whether it must not come now: below version 5, what its producer gave up may join the next transaction."""
    return exchange.version < _FIRST_VERSION_WITH_EPOCHS and exchange.zombie and exchange.about.superseded


def _refused(request: TxnOffsetCommitRequest, code: ErrorCode) -> TxnOffsetCommitResponse:
    """As the handler answers: the code on every partition."""
    code = APPEND_REFUSALS.get(code, code)
    return TxnOffsetCommitResponse(
        topics=[
            TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=code
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
