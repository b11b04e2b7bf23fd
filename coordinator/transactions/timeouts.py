"""Aborts transactions that have been open for longer than their producer asked for.

Each is aborted when its time is over, not at the next of Kafka's looks at all of them, ten seconds apart: a reader of
committed records waits for that moment. All open ones are looked at when the first of them is due, and at the latest
after `transaction.abort.timed.out.transaction.cleanup.interval.ms`; one that asked for less time than that has a timer
of its own. Its producer is fenced by the abort. Records are written in slices.
Source: KIP-98; Kafka TransactionCoordinator.scala (abortTimedOutTransactions), TransactionStateManager.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.transactions.ending import abort_and_fence
from coordinator.transactions.transaction import NO_TIMEOUT_MS

if TYPE_CHECKING:
    from coordinator.shard import AppendRefused, Effects, TimerKey
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Transaction
    from protocol.types import TimestampMs

TIMEOUTS_TIMER: Final = "transaction timeouts"
"""Kind of the timer of the next look at all: (kind,)."""
TIMEOUT_TIMER: Final = "transaction timeout"
"""Kind of the timer of one transaction: (kind, transactional id)."""

_KEY: Final[TimerKey] = (TIMEOUTS_TIMER,)

#: Transactions and their partitions in one batch of records: at most some 300 KB.
_SLICE: Final = 1_000
#: Between two slices.
_PAUSE_MS: Final = 50
#: Before those that could not be aborted are tried again, and before the first look in a new term.
_RETRY_MS: Final = 500


def begin(state: TransactionShardState, now_ms: TimestampMs, effects: Effects) -> None:
    """Set the timer of the first look."""
    _look_again(state, [*state.ongoing], now_ms, effects)


def opened(
    state: TransactionShardState, transactional_id: str, transaction: Transaction, effects: Effects
) -> None:
    """A transaction begins: where its time may be over before the next look, have it looked at by itself."""
    if transaction.timeout_ms < state.config.abort_timed_out_interval_ms:
        effects.set_timer((TIMEOUT_TIMER, transactional_id), _due_ms(transaction))


def abort_timed_out(
    state: TransactionShardState, _key: TimerKey, now_ms: TimestampMs, effects: Effects
) -> None:
    """Abort as many as one batch may hold of those whose time is over."""
    left = _SLICE
    still_open = []
    for transactional_id in state.ongoing:
        transaction = state.transactions[transactional_id]
        if not _is_over(transaction, now_ms):
            still_open.append(transactional_id)
            continue
        if left <= 0:
            effects.set_timer(_KEY, now_ms + _PAUSE_MS)
            return
        if abort_and_fence(state, transactional_id, now_ms, effects):
            still_open.append(transactional_id)  # without a producer id at hand
        else:
            left -= 1 + len(transaction.partitions)
    _look_again(state, still_open, now_ms, effects)


def abort_one(state: TransactionShardState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """Abort the transaction that a timer was set for, if it is still open; if that fails, the next look finds it."""
    transactional_id = cast("str", key[1])
    if transactional_id in state.ongoing and _is_over(state.transactions[transactional_id], now_ms):
        abort_and_fence(state, transactional_id, now_ms, effects)


def not_aborted(
    _state: TransactionShardState, _refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """The aborts could not be written: look again soon."""
    effects.set_timer(_KEY, now_ms + _RETRY_MS)


def _look_again(
    state: TransactionShardState, still_open: list[str], now_ms: TimestampMs, effects: Effects
) -> None:
    """Set the timer of the next look: when the first of these is due, and soon where one is due already."""
    next_ms = now_ms + state.config.abort_timed_out_interval_ms
    for transactional_id in still_open:
        transaction = state.transactions[transactional_id]
        if transaction.timeout_ms != NO_TIMEOUT_MS:
            due_ms = _due_ms(transaction)
            next_ms = min(next_ms, due_ms if due_ms > now_ms else now_ms + _RETRY_MS)
    effects.set_timer(_KEY, next_ms)


def _due_ms(transaction: Transaction) -> TimestampMs:
    """The first moment at which its time is over."""
    return transaction.started_ms + transaction.timeout_ms + 1


def _is_over(transaction: Transaction, now_ms: TimestampMs) -> bool:
    return transaction.timeout_ms != NO_TIMEOUT_MS and _due_ms(transaction) <= now_ms
