"""TxnOffsetCommit: a producer says what the group has read of which its transaction holds the results.

Versions 0–6; what they brought, and which code lands where, is told in `coordinator.offsets.txn_commit`. Here: whether
the client may use the transactional id and read the group and the topics, and that the group's partition of
`__consumer_offsets` is part of the transaction, so that the marker finds it (coordination/transaction_inquiry.py). From
version 5 on it is added to the transaction; before, the client has done that (AddOffsetsToTxn), and the coordinator is
asked.
Below version 2 COORDINATOR_LOAD_IN_PROGRESS is told as COORDINATOR_NOT_AVAILABLE: such clients may stop at the other.
Source: Kafka KafkaApis.scala, GroupCoordinatorService.java; KAFKA-7296.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Final

from coordinator.runtime import APPEND_REFUSALS
from logd.authorisation import Operation, ResourceType
from logd.coordination.transaction_inquiry import Inquiry
from logd.coordination.transaction_verification import TransactionSupport
from logd.handlers.group_requests import may_read_topic
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from protocol.records import NO_SEQUENCE

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message

_FIRST_VERSION_WITH_LOADING: Final = 2
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 6

_AskedTopic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
_Topic = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic
_Partition = TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition


def handle(
    broker: Broker, request: TxnOffsetCommitRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    transactional_id = request.transactional_id
    if not broker.authorise(context, Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id):
        return _refused(request.topics, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if not broker.authorise(context, Operation.READ, ResourceType.GROUP, request.group_id):
        return _refused(request.topics, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    return _commit(broker, request, context)


async def _commit(
    broker: Broker, request: TxnOffsetCommitRequest, context: RequestContext
) -> TxnOffsetCommitResponse:
    """Commit what the client may, and refuse the topics that it may not read."""
    by_id = context.version >= _FIRST_VERSION_WITH_TOPIC_IDS
    allowed: list[_AskedTopic] = []
    hidden: list[_AskedTopic] = []
    for topic in request.topics:
        (allowed if may_read_topic(broker, context, topic, by_id=by_id) else hidden).append(topic)
    request.topics = allowed
    response = await _ask(broker, request, context) if allowed else TxnOffsetCommitResponse()
    response.topics = _refused(hidden, ErrorCode.TOPIC_AUTHORIZATION_FAILED).topics + response.topics
    return response


async def _ask(
    broker: Broker, request: TxnOffsetCommitRequest, context: RequestContext
) -> TxnOffsetCommitResponse:
    version = context.version
    try:
        if request.group_id and _has_partition(broker, request, version):
            await _join_transaction(broker, request, version)
        # In the same turn as the transaction's word: see `Inquiry.admit`.
        response = await broker.groups.ask(request.group_id, request, context)
    except BrokerError as refusal:
        return _refused(request.topics, _code_for_client(refusal.code, version))
    assert isinstance(response, TxnOffsetCommitResponse)
    return response


def _has_partition(broker: Broker, request: TxnOffsetCommitRequest, version: int) -> bool:
    """Whether any of the partitions exists: else nothing is written, and nobody need be asked."""
    image = broker.metadata.image
    for topic in request.topics:
        if version >= _FIRST_VERSION_WITH_TOPIC_IDS:
            known = image.topics_by_id.get(topic.topic_id)
        else:
            known = image.topics.get(topic.name)
        if known is not None and any(asked.partition_index in known.partitions for asked in topic.partitions):
            return True
    return False


async def _join_transaction(broker: Broker, request: TxnOffsetCommitRequest, version: int) -> None:
    """Make sure that the group's partition is part of the transaction.

    Raises: BrokerError when it is not, or the partition is not led here.
    """
    index = broker.groups.partition_of(request.group_id)
    if index is None:
        raise BrokerError(ErrorCode.NOT_COORDINATOR)
    inquiry = Inquiry(
        broker,
        request.transactional_id,
        request.producer_id,
        request.producer_epoch,
        TransactionSupport.of_offset_commit(version),
    )
    topic = broker.groups.topic_name
    inquiry.include(topic, index, NO_SEQUENCE)
    if inquiry.start():
        await inquiry.ask()
    inquiry.admit(topic, index)


def _code_for_client(code: ErrorCode, version: int) -> ErrorCode:
    code = APPEND_REFUSALS.get(code, code)
    if code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS and version < _FIRST_VERSION_WITH_LOADING:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return code


def _refused(topics: Iterable[_AskedTopic], code: ErrorCode) -> TxnOffsetCommitResponse:
    return TxnOffsetCommitResponse(
        topics=[
            _Topic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    _Partition(partition_index=asked.partition_index, error_code=code)
                    for asked in topic.partitions
                ],
            )
            for topic in topics
        ]
    )
