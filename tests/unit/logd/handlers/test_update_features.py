"""UpdateFeatures over every version, and what the other APIs make of features."""

from __future__ import annotations

from typing import Any

import pytest

from logd.authorisation import Operation
from logd.handlers import api_versions, consumer_group_describe, consumer_group_heartbeat, update_features
from logd.handlers.authorized_operations import CLUSTER_NAME
from protocol.errors import ErrorCode
from protocol.messages.api_versions import ApiVersionsRequest
from protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.update_features import UpdateFeaturesRequest, UpdateFeaturesResponse
from tests.support.handler_broker import HandlerBroker, answer, with_broker

GROUPS = "group.version"
UPGRADE, SAFE = 1, 2

_Update = UpdateFeaturesRequest.FeatureUpdateKey


async def put(
    broker: HandlerBroker, version: int, *updates: tuple[str, int, int], **fields: Any
) -> UpdateFeaturesResponse:
    request = UpdateFeaturesRequest(
        feature_updates=[
            _Update(feature=feature, max_version_level=level, upgrade_type=kind, allow_downgrade=kind == SAFE)
            if version
            else _Update(feature=feature, max_version_level=level, allow_downgrade=kind == SAFE)
            for feature, level, kind in updates
        ],
        **fields,
    )
    response = await answer(update_features.handle, broker, request, version)
    assert isinstance(response, UpdateFeaturesResponse)
    return response


@pytest.mark.parametrize("version", [1, 2])
def test_a_level_that_was_changed_is_told_to_clients(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        before = broker.metadata.image.offset
        response = await put(broker, version, (GROUPS, 0, SAFE))
        assert (response.error_code, response.error_message) == (ErrorCode.NONE, None)
        names = [(row.feature, row.error_code, row.error_message) for row in response.results]
        assert names == ([(GROUPS, 0, None)] if version == 1 else [])
        told = await answer(api_versions.handle, broker, ApiVersionsRequest(), 0)
        assert told.error_code == 0
        request = ApiVersionsRequest(client_software_name="probe", client_software_version="1")
        told = await answer(api_versions.handle, broker, request, 4)
        assert GROUPS not in [row.name for row in told.finalized_features]
        assert told.finalized_features_epoch > before

    with_broker(scenario)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_refusal_stands_for_all_features(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await put(broker, version, (GROUPS, 0, UPGRADE), ("metadata.version", 30, UPGRADE))
        assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
        assert GROUPS in str(response.error_message)
        assert response.results == []
        assert broker.metadata.image.features[GROUPS] == 1

    with_broker(scenario)


def test_version_0_cannot_downgrade() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await put(broker, 0, (GROUPS, 0, SAFE))
        assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION

    with_broker(scenario)


def test_the_last_word_on_a_feature_counts() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await put(broker, 1, (GROUPS, 9, UPGRADE), (GROUPS, 0, SAFE))
        assert response.error_code == ErrorCode.NONE
        assert [row.feature for row in response.results] == [GROUPS]
        assert GROUPS not in broker.metadata.image.features

    with_broker(scenario)


def test_checking_alone() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await put(broker, 2, (GROUPS, 0, SAFE), validate_only=True)
        assert response.error_code == ErrorCode.NONE
        assert broker.metadata.image.features[GROUPS] == 1

    with_broker(scenario)


def test_without_the_right_nothing_changes() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        broker.denied.add((Operation.ALTER, CLUSTER_NAME))
        response = await put(broker, 2, (GROUPS, 0, SAFE))
        assert response.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        assert broker.metadata.image.features[GROUPS] == 1

    with_broker(scenario)


def test_consumer_groups_that_were_taken_back_are_refused() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await put(broker, 2, (GROUPS, 0, SAFE))
        beat = ConsumerGroupHeartbeatRequest(group_id="g", member_id="m")
        response = await answer(consumer_group_heartbeat.handle, broker, beat, 1)
        assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
        ask = ConsumerGroupDescribeRequest(group_ids=["g", "h"])
        response = await answer(consumer_group_describe.handle, broker, ask, 1)
        assert [row.error_code for row in response.groups] == [ErrorCode.UNSUPPORTED_VERSION] * 2

    with_broker(scenario)
