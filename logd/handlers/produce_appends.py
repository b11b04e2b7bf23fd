"""The appends of Produce: a batch into its partition's log, and the answer once it is safe.

For `logd.handlers.produce` and the short way. What is refused is said in the answer of its partition, and nothing of
it is in the log.
Source: apache/kafka core/…/server/ReplicaManager.scala.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from logd.delayed import ProduceWait
from logd.handlers.produce_request import LOW_ATTRIBUTES_POSITION, topic_name
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.record_validation import InvalidRecords
from protocol.records import CODEC_MASK, HEADER_SIZE, MAGIC, MAGIC_POSITION, TRANSACTIONAL_BIT
from storage.errors import StorageError
from storage.log import AppendOrigin

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.coordination.transaction_inquiry import Inquiry
    from logd.replicas import LocalPartition
    from protocol.types import TimestampMs
    from replication.ports import AppendResult

Answer: TypeAlias = ProduceResponse.PartitionProduceResponse

REFUSED_UNANSWERED: Final = "a batch sent with acks=0 was refused"

_CLIENT: Final = AppendOrigin.CLIENT
_FIRST_VERSION_WITH_ZSTD: Final = 7

_Data = ProduceRequest.PartitionProduceData


class Appends:
    """The appends of one request: what was refused, and what is appended and not yet safe."""

    __slots__ = (
        "_broker",
        "_context",
        "_inquiry",
        "_looks_inside",
        "_moved",
        "_now_ms",
        "_request",
        "_waits",
        "refused",
    )

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
        self._looks_inside = inquiry is not None or context.version < _FIRST_VERSION_WITH_ZSTD
        self._now_ms = broker.now_ms()
        self.refused = False
        self._waits: list[tuple[ProduceWait, Answer]] = []

    def response(self) -> ProduceResponse:
        """Append it all."""
        response = ProduceResponse()
        for topic in self._request.topic_data:
            response.responses.append(self._topic(topic))
        return response

    def when_safe(self, response: ProduceResponse) -> ProduceResponse | None:
        """Return `response` when every batch is safe; else it is sent once they are, and None returned."""
        if not self._waits:
            return response
        park(self._broker, self._context, response, self._waits, self._request.timeout_ms)
        return None

    def _topic(self, topic: ProduceRequest.TopicProduceData) -> ProduceResponse.TopicProduceResponse:
        answers: list[Answer] = []
        try:
            name = topic_name(self._broker, self._request, self._context, topic)
        except BrokerError as error:
            # Not kept: its traceback would keep this frame, and that the whole request.
            for data in topic.partition_data:
                answers.append(self._refused(data, error))
        else:
            for data in topic.partition_data:
                try:
                    answers.append(self._append(name, data))
                except BrokerError as error:
                    answers.append(self._refused(data, error))
        return ProduceResponse.TopicProduceResponse(
            name=topic.name, topic_id=topic.topic_id, partition_responses=answers
        )

    def _refused(self, data: _Data, error: BrokerError) -> Answer:
        self.refused = True
        answer = Answer(index=data.index)
        refuse(answer, error)
        return answer

    def _append(self, topic: str, data: _Data) -> Answer:
        """Raises: BrokerError when the batch is refused; nothing of it is in the log then."""
        batch = data.records
        if batch is None:
            raise BrokerError(ErrorCode.INVALID_RECORD, "There is no record batch.")
        assert isinstance(batch, memoryview)
        if self._looks_inside:
            self._look_inside(topic, data.index, batch)
        acks = self._request.acks
        partition, result = append_batch(
            self._broker, topic, data.index, batch, acks, self._now_ms, self._moved
        )
        answer = Answer(
            index=data.index,
            base_offset=result.base_offset,
            log_append_time_ms=result.log_append_time,
            log_start_offset=partition.log.log_start_offset,
        )
        if acks and not partition.has_acknowledged(result, acks):
            self._waits.append((ProduceWait(partition, result, acks), answer))
        return answer

    def _look_inside(self, topic: str, index: int, batch: memoryview) -> None:
        """Raises: BrokerError for a batch of a kind that this request may not hold."""
        if len(batch) < HEADER_SIZE or batch[MAGIC_POSITION] != MAGIC:
            return
        attributes = batch[LOW_ATTRIBUTES_POSITION]
        if attributes & CODEC_MASK == Codec.ZSTD and self._context.version < _FIRST_VERSION_WITH_ZSTD:
            raise BrokerError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
        if attributes & TRANSACTIONAL_BIT and self._inquiry is not None:
            self._inquiry.admit(topic, index)


def append_batch(
    broker: Broker,
    topic: str,
    index: int,
    batch: memoryview,
    acks: int,
    now_ms: TimestampMs,
    moved: Callable[[LocalPartition], None],
) -> tuple[LocalPartition, AppendResult]:
    """Raises: BrokerError when the batch is refused; nothing of it is in the log then."""
    partition = broker.replicas.get(topic, index)
    try:
        result = partition.append(batch, acks=acks, now_ms=now_ms, origin=_CLIENT)
    except StorageError as error:
        raise broker.storage_failed(partition, error) from error
    if result.flush_to >= 0:
        broker.flusher.request(partition)
    moved(partition)
    return partition, result


def park(
    broker: Broker,
    context: RequestContext,
    response: ProduceResponse,
    waits: list[tuple[ProduceWait, Answer]],
    timeout_ms: int,
) -> None:
    """Answer when every batch is safe, or the request's time is up."""
    context.defer()
    broker.delayed.park_produce(
        [wait for wait, _ in waits], timeout_ms, lambda: _answer_waits(context, response, waits)
    )


def refuse(answer: Answer, error: BrokerError) -> None:
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
    context: RequestContext, response: ProduceResponse, waits: list[tuple[ProduceWait, Answer]]
) -> None:
    try:
        for wait, answer in waits:
            if wait.error:
                refuse(answer, BrokerError(wait.error))
        context.reply(response)
    except Exception:
        context.fail()
