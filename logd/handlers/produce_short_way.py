"""The short way through Produce, for requests that differ from the last one only in their partition and its records.

`protocol.produce_shape` tells that; nothing that the ordinary way checked of such a request is checked again. What is
not quite ordinary after all goes that way, with nothing done yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import allow_all
from logd.context import RequestContext
from logd.delayed import ProduceWait
from logd.handlers.produce_appends import REFUSED_UNANSWERED, Answer, append_batch, park, refuse
from logd.handlers.produce_request import ACKS, LOW_ATTRIBUTES_POSITION
from logd.short_way import ShortWay
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.produce_shape import ProduceShape
from protocol.records import HEADER_SIZE, TRANSACTIONAL_BIT
from replication.topic_names import INTERNAL_TOPICS

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.connection import Connection

API_KEY: Final = ProduceRequest.API_KEY


def learn(broker: Broker, frame: memoryview, request: ProduceRequest, version: int) -> ShortWay | None:
    """What to remember of a request: one that passes all checks that look at neither its records nor its partition,
    since `handle_alike` makes none of them again.
    """
    if request.acks not in ACKS or any(
        (topic.name or broker.topic_name(topic.topic_id)) in INTERNAL_TOPICS for topic in request.topic_data
    ):
        return None
    shape = ProduceShape.learn(frame, request, version)
    return None if shape is None else ShortWay(shape, handle_alike)


def handle_alike(
    broker: Broker,
    connection: Connection,
    shape: ProduceShape,
    correlation_id: int,
    index: int,
    batch: memoryview,
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
        partition, result = append_batch(broker, topic, index, batch, acks, broker.now_ms(), broker.moved)
    except BrokerError as error:
        return _refuse_alike(connection, shape, correlation_id, index, error)
    log_start_offset = partition.log.log_start_offset
    if not acks:
        return True
    if partition.has_acknowledged(result, acks):
        log_append_time = result.log_append_time
        framed = shape.answer(correlation_id, index, result.base_offset, log_append_time, log_start_offset)
        connection.responses.send((framed,))
        return True
    answer = Answer(
        index=index,
        base_offset=result.base_offset,
        log_append_time_ms=result.log_append_time,
        log_start_offset=log_start_offset,
    )
    context = _context_alike(connection, shape, correlation_id)
    waits = [(ProduceWait(partition, result, acks), answer)]
    park(broker, context, _response_alike(shape, answer), waits, shape.timeout_ms)
    return True


def _refuse_alike(
    connection: Connection, shape: ProduceShape, correlation_id: int, index: int, error: BrokerError
) -> bool:
    """Tell of a failed disk here: the log may have set the batch's offset already, which the ordinary way would take
    for the client's. False for every other refusal.
    """
    if error.code is not ErrorCode.KAFKA_STORAGE_ERROR:
        return False
    if shape.acks == 0:
        raise ProtocolViolation(REFUSED_UNANSWERED) from error
    answer = Answer(index=index)
    refuse(answer, error)
    _context_alike(connection, shape, correlation_id).reply(_response_alike(shape, answer))
    return True


def _context_alike(connection: Connection, shape: ProduceShape, correlation_id: int) -> RequestContext:
    return RequestContext(
        connection, API_KEY, shape.version, correlation_id, connection.client_id, flexible=True
    )


def _response_alike(shape: ProduceShape, answer: Answer) -> ProduceResponse:
    topic = ProduceResponse.TopicProduceResponse(
        name=shape.topic_name, topic_id=shape.topic_id, partition_responses=[answer]
    )
    return ProduceResponse(responses=[topic])
