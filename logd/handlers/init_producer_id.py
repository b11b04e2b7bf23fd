"""InitProducerId: an identity for an idempotent or transactional producer.

Versions 0–5. 2: flexible. 3: the producer says which identity it had (KIP-360). 4: PRODUCER_FENCED (KIP-588). 5:
TRANSACTION_ABORTABLE (KIP-890). Version 6, of two-phase commit (KIP-939), is not stable in Kafka.

Without a transactional id every call gives a fresh id in epoch 0, whatever the producer had before. With one its
coordinator decides: see `coordinator.transactions`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import CLUSTER_NAME
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message
    from protocol.types import ProducerId

_NONE: Final = -1


def handle(
    broker: Broker, request: InitProducerIdRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    """Answer at once while the current block of ids lasts."""
    refusal = _refusal(broker, request, context)
    if refusal is not None:
        return _refused(refusal)
    if request.transactional_id is not None:
        if broker.producer_ids.has_next:
            return broker.transactions.call(request.transactional_id, request, context, _refused)
        return _ask_later(broker, request.transactional_id, request, context)
    producer_id = broker.producer_ids.next_now()
    return _answer_later(broker) if producer_id is None else _answer(producer_id)


def _refusal(broker: Broker, request: InitProducerIdRequest, context: RequestContext) -> ErrorCode | None:
    name = request.transactional_id
    if name is None:
        if not broker.authorise(context, Operation.IDEMPOTENT_WRITE, ResourceType.CLUSTER, CLUSTER_NAME):
            return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    elif not broker.authorise(context, Operation.WRITE, ResourceType.TRANSACTIONAL_ID, name):
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    if name == "" or (request.producer_id == _NONE) != (request.producer_epoch == _NONE):
        return ErrorCode.INVALID_REQUEST
    return None


async def _ask_later(
    broker: Broker, transactional_id: str, request: InitProducerIdRequest, context: RequestContext
) -> Message:
    """The coordinator does not wait for ids: it is asked when there are some."""
    try:
        await broker.producer_ids.stock()
        return await broker.transactions.ask(transactional_id, request, context)
    except BrokerError as refusal:
        return _refused(refusal.code)


async def _answer_later(broker: Broker) -> InitProducerIdResponse:
    try:
        return _answer(await broker.producer_ids.next())
    except BrokerError as refusal:
        return _refused(refusal.code)


def _answer(producer_id: ProducerId) -> InitProducerIdResponse:
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)


def _refused(code: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_epoch=_NONE)
