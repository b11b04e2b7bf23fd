"""InitProducerId: an identity for an idempotent producer.

Versions 0–5. 2: flexible. 3: the producer says which identity it had (KIP-360). 4: PRODUCER_FENCED. 5: transactions
in their second version (KIP-890).

Without a transactional id every call gives a fresh id in epoch 0, whatever the producer had before. There is no
transaction coordinator: a transactional id is refused with UNSUPPORTED_VERSION, which ends the producer at once,
where a retriable code would leave it hanging. Clients rarely come so far: FindCoordinator is not served either.
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
    from protocol.types import ProducerId

_NONE: Final = -1


def handle(
    broker: Broker, request: InitProducerIdRequest, context: RequestContext
) -> InitProducerIdResponse | Awaitable[InitProducerIdResponse]:
    """Answer at once while the current block of ids lasts."""
    refusal = _refusal(broker, request, context)
    if refusal is not None:
        return InitProducerIdResponse(error_code=refusal, producer_epoch=_NONE)
    producer_id = broker.producer_ids.next_now()
    return _answer_later(broker) if producer_id is None else _answer(producer_id)


def _refusal(broker: Broker, request: InitProducerIdRequest, context: RequestContext) -> ErrorCode | None:
    if request.transactional_id == "" or (request.producer_id == _NONE) != (request.producer_epoch == _NONE):
        return ErrorCode.INVALID_REQUEST
    if request.transactional_id is not None:
        return ErrorCode.UNSUPPORTED_VERSION
    if not broker.authorise(context, Operation.IDEMPOTENT_WRITE, ResourceType.CLUSTER, CLUSTER_NAME):
        return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    return None


async def _answer_later(broker: Broker) -> InitProducerIdResponse:
    try:
        return _answer(await broker.producer_ids.next())
    except BrokerError as refusal:
        return InitProducerIdResponse(error_code=refusal.code, producer_epoch=_NONE)


def _answer(producer_id: ProducerId) -> InitProducerIdResponse:
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)
