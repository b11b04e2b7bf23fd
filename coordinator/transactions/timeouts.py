"""Aborts transactions that have been open for longer than their producer asked for.

All open ones are looked at every `transaction.abort.timed.out.transaction.cleanup.interval.ms`, so a transaction is
aborted that much later at most. Its producer is fenced by it. Records are written in slices.
Source: KIP-98; Kafka TransactionCoordinator.scala (abortTimedOutTransactions), TransactionStateManager.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.transactions.ending import abort_and_fence
from coordinator.transactions.transaction import NO_TIMEOUT_MS

if TYPE_CHECKING:
    from coordinator.shard import AppendRefused, Effects, TimerKey
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Transaction
    from protocol.types import TimestampMs

TIMEOUTS_TIMER: Final = "transaction timeouts"
"""Kind of the timer of the next look: (kind,)."""

_KEY: Final[TimerKey] = (TIMEOUTS_TIMER,)

#: Transactions and their partitions in one batch of records: at most some 300 KB.
_SLICE: Final = 1_000
#: Between two slices, and before those that could not be written are tried again.
_PAUSE_MS: Final = 50
_RETRY_MS: Final = 500


def begin(state: TransactionShardState, now_ms: TimestampMs, effects: Effects) -> None:
    """Set the timer of the next look."""
    effects.set_timer(_KEY, now_ms + state.config.abort_timed_out_interval_ms)


def abort_timed_out(
    state: TransactionShardState, _key: TimerKey, now_ms: TimestampMs, effects: Effects
) -> None:
    """Abort as many as one batch may hold of those whose time is over."""
    left = _SLICE
    for transactional_id in state.ongoing:
        transaction = state.transactions[transactional_id]
        if not _is_over(transaction, now_ms):
            continue
        if left <= 0:
            effects.set_timer(_KEY, now_ms + _PAUSE_MS)
            return
        # Without a producer id at hand it is found again next time.
        if not abort_and_fence(state, transactional_id, now_ms, effects):
            left -= 1 + len(transaction.partitions)
    begin(state, now_ms, effects)


def not_aborted(
    _state: TransactionShardState, _refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """The aborts could not be written: look again soon."""
    effects.set_timer(_KEY, now_ms + _RETRY_MS)


def _is_over(transaction: Transaction, now_ms: TimestampMs) -> bool:
    timeout_ms = transaction.timeout_ms
    return timeout_ms != NO_TIMEOUT_MS and transaction.started_ms + timeout_ms < now_ms
