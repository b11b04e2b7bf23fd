"""What has settings, who may see and change them, and which node answers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import CLUSTER_NAME
from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


_DENIED: Final = {
    ConfigResourceType.TOPIC: (ResourceType.TOPIC, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
    ConfigResourceType.GROUP: (ResourceType.GROUP, ErrorCode.GROUP_AUTHORIZATION_FAILED),
}


_DIGITS_MAX: Final = 20


def resource_type(number: int) -> ConfigResourceType:
    """Raises: BrokerError INVALID_REQUEST."""
    try:
        return ConfigResourceType(number)
    except ValueError:
        raise BrokerError(ErrorCode.INVALID_REQUEST, f"unknown resource type {number}") from None


def check_allowed(
    broker: Broker, context: RequestContext, operation: Operation, kind: ConfigResourceType, name: str
) -> None:
    """Raises: BrokerError when the client may not do `operation` with the settings of a resource."""
    resource, code = _DENIED.get(kind, (ResourceType.CLUSTER, ErrorCode.CLUSTER_AUTHORIZATION_FAILED))
    if not broker.authorise(
        context, operation, resource, CLUSTER_NAME if resource is ResourceType.CLUSTER else name
    ):
        raise BrokerError(code)


def check_is_this_node(broker: Broker, name: str) -> None:
    """Each node answers for itself. Raises: BrokerError INVALID_REQUEST."""
    if not (name.isascii() and name.removeprefix("-").isdigit() and len(name) <= _DIGITS_MAX):
        raise BrokerError(ErrorCode.INVALID_REQUEST, f"a broker id is a number, not {name!r}")
    if int(name) != broker.node_id:
        raise BrokerError(
            ErrorCode.INVALID_REQUEST, f"this is broker {broker.node_id}: ask broker {name} for its settings"
        )
