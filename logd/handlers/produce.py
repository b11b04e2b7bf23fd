"""Produce: append each partition's batch, and answer when it is as safe as `acks` asks for.

Versions 3–13. 3: one v2 batch per partition. 5: log start offset. 7: zstd. 8: record errors (KIP-467).
9: flexible. 10: current leader (KIP-951). 11: TRANSACTION_ABORTABLE (KIP-890). 12: the broker adds the partition to the
transaction. 13: topic ids.

`acks=0` is not answered at all; a refusal then ends the connection, as the only way to tell the producer.
`acks=1` is answered after the append, `acks=all` when the high watermark has passed the batch; either waits for the
flush where the topic demands one.

Transactions: the first batch of one on a partition waits for the coordinator's word (transaction_inquiry.py), and
meanwhile nothing further of its connection is worked off: sequences must not be overtaken. What comes while the
transaction is open there costs no more than any other batch.
Source: apache/kafka core/…/server/KafkaApis.scala, ReplicaManager.scala.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from logd.handlers.produce_appends import REFUSED_UNANSWERED, Answer, Appends, refuse
from logd.handlers.produce_request import inquiry_of, keep_records
from logd.handlers.produce_short_way import learn
from protocol.errors import BrokerError, ProtocolViolation
from protocol.messages.produce import ProduceRequest, ProduceResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.coordination.transaction_inquiry import Inquiry

__all__ = ["handle", "learn"]


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
    appends = Appends(broker, request, context, broker.moved, inquiry)
    response = appends.response()
    if request.acks == 0:
        if appends.refused:
            raise ProtocolViolation(REFUSED_UNANSWERED)
        return None
    return appends.when_safe(response)


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
        appends = Appends(broker, request, context, broker.state_changed, inquiry)
        response = appends.response()
    finally:
        context.connection.release()
    if request.acks == 0:
        if appends.refused:
            context.connection.refuse(ProtocolViolation(REFUSED_UNANSWERED))
        context.leave_unanswered()
        return None
    return appends.when_safe(response)


def _refuse_all(request: ProduceRequest, error: BrokerError) -> ProduceResponse:
    if request.acks == 0:
        raise ProtocolViolation(REFUSED_UNANSWERED) from error
    response = ProduceResponse()
    for topic in request.topic_data:
        answers = [Answer(index=data.index) for data in topic.partition_data]
        for answer in answers:
            refuse(answer, error)
        response.responses.append(
            ProduceResponse.TopicProduceResponse(
                name=topic.name, topic_id=topic.topic_id, partition_responses=answers
            )
        )
    return response
