"""ListConfigResources: what has settings that can be described.

Versions 0–1. 0: client metrics alone, of which there are none (KIP-714). 1: every kind, or those asked for (KIP-1142).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.config_resources import check_allowed
from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.list_config_resources import ListConfigResourcesRequest, ListConfigResourcesResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logd.broker import Broker
    from logd.context import RequestContext


def handle(
    broker: Broker, request: ListConfigResourcesRequest, context: RequestContext
) -> ListConfigResourcesResponse:
    """List the resources of the kinds asked for; all kinds when none is named."""
    kinds = request.resource_types or list(ConfigResourceType)
    if context.version == 0:
        kinds = [ConfigResourceType.CLIENT_METRICS]
    try:
        check_allowed(broker, context, Operation.DESCRIBE_CONFIGS, ConfigResourceType.BROKER, "")
    except BrokerError as refusal:
        return ListConfigResourcesResponse(error_code=refusal.code)
    if not set(kinds) <= set(ConfigResourceType):
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    return ListConfigResourcesResponse(
        config_resources=[
            ListConfigResourcesResponse.ConfigResource(resource_name=name, resource_type=kind)
            for kind in dict.fromkeys(kinds)
            for name in _names(broker, context, kind)
        ]
    )


def _names(broker: Broker, context: RequestContext, kind: int) -> Iterable[str]:
    image = broker.metadata.image
    match kind:
        case ConfigResourceType.TOPIC:
            return image.topics
        case ConfigResourceType.BROKER | ConfigResourceType.BROKER_LOGGER:
            return [
                str(registration.node_id)
                for registration in image.live_brokers()
                if context.listener in registration.endpoints
            ]
        case ConfigResourceType.GROUP:  # those that have settings; whether there is such a group, others know
            return [name for resource_type, name in image.configured() if resource_type == kind]
        case _:
            return ()
