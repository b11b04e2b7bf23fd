"""UnregisterBroker: forget a broker that is gone for good; one that is live is refused.

Version 0. Kafka unregisters a live broker as well, whose partitions then lose their leader. Here that is
INVALID_REQUEST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from replication.metadata_commands import UnregisterBroker

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


async def handle(
    broker: Broker, request: UnregisterBrokerRequest, context: RequestContext
) -> UnregisterBrokerResponse:
    """Answer when the broker is forgotten."""
    try:
        if not may_on_cluster(broker, context, Operation.ALTER):
            raise BrokerError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        await broker.metadata.submit(UnregisterBroker(request.broker_id))
    except BrokerError as refusal:
        return UnregisterBrokerResponse(error_code=refusal.code, error_message=refusal.text)
    return UnregisterBrokerResponse(error_message=None)
