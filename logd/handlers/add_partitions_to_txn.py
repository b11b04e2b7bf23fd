"""AddPartitionsToTxn: partitions become part of a transaction, or it is asked whether they are.

Versions 0–5. 0 to 3 come from producers, for one transaction. 2: PRODUCER_FENCED (KIP-588). 3: flexible. 4 and 5 come
from brokers that were sent a batch (KIP-890), for many transactions; `verify_only`: only ask. 5: TRANSACTION_ABORTABLE.

All partitions of a transaction are added, or none. When one does not exist, or may not be written to, that has its
error, and the others OPERATION_NOT_ATTEMPTED. Nobody adds partitions of internal topics by name: those of offsets go
another way (AddOffsetsToTxn).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from replication.topic_names import is_internal_topic

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message

_LAST_VERSION_OF_CLIENTS: Final = 3

_Topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
_Transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
_Result = AddPartitionsToTxnResponse.AddPartitionsToTxnResult
_TopicResult = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
_PartitionResult = AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult


def handle(
    broker: Broker, request: AddPartitionsToTxnRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    if context.version > _LAST_VERSION_OF_CLIENTS:
        return _of_brokers(broker, request, context)
    transactional_id, topics = request.v3_and_below_transactional_id, request.v3_and_below_topics
    refused = partial(_refused, topics)
    if not broker.authorise(context, Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id):
        return refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)

    def problem(topic: str, index: int) -> ErrorCode:
        if is_internal_topic(topic) or not broker.authorise(
            context, Operation.WRITE, ResourceType.TOPIC, topic
        ):
            return ErrorCode.TOPIC_AUTHORIZATION_FAILED
        return _existence(broker, topic, index)

    problems = _problems(topics, problem)
    if problems is not None:
        return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=problems)
    return broker.transactions.call(transactional_id, request, context, refused)


async def _of_brokers(
    broker: Broker, request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    """Ask about one transaction after the other: each has its own coordinator."""
    if not may_on_cluster(broker, context, Operation.CLUSTER_ACTION):
        return AddPartitionsToTxnResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    results = [await _of_transaction(broker, each, context) for each in request.transactions]
    return AddPartitionsToTxnResponse(results_by_transaction=results)


async def _of_transaction(broker: Broker, transaction: _Transaction, context: RequestContext) -> _Result:
    transactional_id, topics = transaction.transactional_id, transaction.topics
    problems = _problems(topics, partial(_existence, broker))
    if problems is not None:
        return _Result(transactional_id=transactional_id, topic_results=problems)
    request = AddPartitionsToTxnRequest(transactions=[transaction])
    try:
        answer = await broker.transactions.ask(transactional_id, request, context)
    except BrokerError as refusal:
        return _Result(transactional_id=transactional_id, topic_results=_results(topics, refusal.code))
    assert isinstance(answer, AddPartitionsToTxnResponse)
    (result,) = answer.results_by_transaction
    return result


def _existence(broker: Broker, topic: str, index: int) -> ErrorCode:
    known = broker.metadata.image.topics.get(topic)
    exists = known is not None and index in known.partitions
    return ErrorCode.NONE if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _problems(
    topics: Sequence[_Topic], problem: Callable[[str, int], ErrorCode]
) -> list[_TopicResult] | None:
    """Return the answer when there is a `problem` with any partition, None when there is none."""
    codes = [[problem(topic.name, index) for index in topic.partitions] for topic in topics]
    if not any(code is not ErrorCode.NONE for row in codes for code in row):
        return None
    return [
        _TopicResult(
            name=topic.name,
            results_by_partition=[
                _PartitionResult(
                    partition_index=index, partition_error_code=code or ErrorCode.OPERATION_NOT_ATTEMPTED
                )
                for index, code in zip(topic.partitions, row, strict=True)
            ],
        )
        for topic, row in zip(topics, codes, strict=True)
    ]


def _refused(topics: Sequence[_Topic], code: ErrorCode) -> AddPartitionsToTxnResponse:
    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=_results(topics, code))


def _results(topics: Sequence[_Topic], code: ErrorCode) -> list[_TopicResult]:
    return [
        _TopicResult(
            name=topic.name,
            results_by_partition=[
                _PartitionResult(partition_index=index, partition_error_code=code)
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]
