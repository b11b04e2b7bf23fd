"""ApiVersions: what this broker serves, asked by a client before anything else.

Versions 0–5. 3: flexible, client software, features (KIP-511, KIP-584). 4: features whose range starts at 0 are shown
(KAFKA-17011: older clients refuse to read them). 5: the client names the node it means to talk to (KIP-1242).
The response header is always version 0, since a client that asks does not know yet what the broker understands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from protocol.api import APIS, OWN_SOFTWARE, SERVED_APIS
from protocol.errors import ErrorCode
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from replication.features import SUPPORTED_FEATURES

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.api import ApiSpec

_FIRST_VERSION_WITH_SOFTWARE: Final = 3
_FIRST_VERSION_WITH_ZERO_FEATURES: Final = 4
_FIRST_VERSION_WITH_NODE: Final = 5
_SOFTWARE: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?", re.ASCII)

_ApiVersion = ApiVersionsResponse.ApiVersion


def handle(broker: Broker, request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:
    """List what is served, or say why this client must not go on."""
    version = context.version
    if version >= _FIRST_VERSION_WITH_SOFTWARE and not _names_software(request):
        return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
    if version >= _FIRST_VERSION_WITH_NODE and _means_another(broker, request):
        return ApiVersionsResponse(error_code=ErrorCode.REBOOTSTRAP_REQUIRED)
    image = broker.metadata.image
    return ApiVersionsResponse(
        api_keys=[
            _ApiVersion(api_key=spec.key, min_version=spec.advertised_min, max_version=spec.max_version)
            for spec in _apis(request).values()
        ],
        supported_features=[
            ApiVersionsResponse.SupportedFeatureKey(name=name, min_version=lowest, max_version=highest)
            for name, (lowest, highest) in SUPPORTED_FEATURES.items()
            if lowest > 0 or version >= _FIRST_VERSION_WITH_ZERO_FEATURES
        ],
        # Clients believe the features of the highest epoch they have seen, so it has to rise with every change.
        finalized_features_epoch=image.offset,
        finalized_features=[
            ApiVersionsResponse.FinalizedFeatureKey(
                name=name, min_version_level=level, max_version_level=level
            )
            for name, level in image.features.items()
        ],
    )


def _apis(request: ApiVersionsRequest) -> dict[int, ApiSpec]:
    """What the client can know of: others' clients need not be troubled with what is not Kafka's."""
    return SERVED_APIS if request.client_software_name == OWN_SOFTWARE else APIS


def _names_software(request: ApiVersionsRequest) -> bool:
    """Whether name and version of the client's software can go into metrics and logs as they are."""
    return (
        _SOFTWARE.fullmatch(request.client_software_name) is not None
        and _SOFTWARE.fullmatch(request.client_software_version) is not None
    )


def _means_another(broker: Broker, request: ApiVersionsRequest) -> bool:
    """Whether the client expects another cluster or node at this address: its metadata is out of date."""
    if request.cluster_id is not None and request.cluster_id != broker.cluster_id:
        return True
    return request.node_id >= 0 and request.node_id != broker.node_id
