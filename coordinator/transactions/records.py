"""The record of a transactional id: made of what is proposed, and replayed.

Written is version 1 of the value from `transaction.version` 1 on, as Kafka does; version 0 has neither the previous and
next producer id nor the version of the client. A client that bumps epochs has its transactions written in version 1
even if the feature was taken back meanwhile: Kafka fails to write those. What a record does not hold nobody remembers:
with version 0, a producer that lost the answer with its next id is fenced, where Kafka knows it until it moves.
Source: KIP-98, KIP-890, KIP-915; Kafka transaction-coordinator, TransactionLog.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.internal_records import UnreadableRecord
from coordinator.transactions.states import AT_REST, DECIDED, TransactionState
from coordinator.transactions.transaction import Transaction
from protocol.messages.records_transaction import TransactionLogKey, TransactionLogValue
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from coordinator.shard import Effects
    from coordinator.transactions.shard_state import TransactionShardState

_FIRST_LEVEL_WITH_VERSION_1: Final = 1

_HELD: Final = AT_REST | DECIDED | {TransactionState.ONGOING}
"""States that an id can be in."""


def propose(
    state: TransactionShardState, transactional_id: str, transaction: Transaction, effects: Effects
) -> None:
    """Have the id become this."""
    in_full = state.feature.level >= _FIRST_LEVEL_WITH_VERSION_1 or transaction.client_version > 0
    value = TransactionLogValue(
        producer_id=transaction.producer_id,
        producer_epoch=transaction.producer_epoch,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_status=transaction.state.value,
        transaction_partitions=_partitions(transaction),
        transaction_last_update_timestamp_ms=transaction.updated_ms,
        transaction_start_timestamp_ms=transaction.started_ms,
    )
    if in_full:
        value.previous_producer_id = transaction.previous_producer_id
        value.next_producer_id = transaction.next_producer_id
        value.client_transaction_version = transaction.client_version
    effects.record(TransactionLogKey(transactional_id=transactional_id), value)


def propose_removal(transactional_id: str, effects: Effects) -> None:
    effects.record(TransactionLogKey(transactional_id=transactional_id), None)


def replay(state: TransactionShardState, key: TransactionLogKey, value: TransactionLogValue | None) -> None:
    """Take in one record. Raises: UnreadableRecord."""
    if value is None:
        state.forget(key.transactional_id)
    else:
        state.take_in(key.transactional_id, _transaction(key.transactional_id, value))


def _partitions(transaction: Transaction) -> list[TransactionLogValue.PartitionsSchema] | None:
    """Kafka writes none at all where there can be none."""
    if transaction.state is TransactionState.EMPTY:
        return None
    by_topic: dict[str, list[int]] = {}
    for topic, partition in transaction.partitions:
        by_topic.setdefault(topic, []).append(partition)
    return [
        TransactionLogValue.PartitionsSchema(topic=topic, partition_ids=partitions)
        for topic, partitions in by_topic.items()
    ]


def _transaction(transactional_id: str, value: TransactionLogValue) -> Transaction:
    status = value.transaction_status
    if status not in _HELD:
        raise UnreadableRecord(f"transactional id {transactional_id}: status {status}")
    return Transaction(
        state=TransactionState(status),
        producer_id=value.producer_id,
        producer_epoch=value.producer_epoch,
        previous_producer_id=value.previous_producer_id,
        next_producer_id=value.next_producer_id,
        timeout_ms=value.transaction_timeout_ms,
        partitions=tuple(
            TopicPartition(each.topic, partition)
            for each in value.transaction_partitions or ()
            for partition in each.partition_ids
        ),
        started_ms=value.transaction_start_timestamp_ms,
        updated_ms=value.transaction_last_update_timestamp_ms,
        client_version=value.client_transaction_version,
    )
