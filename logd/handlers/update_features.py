"""UpdateFeatures: change the levels that features of the cluster are finalised at (KIP-584).

Versions 0–2. 1: kinds of downgrades, checking alone (KIP-778). 2: one answer for all features (KIP-1022). All features
change, or none, so versions 0 and 1 name a result per feature only when all went well. In version 0 nothing can be
downgraded: what it says of that, Kafka 4 passes over, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.update_features import UpdateFeaturesRequest, UpdateFeaturesResponse
from replication.metadata_commands import FeatureUpdate, UpdateFeatures

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_LAST_VERSION_WITH_RESULTS: Final = 1

_Result = UpdateFeaturesResponse.UpdatableFeatureResult


async def handle(
    broker: Broker, request: UpdateFeaturesRequest, context: RequestContext
) -> UpdateFeaturesResponse:
    """Answer when the new levels hold. Of a feature that is named twice the last word counts."""
    updates = {
        row.feature: FeatureUpdate(row.feature, row.max_version_level, row.upgrade_type)
        for row in request.feature_updates
    }
    try:
        if not may_on_cluster(broker, context, Operation.ALTER):
            raise BrokerError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        await broker.metadata.submit(UpdateFeatures(list(updates.values()), request.validate_only))
    except BrokerError as refusal:
        return UpdateFeaturesResponse(error_code=refusal.code, error_message=refusal.text)
    response = UpdateFeaturesResponse(error_message=None)
    if context.version <= _LAST_VERSION_WITH_RESULTS:
        response.results = [_Result(feature=feature, error_message=None) for feature in updates]
    return response
