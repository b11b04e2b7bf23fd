"""DescribeCluster: the brokers, and which of them takes administrative requests.

Versions 0–2. 1: endpoint type (KIP-919). 2: fenced brokers on request (KIP-1073). Any broker takes administrative
requests, so the controller is the broker that is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.handlers.authorized_operations import NOT_ASKED, cluster_operations
from protocol.errors import ErrorCode
from protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_BROKERS: Final = 1
_CONTROLLERS: Final = 2


def handle(
    broker: Broker, request: DescribeClusterRequest, context: RequestContext
) -> DescribeClusterResponse:
    """List the brokers that are reachable on the listener that the client came in on."""
    if request.endpoint_type != _BROKERS:
        return _wrong_endpoint_type(request.endpoint_type)
    image = broker.metadata.image
    brokers = [image.brokers[node_id] for node_id in sorted(image.brokers)]
    return DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=[
            DescribeClusterResponse.DescribeClusterBroker(
                broker_id=registration.node_id,
                host=endpoint.host,
                port=endpoint.port,
                rack=registration.rack,
                is_fenced=registration.fenced,
            )
            for registration in brokers
            if (endpoint := registration.endpoints.get(context.listener)) is not None
            and (request.include_fenced_brokers or not registration.fenced)
        ],
        cluster_authorized_operations=(
            cluster_operations(broker, context)
            if request.include_cluster_authorized_operations
            else NOT_ASKED
        ),
    )


def _wrong_endpoint_type(endpoint_type: int) -> DescribeClusterResponse:
    if endpoint_type == _CONTROLLERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="controllers were asked for, at an endpoint of brokers",
        )
    return DescribeClusterResponse(
        error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
        error_message=f"endpoint type {endpoint_type} is not known",
    )
