"""Produce: append each partition's batch, and answer when it is as safe as `acks` asks for.

Versions 3–13. 3: one v2 batch per partition. 5: log start offset. 7: zstd. 8: record errors (KIP-467).
9: flexible. 10: current leader (KIP-951). 11, 12: transactions (KIP-890). 13: topic ids.

`acks=0` is not answered at all; a refusal then ends the connection, as the only way to tell the producer.
`acks=1` is answered after the append, `acks=all` when the high watermark has passed the batch; either waits for the
flush where the topic demands one.
Source: apache/kafka core/…/server/KafkaApis.scala, ReplicaManager.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType, allow_all
from logd.context import RequestContext
from logd.delayed import ProduceWait
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.record_validation import InvalidRecords
from protocol.records import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    HEADER_SIZE,
    MAGIC,
    MAGIC_POSITION,
    TRANSACTIONAL_BIT,
)
from replication.topic_names import INTERNAL_TOPICS
from storage.errors import StorageError
from storage.log import AppendOrigin

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.connection import Connection
    from logd.replicas import LocalPartition
    from protocol.produce_shape import ProduceShape
    from protocol.types import TimestampMs
    from replication.ports import AppendResult

API_KEY: Final = ProduceRequest.API_KEY

_ACKS: Final = (-1, 0, 1)
_CLIENT: Final = AppendOrigin.CLIENT
_FIRST_VERSION_WITH_ZSTD: Final = 7
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 13
_LOW_ATTRIBUTES_POSITION: Final = ATTRIBUTES_POSITION + 1
#: The client id with which an operator's tools may write to internal topics.
_ADMIN_CLIENT_ID: Final = "__admin_client"

_REFUSED_UNANSWERED: Final = "a batch sent with acks=0 was refused"

_Data = ProduceRequest.PartitionProduceData
_Answer = ProduceResponse.PartitionProduceResponse


def handle(broker: Broker, request: ProduceRequest, context: RequestContext) -> ProduceResponse | None:
    """Append what the request holds; None when the answer comes later, or never."""
    appends = _Appends(broker, request, context)
    response = ProduceResponse()
    for topic in request.topic_data:
        response.responses.append(appends.topic(topic))
    if request.acks == 0:
        if appends.refused:
            raise ProtocolViolation(_REFUSED_UNANSWERED)
        return None
    if not appends.waits:
        return response
    _park(broker, context, response, appends.waits, request.timeout_ms)
    return None


def has_short_way(broker: Broker, request: ProduceRequest) -> bool:
    """Whether a request passes all checks that look at neither its records nor its partition: `handle_alike` makes
    none of them again.
    """
    return request.acks in _ACKS and not any(
        (topic.name or broker.topic_name(topic.topic_id)) in INTERNAL_TOPICS for topic in request.topic_data
    )


def handle_alike(
    broker: Broker, connection: Connection, shape: ProduceShape, correlation_id: int, batch: memoryview
) -> bool:
    """The short way for a request like the one that `shape` was learned from.

    False, with nothing done, when the ordinary way has to look at it; it is then refused there, if at all.
    """
    if len(batch) < HEADER_SIZE or batch[_LOW_ATTRIBUTES_POSITION] & TRANSACTIONAL_BIT:
        return False
    topic = shape.topic_name or broker.topic_name(shape.topic_id)
    if topic is None or broker.authorise is not allow_all:
        return False
    acks = shape.acks
    try:
        partition, result = _append_batch(broker, topic, shape.index, batch, acks, broker.now_ms())
    except BrokerError as error:
        return _refuse_alike(connection, shape, correlation_id, error)
    log_start_offset = partition.log.log_start_offset
    if not acks:
        return True
    if partition.has_acknowledged(result, acks):
        connection.responses.send(
            (shape.answer(correlation_id, result.base_offset, result.log_append_time, log_start_offset),)
        )
        return True
    answer = _Answer(
        index=shape.index,
        base_offset=result.base_offset,
        log_append_time_ms=result.log_append_time,
        log_start_offset=log_start_offset,
    )
    context = _context_alike(connection, shape, correlation_id)
    waits = [(ProduceWait(partition, result, acks), answer)]
    _park(broker, context, _response_alike(shape, answer), waits, shape.timeout_ms)
    return True


def _refuse_alike(
    connection: Connection, shape: ProduceShape, correlation_id: int, error: BrokerError
) -> bool:
    """Tell of a failed disk here: the log may have set the batch's offset already, which the ordinary way would take
    for the client's. False for every other refusal.
    """
    if error.code is not ErrorCode.KAFKA_STORAGE_ERROR:
        return False
    if shape.acks == 0:
        raise ProtocolViolation(_REFUSED_UNANSWERED) from error
    answer = _Answer(index=shape.index)
    _refuse(answer, error)
    _context_alike(connection, shape, correlation_id).reply(_response_alike(shape, answer))
    return True


def _context_alike(connection: Connection, shape: ProduceShape, correlation_id: int) -> RequestContext:
    return RequestContext(
        connection, API_KEY, shape.version, correlation_id, connection.client_id, flexible=True
    )


def _response_alike(shape: ProduceShape, answer: _Answer) -> ProduceResponse:
    topic = ProduceResponse.TopicProduceResponse(
        name=shape.topic_name, topic_id=shape.topic_id, partition_responses=[answer]
    )
    return ProduceResponse(responses=[topic])


class _Appends:
    """The appends of one request: what was refused, and what is appended and not yet safe."""

    __slots__ = ("_broker", "_context", "_now_ms", "_request", "refused", "waits")

    def __init__(self, broker: Broker, request: ProduceRequest, context: RequestContext) -> None:
        self._broker = broker
        self._request = request
        self._context = context
        self._now_ms = broker.now_ms()
        self.refused = False
        self.waits: list[tuple[ProduceWait, _Answer]] = []

    def topic(self, topic: ProduceRequest.TopicProduceData) -> ProduceResponse.TopicProduceResponse:
        answers = [_Answer(index=data.index) for data in topic.partition_data]
        try:
            name = self._topic_name(topic)
        except BrokerError as error:
            # Not kept: its traceback would keep this frame, and that the whole request.
            for answer in answers:
                self._refuse(answer, error)
        else:
            for data, answer in zip(topic.partition_data, answers, strict=True):
                try:
                    self._append(name, data, answer)
                except BrokerError as error:
                    self._refuse(answer, error)
        return ProduceResponse.TopicProduceResponse(
            name=topic.name, topic_id=topic.topic_id, partition_responses=answers
        )

    def _refuse(self, answer: _Answer, error: BrokerError) -> None:
        self.refused = True
        _refuse(answer, error)

    def _topic_name(self, topic: ProduceRequest.TopicProduceData) -> str:
        """Raises: BrokerError for what makes every batch of the topic fail."""
        request, context = self._request, self._context
        name: str | None = topic.name
        if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
            name = self._broker.topic_name(topic.topic_id)
            if name is None:
                raise BrokerError(ErrorCode.UNKNOWN_TOPIC_ID)
        assert name is not None
        if request.acks not in _ACKS:
            raise BrokerError(ErrorCode.INVALID_REQUIRED_ACKS)
        if not self._broker.authorise(context, Operation.WRITE, ResourceType.TOPIC, name):
            raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        if name in INTERNAL_TOPICS and context.client_id != _ADMIN_CLIENT_ID:
            raise BrokerError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name} is internal: clients only read it.")
        return name

    def _append(self, topic: str, data: _Data, answer: _Answer) -> None:
        """Raises: BrokerError when the batch is refused; nothing of it is in the log then."""
        batch = data.records
        if batch is None:
            raise BrokerError(ErrorCode.INVALID_RECORD, "There is no record batch.")
        assert isinstance(batch, memoryview)
        if len(batch) >= HEADER_SIZE and batch[MAGIC_POSITION] == MAGIC:
            self._check_attributes(batch[_LOW_ATTRIBUTES_POSITION])
        acks = self._request.acks
        partition, result = _append_batch(self._broker, topic, data.index, batch, acks, self._now_ms)
        answer.base_offset = result.base_offset
        answer.log_append_time_ms = result.log_append_time
        answer.log_start_offset = partition.log.log_start_offset
        if acks and not partition.has_acknowledged(result, acks):
            self.waits.append((ProduceWait(partition, result, acks), answer))

    def _check_attributes(self, attributes: int) -> None:
        if attributes & CODEC_MASK == Codec.ZSTD and self._context.version < _FIRST_VERSION_WITH_ZSTD:
            raise BrokerError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
        if attributes & TRANSACTIONAL_BIT:
            if self._request.transactional_id is None:
                raise BrokerError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            # Without a transaction coordinator nobody has added the partition to a transaction.
            raise BrokerError(ErrorCode.INVALID_TXN_STATE)


def _append_batch(
    broker: Broker, topic: str, index: int, batch: memoryview, acks: int, now_ms: TimestampMs
) -> tuple[LocalPartition, AppendResult]:
    """Raises: BrokerError when the batch is refused; nothing of it is in the log then."""
    partition = broker.partition(topic, index)
    try:
        result = partition.append(batch, acks=acks, now_ms=now_ms, origin=_CLIENT)
    except StorageError as error:
        raise broker.storage_failed(partition, error) from error
    broker.moved(partition)
    if result.flush_to >= 0:
        broker.flusher.request(partition)
    return partition, result


def _park(
    broker: Broker,
    context: RequestContext,
    response: ProduceResponse,
    waits: list[tuple[ProduceWait, _Answer]],
    timeout_ms: int,
) -> None:
    """Answer when every batch is safe, or the request's time is up."""
    context.defer()
    broker.delayed.park_produce(
        [wait for wait, _ in waits], timeout_ms, lambda: _answer_waits(context, response, waits)
    )


def _refuse(answer: _Answer, error: BrokerError) -> None:
    answer.error_code = error.code
    answer.error_message = error.message
    answer.base_offset = -1
    answer.log_append_time_ms = -1
    if isinstance(error, InvalidRecords):
        answer.record_errors = [
            ProduceResponse.BatchIndexAndErrorMessage(
                batch_index=record.batch_index, batch_index_error_message=record.message
            )
            for record in error.record_errors
        ]


def _answer_waits(
    context: RequestContext, response: ProduceResponse, waits: list[tuple[ProduceWait, _Answer]]
) -> None:
    try:
        for wait, answer in waits:
            if wait.error:
                _refuse(answer, BrokerError(wait.error))
        context.reply(response)
    except Exception:
        context.fail()
