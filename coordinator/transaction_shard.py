"""The transaction coordinator for one partition of `__transaction_state`: routes each event to what decides it.

A call goes by the type of its request, a timer by the first part of its key. The modules are functions over a
`TransactionShardState`; this one holds the tables and nothing else.

In Kafka a transition that is not committed yet is pending: all others are told CONCURRENT_TRANSACTIONS and come again.
Here it is replayed at once, and what is decided on it is answered when it is committed, in the order of the decisions.
So CONCURRENT_TRANSACTIONS is told where waiting may take longer: while markers are under way, and to a producer that
takes an id over from an open transaction. Should the role be lost meanwhile, everybody is told NOT_COORDINATOR, and the
log decides.
Source: Kafka TransactionCoordinator.scala, TransactionStateManager.scala.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from coordinator.shard import (
    AppendRefused,
    Call,
    Effects,
    MarkersAnswered,
    TimerFired,
    TimerKey,
    TopicsChanged,
)
from coordinator.transactions import expiry, markers, timeouts
from coordinator.transactions.add_partitions import add_partitions
from coordinator.transactions.describe import describe
from coordinator.transactions.end_txn import end_txn
from coordinator.transactions.init_producer_id import init_producer_id
from coordinator.transactions.list import list_transactions
from coordinator.transactions.records import replay
from coordinator.transactions.shard_state import TransactionShardState
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from protocol.messages.describe_transactions import DescribeTransactionsRequest
from protocol.messages.end_txn import EndTxnRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.list_transactions import ListTransactionsRequest
from protocol.messages.records_transaction import TransactionLogKey, TransactionLogValue

if TYPE_CHECKING:
    from coordinator.ports import ProducerIdSource, TopicCatalog, TransactionFeature
    from coordinator.shard import CoordinatorRecord, Event, TransactionalProducer, Waiter
    from coordinator.transaction_config import TransactionConfig
    from protocol.messages.message import Message
    from protocol.types import Offset, TimestampMs

_CALLS: dict[type[Message], Callable[[TransactionShardState, Call, TimestampMs, Effects], None]] = {
    InitProducerIdRequest: init_producer_id,
    AddPartitionsToTxnRequest: add_partitions,
    EndTxnRequest: end_txn,
    DescribeTransactionsRequest: describe,
    ListTransactionsRequest: list_transactions,
}

_TIMERS: dict[object, Callable[[TransactionShardState, TimerKey, TimestampMs, Effects], None]] = {
    markers.MARKERS_TIMER: markers.go_on,
    timeouts.TIMEOUTS_TIMER: timeouts.abort_timed_out,
    timeouts.TIMEOUT_TIMER: timeouts.abort_one,
    expiry.EXPIRY_TIMER: expiry.expire,
}
"""By kind, which is the first part of the key."""

_REFUSED: dict[object, Callable[[TransactionShardState, AppendRefused, TimestampMs, Effects], None]] = {
    MarkersAnswered: markers.not_completed,
    markers.MARKERS_TIMER: markers.not_completed,
    timeouts.TIMEOUTS_TIMER: timeouts.not_aborted,
    timeouts.TIMEOUT_TIMER: timeouts.not_aborted,
    expiry.EXPIRY_TIMER: expiry.not_expired,
}
"""By type of the event or kind of the timer whose records could not be appended. A call that came to nothing changed
nothing: its client was told, and comes again."""

_LOADED: tuple[Callable[[TransactionShardState, TimestampMs, Effects], None], ...] = (
    markers.resume,
    timeouts.begin,
    expiry.begin,
)


class TransactionShard:
    """A `coordinator.shard.Shard` of transactional ids."""

    __slots__ = ("state",)

    def __init__(
        self,
        config: TransactionConfig,
        catalog: TopicCatalog,
        producer_ids: ProducerIdSource,
        feature: TransactionFeature,
        coordinator_epoch: int,
    ) -> None:
        """`coordinator_epoch` is the leader epoch of the partition in the term that the shard is built for."""
        self.state = TransactionShardState(config, catalog, producer_ids, feature, coordinator_epoch)

    def configure(self, config: TransactionConfig) -> None:
        """Follow these settings from now on."""
        self.state.config = config

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        state = self.state
        match event:
            case Call(request=request):
                _CALLS[type(request)](state, event, now_ms, effects)
            case TimerFired(key=key):
                _TIMERS[key[0]](state, key, now_ms, effects)
            case MarkersAnswered():
                markers.answered(state, event, now_ms, effects)
            case TopicsChanged():
                pass  # what is deleted is found so when its marker cannot be written
            case AppendRefused(event=refused):
                origin = refused.key[0] if isinstance(refused, TimerFired) else type(refused)
                undo = _REFUSED.get(origin)
                if undo is not None:
                    undo(state, event, now_ms, effects)
            case _:
                assert_never(event)

    def replay(
        self, record: CoordinatorRecord, offset: Offset, producer: TransactionalProducer | None
    ) -> None:
        key, value = record
        assert isinstance(key, TransactionLogKey), key
        assert value is None or isinstance(value, TransactionLogValue), value
        replay(self.state, key, value)

    def replay_marker(self, producer: TransactionalProducer, *, commit: bool) -> None:
        """Nothing: no transaction's records are in this log. But an administrator may have any partition told that one
        ended (WriteTxnMarkers), and this must not keep the ids from being served ever after.
        """

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        for begin in _LOADED:
            begin(self.state, now_ms, effects)

    def on_resigned(self) -> list[Waiter]:
        return []
