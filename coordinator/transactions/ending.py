"""Deciding how a transaction ends, for EndTxn and for the coordinator's own aborts.

    EndTxn, time-out, a new producer ──► PREPARE_* written ──► markers to all partitions ──► COMPLETE_* written

The answer rests on the first record alone. Without partitions there is nobody to wait for: both records are one batch.
Under transaction version 2 the epoch rises with the decision, and the markers carry the new one; where the producer id
has none left, the producer goes on under a new id, in epoch 0, once the transaction is complete.
Source: KIP-98, KIP-890; Kafka TransactionCoordinator.scala (endTransaction).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.transactions import markers, transitions
from coordinator.transactions.records import propose
from coordinator.transactions.transitions import EPOCH_BUMP
from protocol.errors import ErrorCode
from protocol.records import NO_PRODUCER_ID

if TYPE_CHECKING:
    from coordinator.shard import Effects
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Identity, Transaction
    from protocol.types import TimestampMs


def end(
    state: TransactionShardState,
    transactional_id: str,
    now_ms: TimestampMs,
    effects: Effects,
    *,
    commit: bool,
    client_version: int,
) -> Identity | ErrorCode:
    """End the transaction; return as whom its producer goes on.

    COORDINATOR_LOAD_IN_PROGRESS when that takes a producer id and none is at hand: then nothing is ended.
    """
    transaction = state.transactions[transactional_id]
    bump_epoch = client_version >= EPOCH_BUMP
    next_producer_id = NO_PRODUCER_ID
    if bump_epoch and transaction.is_exhausted:
        drawn = state.producer_ids.next_now()
        if drawn is None:
            return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        next_producer_id = drawn
    decided = transitions.decided(
        transaction,
        commit=commit,
        bump_epoch=bump_epoch,
        client_version=client_version,
        next_producer_id=next_producer_id,
        now_ms=now_ms,
    )
    given, current = decided.goes_on_as, transaction.identity
    if given != current:
        state.exchanges.propose(transactional_id, current=current, given=given, given_up=current)
    _write(state, transactional_id, decided, now_ms, effects)
    return given


def abort_and_fence(
    state: TransactionShardState, transactional_id: str, now_ms: TimestampMs, effects: Effects
) -> ErrorCode:
    """Abort an ongoing transaction, so that its producer can do nothing more; return NONE, or as `end` does.

    Under transaction version 2 any end fences, and the producer may find out how it ended, and go on. Before, the epoch
    is bumped for it, and nobody is given that epoch.
    """
    level = state.feature.level
    if level >= EPOCH_BUMP:
        outcome = end(state, transactional_id, now_ms, effects, commit=False, client_version=level)
        return outcome if isinstance(outcome, ErrorCode) else ErrorCode.NONE
    transaction = state.transactions[transactional_id]
    decided = transitions.decided(
        transaction,
        commit=False,
        bump_epoch=True,
        client_version=0,
        next_producer_id=NO_PRODUCER_ID,
        now_ms=now_ms,
    )
    state.exchanges.propose(
        transactional_id, current=transaction.identity, given=decided.identity, given_up=None
    )
    _write(state, transactional_id, decided, now_ms, effects)
    return ErrorCode.NONE


def _write(
    state: TransactionShardState,
    transactional_id: str,
    decided: Transaction,
    now_ms: TimestampMs,
    effects: Effects,
) -> None:
    propose(state, transactional_id, decided, effects)
    if decided.partitions:
        markers.send(state, transactional_id, decided, decided.partitions, effects)
    else:
        propose(state, transactional_id, transitions.complete(decided, now_ms), effects)
