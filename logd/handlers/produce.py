"""Produce: append each partition's batch, and answer when it is as safe as `acks` asks for.

Versions 3–13. 3: one v2 batch per partition. 5: log start offset. 7: zstd. 8: record errors (KIP-467).
9: flexible. 10: current leader (KIP-951). 11: TRANSACTION_ABORTABLE (KIP-890). 12: the broker adds the partition to the
transaction. 13: topic ids.

`acks=0` is not answered at all; a refusal then ends the connection, as the only way to tell the producer.
`acks=1` is answered after the append, `acks=all` when the high watermark has passed the batch; either waits for the
flush where the topic demands one.

Transactions: the first batch of one on a partition waits for the coordinator's word (`logd.transaction_inquiry`), and
meanwhile nothing further of its connection is worked off: sequences must not be overtaken. What comes while the
transaction is open there costs no more than any other batch.
Source: apache/kafka core/…/server/KafkaApis.scala, ReplicaManager.scala.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from logd.authorisation import allow_all
from logd.context import RequestContext
from logd.delayed import ProduceWait
from logd.handlers.produce_request import ACKS, LOW_ATTRIBUTES_POSITION, inquiry_of, keep_records, topic_name
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.record_validation import InvalidRecords
from protocol.records import (
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
    from logd.transaction_inquiry import Inquiry
    from protocol.produce_shape import ProduceShape
    from protocol.types import TimestampMs
    from replication.ports import AppendResult

API_KEY: Final = ProduceRequest.API_KEY

_CLIENT: Final = AppendOrigin.CLIENT
_FIRST_VERSION_WITH_ZSTD: Final = 7
_REFUSED_UNANSWERED: Final = "a batch sent with acks=0 was refused"

_Data = ProduceRequest.PartitionProduceData
_Answer = ProduceResponse.PartitionProduceResponse


def handle(
    broker: Broker, request: ProduceRequest, context: RequestContext
) -> ProduceResponse | Awaitable[ProduceResponse | None] | None:
    """Append what the request holds; None when the answer comes later, or never."""
    try:
        inquiry = inquiry_of(broker, request, context)
    except BrokerError as refusal:
        return _refuse_all(request, refusal)
    if inquiry is not None and inquiry.start():
        return _ask_first(broker, request, context, inquiry)
    appends = _Appends(broker, request, context, broker.moved, inquiry)
    response = appends.response()
    if request.acks == 0:
        if appends.refused:
            raise ProtocolViolation(_REFUSED_UNANSWERED)
        return None
    if not appends.waits:
        return response
    _park(broker, context, response, appends.waits, request.timeout_ms)
    return None


def _ask_first(
    broker: Broker, request: ProduceRequest, context: RequestContext, inquiry: Inquiry
) -> Awaitable[ProduceResponse | None]:
    """Hold what comes behind the request, and keep its records beyond its frame, until the coordinator has answered."""
    context.connection.hold()
    keep_records(request)
    return _append_when_verified(broker, request, context, inquiry)


async def _append_when_verified(
    broker: Broker, request: ProduceRequest, context: RequestContext, inquiry: Inquiry
) -> ProduceResponse | None:
    try:
        await inquiry.ask()
        if context.closed:
            return None
        appends = _Appends(broker, request, context, broker.state_changed, inquiry)
        response = appends.response()
    finally:
        context.connection.release()
    if request.acks == 0:
        if appends.refused:
            context.connection.refuse(ProtocolViolation(_REFUSED_UNANSWERED))
        context.leave_unanswered()
        return None
    if not appends.waits:
        return response
    _park(broker, context, response, appends.waits, request.timeout_ms)
    return None


def has_short_way(broker: Broker, request: ProduceRequest) -> bool:
    """Whether a request passes all checks that look at neither its records nor its partition: `handle_alike` makes
    none of them again.
    """
    return request.acks in ACKS and not any(
        (topic.name or broker.topic_name(topic.topic_id)) in INTERNAL_TOPICS for topic in request.topic_data
    )


def handle_alike(
    broker: Broker, connection: Connection, shape: ProduceShape, correlation_id: int, batch: memoryview
) -> bool:
    """The short way for a request like the one that `shape` was learned from.

    False, with nothing done, when the ordinary way has to look at it; it is then refused there, if at all.
    """
    if len(batch) < HEADER_SIZE or (
        batch[LOW_ATTRIBUTES_POSITION] & TRANSACTIONAL_BIT
        # Else the log itself refuses what begins a transaction, and the ordinary way asks the coordinator.
        and not (shape.is_transactional and broker.config.transaction_partition_verification_enable)
    ):
        return False
    topic = shape.topic_name or broker.topic_name(shape.topic_id)
    if topic is None or broker.authorise is not allow_all:
        return False
    acks = shape.acks
    try:
        partition, result = _append_batch(
            broker, topic, shape.index, batch, acks, broker.now_ms(), broker.moved
        )
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

    __slots__ = ("_broker", "_context", "_inquiry", "_moved", "_now_ms", "_request", "refused", "waits")

    def __init__(
        self,
        broker: Broker,
        request: ProduceRequest,
        context: RequestContext,
        moved: Callable[[LocalPartition], None],
        inquiry: Inquiry | None,
    ) -> None:
        self._broker = broker
        self._request = request
        self._context = context
        self._moved = moved
        self._inquiry = inquiry
        self._now_ms = broker.now_ms()
        self.refused = False
        self.waits: list[tuple[ProduceWait, _Answer]] = []

    def response(self) -> ProduceResponse:
        """Append it all."""
        response = ProduceResponse()
        for topic in self._request.topic_data:
            response.responses.append(self._topic(topic))
        return response

    def _topic(self, topic: ProduceRequest.TopicProduceData) -> ProduceResponse.TopicProduceResponse:
        answers = [_Answer(index=data.index) for data in topic.partition_data]
        try:
            name = topic_name(self._broker, self._request, self._context, topic)
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

    def _append(self, topic: str, data: _Data, answer: _Answer) -> None:
        """Raises: BrokerError when the batch is refused; nothing of it is in the log then."""
        batch = data.records
        if batch is None:
            raise BrokerError(ErrorCode.INVALID_RECORD, "There is no record batch.")
        assert isinstance(batch, memoryview)
        if len(batch) >= HEADER_SIZE and batch[MAGIC_POSITION] == MAGIC:
            attributes = batch[LOW_ATTRIBUTES_POSITION]
            if attributes & CODEC_MASK == Codec.ZSTD and self._context.version < _FIRST_VERSION_WITH_ZSTD:
                raise BrokerError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
            if attributes & TRANSACTIONAL_BIT and self._inquiry is not None:
                self._inquiry.admit(topic, data.index)
        acks = self._request.acks
        partition, result = _append_batch(
            self._broker, topic, data.index, batch, acks, self._now_ms, self._moved
        )
        answer.base_offset = result.base_offset
        answer.log_append_time_ms = result.log_append_time
        answer.log_start_offset = partition.log.log_start_offset
        if acks and not partition.has_acknowledged(result, acks):
            self.waits.append((ProduceWait(partition, result, acks), answer))


def _append_batch(
    broker: Broker,
    topic: str,
    index: int,
    batch: memoryview,
    acks: int,
    now_ms: TimestampMs,
    moved: Callable[[LocalPartition], None],
) -> tuple[LocalPartition, AppendResult]:
    """Raises: BrokerError when the batch is refused; nothing of it is in the log then."""
    partition = broker.partition(topic, index)
    try:
        result = partition.append(batch, acks=acks, now_ms=now_ms, origin=_CLIENT)
    except StorageError as error:
        raise broker.storage_failed(partition, error) from error
    if result.flush_to >= 0:
        broker.flusher.request(partition)
    moved(partition)
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


def _refuse_all(request: ProduceRequest, error: BrokerError) -> ProduceResponse:
    if request.acks == 0:
        raise ProtocolViolation(_REFUSED_UNANSWERED) from error
    response = ProduceResponse()
    for topic in request.topic_data:
        answers = [_Answer(index=data.index) for data in topic.partition_data]
        for answer in answers:
            _refuse(answer, error)
        response.responses.append(
            ProduceResponse.TopicProduceResponse(
                name=topic.name, topic_id=topic.topic_id, partition_responses=answers
            )
        )
    return response


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
