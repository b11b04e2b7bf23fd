"""AddPartitionsToTxn: partitions take part in a transaction, or a leader asks whether one does (KIP-890).

Versions 0–5. 2: PRODUCER_FENCED. 3: flexible. 4: from brokers, many transactions in one request, of which the shard
gets one; `verify_only` asks without adding. 5: TRANSACTION_ABORTABLE may be answered. AddOffsetsToTxn comes as this,
too, with the partition of `__consumer_offsets` that its group belongs to.

In PREPARE_* all is refused with CONCURRENT_TRANSACTIONS, before the producer is looked at: it may have been told to go
on under an id that is not in force yet. Whoever only asks is told by its identity first, as in Kafka.
Source: KIP-98, KIP-890; Kafka TransactionCoordinator.scala (handleAddPartitionsToTransaction, handleVerify…).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from coordinator.transactions import timeouts, transitions
from coordinator.transactions.fencing import fenced
from coordinator.transactions.records import propose
from coordinator.transactions.states import DECIDED, TransactionState
from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from coordinator.shard import Call, Effects
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Transaction
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_FENCED: Final = 2
_FIRST_VERSION_OF_BROKERS: Final = 4

_Result = AddPartitionsToTxnResponse.AddPartitionsToTxnResult
_TopicResult = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
_PartitionResult = AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult


class _Asked(NamedTuple):
    """What the request asks, in whatever version."""

    transactional_id: str
    identity: Identity
    topics: Sequence[AddPartitionsToTxnRequest.AddPartitionsToTxnTopic]
    client_version: int
    """Transaction version of who adds."""

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(topic.name, index) for topic in self.topics for index in topic.partitions]


def add_partitions(state: TransactionShardState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Decide an AddPartitionsToTxn of one transaction. All or none of its partitions are added."""
    request = cast("AddPartitionsToTxnRequest", call.request)
    version = call.caller.version
    if version < _FIRST_VERSION_OF_BROKERS:
        identity = Identity(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch)
        asked = _Asked(
            request.v3_and_below_transactional_id, identity, request.v3_and_below_topics, client_version=0
        )
        code = fenced(_add(state, asked, now_ms, effects), version, _FIRST_VERSION_WITH_FENCED)
        results = _results(asked, lambda _: code)
        effects.answer(call.waiter, AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results))
        return
    (one,) = request.transactions
    identity = Identity(one.producer_id, one.producer_epoch)
    asked = _Asked(one.transactional_id, identity, one.topics, client_version=transitions.EPOCH_BUMP)
    if one.verify_only:
        results = _verified(state, asked)
    else:
        code = _add(state, asked, now_ms, effects)
        results = _results(asked, lambda _: code)
    result = _Result(transactional_id=one.transactional_id, topic_results=results)
    effects.answer(call.waiter, AddPartitionsToTxnResponse(results_by_transaction=[result]))


def _add(state: TransactionShardState, asked: _Asked, now_ms: TimestampMs, effects: Effects) -> ErrorCode:
    if not asked.transactional_id:
        return ErrorCode.INVALID_REQUEST
    transaction = state.transactions.get(asked.transactional_id)
    if transaction is None:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if transaction.state in DECIDED:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    refusal = _refuse(transaction, asked.identity)
    if refusal:
        return refusal
    partitions = asked.partitions()
    ongoing = transaction.state is TransactionState.ONGOING
    if not (ongoing and set(transaction.partitions).issuperset(partitions)):
        joined = transitions.joined_by(transaction, partitions, asked.client_version, now_ms)
        propose(state, asked.transactional_id, joined, effects)
        if not ongoing:
            timeouts.opened(state, asked.transactional_id, joined, effects)
    return ErrorCode.NONE


def _verified(state: TransactionShardState, asked: _Asked) -> list[_TopicResult]:
    """Say of each partition whether it takes part."""
    if not asked.transactional_id:
        return _results(asked, lambda _: ErrorCode.INVALID_REQUEST)
    transaction = state.transactions.get(asked.transactional_id)
    if transaction is None:
        return _results(asked, lambda _: ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    refusal = _refuse(transaction, asked.identity)
    if not refusal and transaction.state in DECIDED:
        refusal = ErrorCode.CONCURRENT_TRANSACTIONS
    if refusal:
        return _results(asked, lambda _: refusal)
    taking_part = frozenset(transaction.partitions)
    return _results(
        asked,
        lambda partition: ErrorCode.NONE if partition in taking_part else ErrorCode.TRANSACTION_ABORTABLE,
    )


def _refuse(transaction: Transaction, identity: Identity) -> ErrorCode:
    if transaction.producer_id != identity.producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if transaction.producer_epoch != identity.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    return ErrorCode.NONE


def _results(asked: _Asked, code_of: Callable[[TopicPartition], ErrorCode]) -> list[_TopicResult]:
    return [
        _TopicResult(
            name=topic.name,
            results_by_partition=[
                _PartitionResult(
                    partition_index=index, partition_error_code=code_of(TopicPartition(topic.name, index))
                )
                for index in topic.partitions
            ],
        )
        for topic in asked.topics
    ]
