"""Telling partitions how a transaction ended, until all know.

    PREPARE_* committed ──► sent ──► answered ─┬─ by all ───────────► COMPLETE_*
                             ▲                 └─ not by all ─► pause ─┐
                             └─────────────────────────────────────────┘

A partition is done with when it has the marker, when it has no use for one, or when it does not exist any more. It is
asked again after anything that may pass, and after anything that is not known to be final: a decision is never lost.
- INVALID_PRODUCER_EPOCH: a later producer was there, and the marker can never be written. Kafka then leaves the
  transaction undecided for everybody until the coordinator moves; here that partition is done with, and the others get
  theirs.
- TRANSACTION_COORDINATOR_FENCED: a later coordinator was there. Nothing more is sent or written; that one completes it.

What partitions have said (`marker_round`) is soft: after a move all are asked again, and a marker that comes twice
changes nothing.
Source: KIP-98; Kafka TransactionMarkerChannelManager.scala, TransactionMarkerRequestCompletionHandler.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.shard import EndTxnMarkers, MarkersAnswered, TimerFired
from coordinator.transactions import transitions
from coordinator.transactions.marker_round import MarkerRound
from coordinator.transactions.records import propose
from coordinator.transactions.states import TransactionState
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coordinator.shard import AppendRefused, Effects, TimerKey
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Transaction
    from protocol.types import TimestampMs, TopicPartition

MARKERS_TIMER: Final = "transaction markers"
"""Kind of the timer of what is sent or written again: (kind, transactional id)."""

_DONE: Final = frozenset(
    {
        ErrorCode.NONE,
        ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ErrorCode.UNSUPPORTED_VERSION,
        ErrorCode.INVALID_PRODUCER_EPOCH,
    }
)


def send(
    state: TransactionShardState,
    transactional_id: str,
    transaction: Transaction,
    partitions: Iterable[TopicPartition],
    effects: Effects,
) -> None:
    """Have partitions told, once all that was written so far is committed."""
    effects.send(
        EndTxnMarkers(
            transactional_id,
            transaction.producer_id,
            transaction.producer_epoch,
            transaction.state is TransactionState.PREPARE_COMMIT,
            state.coordinator_epoch,
            transaction.client_version,
            tuple(partitions),
        )
    )


def answered(
    state: TransactionShardState, event: MarkersAnswered, now_ms: TimestampMs, effects: Effects
) -> None:
    """Take note of what partitions said; complete the transaction, or ask those that are left again in a while."""
    transactional_id = event.markers.transactional_id
    if not _concerns(state, event.markers):
        return
    round_ = _round(state, transactional_id)
    for partition, code in event.codes:
        if code is ErrorCode.TRANSACTION_COORDINATOR_FENCED:
            round_.fenced = True
        elif code in _DONE or _is_gone(state, partition):
            round_.left.pop(partition, None)
    if round_.fenced:
        return
    if round_.left:
        _pause(state, transactional_id, now_ms, effects)
    else:
        _complete(state, transactional_id, now_ms, effects)


def go_on(state: TransactionShardState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """The pause is over: ask those that are left again, or write that there are none."""
    transactional_id = str(key[1])
    if transactional_id not in state.decided:
        return
    left = _round(state, transactional_id).left
    if left:
        send(state, transactional_id, state.transactions[transactional_id], left, effects)
    else:
        _complete(state, transactional_id, now_ms, effects)


def not_completed(
    state: TransactionShardState, refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """All partitions are told, and that could not be written: try again in a while."""
    match refused.event:
        case MarkersAnswered(markers=markers):
            _pause(state, markers.transactional_id, now_ms, effects)
        case TimerFired(key=key):
            _pause(state, str(key[1]), now_ms, effects)


def resume(state: TransactionShardState, now_ms: TimestampMs, effects: Effects) -> None:
    """Send what the coordinator before, or this one before a restart, did not see through."""
    for transactional_id in state.decided:
        transaction = state.transactions[transactional_id]
        if transaction.partitions:
            send(state, transactional_id, transaction, transaction.partitions, effects)
        else:
            effects.set_timer((MARKERS_TIMER, transactional_id), now_ms)


def left_of(state: TransactionShardState, transactional_id: str) -> Iterable[TopicPartition]:
    """Return the partitions that take part and, once it is decided, have yet to be told."""
    round_ = state.rounds.get(transactional_id)
    return state.transactions[transactional_id].partitions if round_ is None else round_.left


def _concerns(state: TransactionShardState, markers: EndTxnMarkers) -> bool:
    """Whether what was sent is still under way."""
    if markers.transactional_id not in state.decided or markers.coordinator_epoch != state.coordinator_epoch:
        return False
    transaction = state.transactions[markers.transactional_id]
    return transaction.identity == (markers.producer_id, markers.producer_epoch)


def _round(state: TransactionShardState, transactional_id: str) -> MarkerRound:
    round_ = state.rounds.get(transactional_id)
    if round_ is None:
        round_ = state.rounds[transactional_id] = MarkerRound(state.transactions[transactional_id].partitions)
    return round_


def _is_gone(state: TransactionShardState, partition: TopicPartition) -> bool:
    """Whether there is no such partition any more: nobody reads what is not there."""
    return state.catalog.partition_count(partition.topic) <= partition.partition


def _pause(
    state: TransactionShardState, transactional_id: str, now_ms: TimestampMs, effects: Effects
) -> None:
    pause_ms = _round(state, transactional_id).next_pause_ms()
    effects.set_timer((MARKERS_TIMER, transactional_id), now_ms + pause_ms)


def _complete(
    state: TransactionShardState, transactional_id: str, now_ms: TimestampMs, effects: Effects
) -> None:
    completed = transitions.complete(state.transactions[transactional_id], now_ms)
    propose(state, transactional_id, completed, effects)
