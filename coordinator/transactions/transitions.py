"""What may become of a transactional id: each function makes of a transaction the next one, and nothing happens yet.

Invariant: the state may follow the one before (`states.PREDECESSORS`). The epoch stays, rises by one, or begins at 0
under a new producer id; a producer is only ever given what is below `EPOCH_MAX`.
Source: KIP-98, KIP-360, KIP-890; Kafka transaction-coordinator, TransactionMetadata.java (prepare…).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coordinator.transactions.states import AT_REST, PREDECESSORS, TransactionState
from coordinator.transactions.transaction import EPOCH_MAX, NOT_STARTED, Identity, Transaction
from protocol.records import NO_PRODUCER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.types import ProducerId, TimestampMs, TopicPartition

EPOCH_BUMP: Final = 2
"""First transaction version whose producers get a new epoch with every transaction."""


def first(producer_id: ProducerId, timeout_ms: int, now_ms: TimestampMs) -> Transaction:
    """A transactional id that nobody used before."""
    return Transaction(
        state=TransactionState.EMPTY,
        producer_id=producer_id,
        producer_epoch=0,
        previous_producer_id=producer_id,
        next_producer_id=NO_PRODUCER_ID,
        timeout_ms=timeout_ms,
        partitions=(),
        started_ms=NOT_STARTED,
        updated_ms=now_ms,
        client_version=0,
    )


def taken_over(
    transaction: Transaction, identity: Identity, timeout_ms: int, now_ms: TimestampMs
) -> Transaction:
    """A producer begins as `identity`."""
    return _become(
        transaction,
        TransactionState.EMPTY,
        producer_id=identity.producer_id,
        producer_epoch=identity.producer_epoch,
        timeout_ms=timeout_ms,
        partitions=(),
        started_ms=NOT_STARTED,
        updated_ms=now_ms,
    )


def joined_by(
    transaction: Transaction,
    partitions: Iterable[TopicPartition],
    client_version: int,
    now_ms: TimestampMs,
) -> Transaction:
    """Partitions take part, in the transaction under way or in a new one."""
    begins = transaction.state in AT_REST
    return _become(
        transaction,
        TransactionState.ONGOING,
        partitions=tuple(dict.fromkeys((*transaction.partitions, *partitions))),
        started_ms=now_ms if begins else transaction.started_ms,
        updated_ms=now_ms,
        client_version=client_version,
    )


def decided(
    transaction: Transaction,
    *,
    commit: bool,
    bump_epoch: bool,
    client_version: int,
    next_producer_id: ProducerId,
    now_ms: TimestampMs,
) -> Transaction:
    """It is written how the transaction ends.

    The markers carry the epoch that this has; bumped, nobody can write after them as who wrote the records. An abort
    without a transaction has it begin now.
    """
    epoch = transaction.producer_epoch
    return _become(
        transaction,
        TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT,
        producer_epoch=min(epoch + 1, EPOCH_MAX) if bump_epoch else epoch,
        next_producer_id=next_producer_id,
        started_ms=now_ms if transaction.state in AT_REST else transaction.started_ms,
        updated_ms=now_ms,
        client_version=client_version,
    )


def complete(transaction: Transaction, now_ms: TimestampMs) -> Transaction:
    """All partitions have their marker."""
    commit = transaction.state is TransactionState.PREPARE_COMMIT
    identity = transaction.goes_on_as
    return _become(
        transaction,
        TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT,
        producer_id=identity.producer_id,
        producer_epoch=identity.producer_epoch,
        next_producer_id=NO_PRODUCER_ID,
        partitions=(),
        updated_ms=now_ms,
    )


def _become(transaction: Transaction, state: TransactionState, **changes: Any) -> Transaction:
    assert transaction.state in PREDECESSORS[state], f"{state.name} must not follow {transaction.state.name}"
    return transaction._replace(state=state, previous_producer_id=transaction.producer_id, **changes)
