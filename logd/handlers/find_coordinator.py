"""FindCoordinator: which broker coordinates a group, or a transactional id.

Versions 0–6. 0: groups only. 1: key types, error messages. 3: flexible. 4: many keys, each with its own error
(KIP-699). 6: share groups (KIP-932).

The internal topic is created when somebody first looks for a coordinator, and the answer waits for that; Kafka answers
COORDINATOR_NOT_AVAILABLE meanwhile, and clients ask again. There are no share groups: who looks for their coordinator
is refused, as by a Kafka that does not know them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from replication.partition_state import NO_LEADER

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.coordination.host import CoordinatorHost

_FIRST_VERSION_WITH_MANY: Final = 4

_CREATION_WAIT_MS: Final = 1_000
"""Less than any client waits for an answer."""

_Coordinator = FindCoordinatorResponse.Coordinator


class CoordinatorKind(IntEnum):
    """Whose coordinator is looked for (Kafka: CoordinatorType)."""

    GROUP = 0
    TRANSACTION = 1


def handle(
    broker: Broker, request: FindCoordinatorRequest, context: RequestContext
) -> FindCoordinatorResponse | Awaitable[FindCoordinatorResponse]:
    """Answer from memory, unless the internal topic has to be created first."""
    host = _host(broker, request.key_type)
    if host is not None and host.topic_name not in broker.metadata.image.topics:
        keys = _keys(request, context)
        if any(_refusal(broker, request, context, key) is ErrorCode.NONE for key in keys):
            return _create_and_answer(broker, host, request, context)
    return _answer(broker, host, request, context)


def _host(broker: Broker, key_type: int) -> CoordinatorHost | None:
    """Return the coordinator of a kind, None for a kind that there is none of."""
    match key_type:
        case CoordinatorKind.GROUP:
            return broker.groups
        case CoordinatorKind.TRANSACTION:
            return broker.transactions
        case _:
            return None


async def _create_and_answer(
    broker: Broker, host: CoordinatorHost, request: FindCoordinatorRequest, context: RequestContext
) -> FindCoordinatorResponse:
    with suppress(TimeoutError, BrokerError):  # no topic, no coordinator: which is what the answer then says
        await within(_CREATION_WAIT_MS, host.ensure_topic())
    return _answer(broker, host, request, context)


def _answer(
    broker: Broker, host: CoordinatorHost | None, request: FindCoordinatorRequest, context: RequestContext
) -> FindCoordinatorResponse:
    found = [_find(broker, host, request, context, key) for key in _keys(request, context)]
    if context.version >= _FIRST_VERSION_WITH_MANY:
        return FindCoordinatorResponse(coordinators=found)
    (one,) = found
    return FindCoordinatorResponse(
        error_code=one.error_code,
        error_message=one.error_message,
        node_id=one.node_id,
        host=one.host,
        port=one.port,
    )


def _keys(request: FindCoordinatorRequest, context: RequestContext) -> list[str]:
    return request.coordinator_keys if context.version >= _FIRST_VERSION_WITH_MANY else [request.key]


def _find(
    broker: Broker,
    host: CoordinatorHost | None,
    request: FindCoordinatorRequest,
    context: RequestContext,
    key: str,
) -> _Coordinator:
    code = _refusal(broker, request, context, key)
    if code is ErrorCode.NONE:
        assert host is not None
        broker_and_address = _leader_of(broker, host, context, key)
        if broker_and_address is not None:
            node_id, address, port = broker_and_address
            return _Coordinator(key=key, node_id=node_id, host=address, port=port, error_message=None)
        code = ErrorCode.COORDINATOR_NOT_AVAILABLE
    return _Coordinator(key=key, node_id=-1, host="", port=-1, error_code=code, error_message=code.text)


def _refusal(broker: Broker, request: FindCoordinatorRequest, context: RequestContext, key: str) -> ErrorCode:
    """Return why there is no coordinator to look for, NONE when there is."""
    match request.key_type:
        case CoordinatorKind.GROUP:
            resource, refusal = ResourceType.GROUP, ErrorCode.GROUP_AUTHORIZATION_FAILED
        case CoordinatorKind.TRANSACTION:
            resource = ResourceType.TRANSACTIONAL_ID
            refusal = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        case _:
            return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE if broker.authorise(context, Operation.DESCRIBE, resource, key) else refusal


def _leader_of(
    broker: Broker, host: CoordinatorHost, context: RequestContext, key: str
) -> tuple[int, str, int] | None:
    """Return the node, host and port of the broker that leads the partition of `key`, where the client came in."""
    index = host.partition_of(key)
    if index is None:
        return None
    image = broker.metadata.image
    leader_id = image.topics[host.topic_name].partitions[index].leader_id
    if leader_id == NO_LEADER or (
        leader_id == broker.node_id and broker.replicas.is_offline(host.topic_name, index)
    ):
        return None
    registration = image.brokers.get(leader_id)
    if registration is None or registration.fenced:
        return None
    endpoint = registration.endpoints.get(context.listener)
    return None if endpoint is None else (leader_id, endpoint.host, endpoint.port)
