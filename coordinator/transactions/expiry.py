"""Forgets transactional ids that nobody used for `transactional.id.expiration.ms`.

An id with a transaction under way, or one whose markers are, does not expire. A sweep over all ids begins every
`transaction.remove.expired.transaction.cleanup.interval.ms` and goes on in slices.
Source: KIP-98, KIP-360; Kafka TransactionStateManager.scala (removeExpiredTransactionalIds).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from coordinator.transactions.records import propose_removal
from coordinator.transactions.states import AT_REST

if TYPE_CHECKING:
    from coordinator.shard import AppendRefused, Effects, TimerKey
    from coordinator.transactions.shard_state import TransactionShardState
    from protocol.types import TimestampMs

EXPIRY_TIMER: Final = "transactional id expiry"
"""Kind of the timer of the next slice, or sweep: (kind,)."""

_KEY: Final[TimerKey] = (EXPIRY_TIMER,)

#: Ids looked at in one go: a millisecond, and at most some 300 KB of tombstones.
_SLICE: Final = 1_000
#: Between two slices.
_PAUSE_MS: Final = 50


def begin(state: TransactionShardState, now_ms: TimestampMs, effects: Effects) -> None:
    """Set the timer of the next sweep."""
    effects.set_timer(_KEY, now_ms + state.config.remove_expired_interval_ms)


def expire(state: TransactionShardState, _key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """Look at the next slice: propose tombstones of what has expired."""
    if state.sweep is None:
        state.sweep = iter(tuple(state.transactions))
    slice_ = tuple(islice(state.sweep, _SLICE))
    unused_since_ms = now_ms - state.config.id_expiration_ms
    for transactional_id in slice_:
        transaction = state.transactions.get(transactional_id)
        if transaction is None or transaction.state not in AT_REST:
            continue
        if transaction.updated_ms <= unused_since_ms:
            propose_removal(transactional_id, effects)
    if len(slice_) < _SLICE:
        state.sweep = None
        begin(state, now_ms, effects)
    else:
        effects.set_timer(_KEY, now_ms + _PAUSE_MS)


def not_expired(
    state: TransactionShardState, _refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """The tombstones could not be written; what was in them is found again by the next sweep."""
    state.sweep = None
    begin(state, now_ms, effects)
