"""DescribeTransactions: what is known of transactional ids (KIP-664).

Version 0. Of a transaction that is decided, the partitions that have yet to get their marker are told.
Source: Kafka TransactionCoordinator.scala (handleDescribeTransactions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from coordinator.transactions.markers import left_of
from protocol.errors import ErrorCode
from protocol.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse

if TYPE_CHECKING:
    from coordinator.shard import Call, Effects
    from coordinator.transactions.shard_state import TransactionShardState
    from protocol.types import TimestampMs

_Described = DescribeTransactionsResponse.TransactionState
_Topic = DescribeTransactionsResponse.TopicData


def describe(state: TransactionShardState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Answer for every id of the request; all belong to this shard."""
    request = cast("DescribeTransactionsRequest", call.request)
    described = [_described(state, transactional_id) for transactional_id in request.transactional_ids]
    effects.answer(call.waiter, DescribeTransactionsResponse(transaction_states=described))


def _described(state: TransactionShardState, transactional_id: str) -> _Described:
    if not transactional_id:
        return _Described(error_code=ErrorCode.INVALID_REQUEST)
    transaction = state.transactions.get(transactional_id)
    if transaction is None:
        return _Described(transactional_id=transactional_id, error_code=ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    by_topic: dict[str, list[int]] = {}
    for topic, partition in left_of(state, transactional_id):
        by_topic.setdefault(topic, []).append(partition)
    return _Described(
        transactional_id=transactional_id,
        transaction_state=transaction.state.label,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_start_time_ms=transaction.started_ms,
        producer_id=transaction.producer_id,
        producer_epoch=transaction.producer_epoch,
        topics=[_Topic(topic=topic, partitions=partitions) for topic, partitions in by_topic.items()],
    )
