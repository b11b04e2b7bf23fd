"""ApiVersions, DescribeCluster and InitProducerId over every version."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from logd.authorisation import Operation
from logd.dispatch import unsupported_version_response
from logd.handlers import api_versions, describe_cluster, init_producer_id
from logd.handlers.authorized_operations import CLUSTER_NAME, NOT_ASKED
from protocol.api import APIS, OWN_APIS
from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from protocol.messages.records_metadata import BrokerRegistrationChangeRecord
from replication.metadata_commands import RegisterBroker
from replication.metadata_image import MetadataDelta
from tests.support.handler_broker import CLUSTER_ID, HandlerBroker, answer, with_broker
from tests.support.metadata_store import NODE_ID
from tests.support.metadata_world import registration


async def versions(broker: HandlerBroker, version: int, **fields: Any) -> ApiVersionsResponse:
    if version >= 3:
        fields = {"client_software_name": "probe", "client_software_version": "1.0", **fields}
    response = await answer(api_versions.handle, broker, ApiVersionsRequest(**fields), version)
    assert isinstance(response, ApiVersionsResponse)
    return response


@pytest.mark.parametrize("version", range(6))
@pytest.mark.parametrize("name", ["logd", "probe", "logd-2", "Logd"])
def test_apis_of_our_own_are_listed_for_our_own_clients_only(name: str, version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        fields = {"client_software_name": name} if version >= 3 else {}
        response = await versions(broker, version, **fields)
        listed = {api.api_key for api in response.api_keys}
        expected = set(OWN_APIS) if name == "logd" and version >= 3 else set()
        assert listed - set(APIS) == expected

    with_broker(scenario)


@pytest.mark.parametrize("version", range(6))
def test_every_served_api_is_listed_with_its_range(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await versions(broker, version)
        assert response.error_code == 0
        listed = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
        assert listed == {spec.key: (spec.advertised_min, spec.max_version) for spec in APIS.values()}
        assert listed[0][0] == 0  # old librdkafka takes another minimum of Produce for "no compression"
        if version >= 3:
            assert {f.name: f.max_version_level for f in response.finalized_features} == {
                "group.version": 1,
                "metadata.version": 30,
                "transaction.version": 2,
            }
            # A range from 0 on is shown to who can read it.
            names = {"group.version", "metadata.version", "transaction.version"}
            shown = {f.name for f in response.supported_features}
            assert shown == (names if version >= 4 else {"metadata.version"})
            assert response.finalized_features_epoch == broker.metadata.image.offset

    with_broker(scenario)


def test_features_whose_range_begins_at_0_are_shown_from_version_4_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_versions, "SUPPORTED_FEATURES", {"old": (1, 2), "new": (0, 1)})

    async def scenario(broker: HandlerBroker) -> None:
        assert [f.name for f in (await versions(broker, 3)).supported_features] == ["old"]
        assert [f.name for f in (await versions(broker, 4)).supported_features] == ["old", "new"]

    with_broker(scenario)


@pytest.mark.parametrize("text", ["", "-a", "a-", ".a", "a b", "a\n", "ä", "a_b"])
@pytest.mark.parametrize("field", ["client_software_name", "client_software_version"])
def test_software_that_cannot_be_named_in_metrics_is_refused(field: str, text: str) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await versions(broker, 3, **{field: text})
        assert (response.error_code, response.api_keys) == (ErrorCode.INVALID_REQUEST, [])

    with_broker(scenario)


@pytest.mark.parametrize("text", ["a", "apache-kafka-java", "2.16.0", "librdkafka", "9", "1.0-rc.1"])
def test_software_names_in_use_are_taken(text: str) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        assert (await versions(broker, 5, client_software_name=text)).error_code == 0

    with_broker(scenario)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, ErrorCode.NONE),
        ({"cluster_id": CLUSTER_ID}, ErrorCode.NONE),
        ({"cluster_id": CLUSTER_ID, "node_id": NODE_ID}, ErrorCode.NONE),
        ({"cluster_id": "another", "node_id": NODE_ID}, ErrorCode.REBOOTSTRAP_REQUIRED),
        ({"cluster_id": CLUSTER_ID, "node_id": NODE_ID + 1}, ErrorCode.REBOOTSTRAP_REQUIRED),
    ],
)
def test_a_client_that_means_another_node_has_to_bootstrap_again(
    fields: dict[str, Any], code: ErrorCode
) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        assert (await versions(broker, 5, **fields)).error_code == code

    with_broker(scenario)


def test_the_answer_to_an_unknown_version_is_version_0_and_names_only_this_api() -> None:
    response = unsupported_version_response()
    body = encode_bytes(response, 0)
    assert body.hex() == "0023" + "00000001" + "0012" + "0000" + "0005"


async def describe(
    broker: HandlerBroker, version: int, listener: str = "PLAINTEXT", **fields: Any
) -> DescribeClusterResponse:
    response = await answer(
        describe_cluster.handle, broker, DescribeClusterRequest(**fields), version, listener=listener
    )
    assert isinstance(response, DescribeClusterResponse)
    return response


@pytest.mark.parametrize("version", range(3))
def test_the_cluster_in_every_version(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await describe(broker, version, include_cluster_authorized_operations=True)
        assert (response.error_code, response.cluster_id, response.controller_id) == (0, CLUSTER_ID, NODE_ID)
        (node,) = response.brokers
        assert (node.broker_id, node.host, node.port, node.is_fenced) == (NODE_ID, "host", 9001, False)
        assert response.cluster_authorized_operations == 8096
        assert (await describe(broker, version)).cluster_authorized_operations == NOT_ASKED
        assert (await describe(broker, version, listener="OTHER")).brokers == []

    with_broker(scenario)


def test_fenced_brokers_on_request() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        other = await broker.metadata.submit(RegisterBroker(registration(2)))
        fence = BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=other.broker_epoch, fenced=1)
        broker.metadata.image.replay(99, fence, MetadataDelta())
        assert [node.broker_id for node in (await describe(broker, 2)).brokers] == [1]
        response = await describe(broker, 2, include_fenced_brokers=True)
        assert [(node.broker_id, node.is_fenced) for node in response.brokers] == [(1, False), (2, True)]

    with_broker(scenario)


@pytest.mark.parametrize(
    ("endpoint_type", "code"),
    [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (3, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)],
)
def test_only_brokers_are_to_be_had_here(endpoint_type: int, code: ErrorCode) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await describe(broker, 1, endpoint_type=endpoint_type)
        assert (response.error_code, response.cluster_id, response.brokers) == (code, "", [])
        assert response.error_message

    with_broker(scenario)


async def init(broker: HandlerBroker, version: int, **fields: Any) -> InitProducerIdResponse:
    fields.setdefault("transactional_id", None)
    response = await answer(init_producer_id.handle, broker, InitProducerIdRequest(**fields), version)
    assert isinstance(response, InitProducerIdResponse)
    return response


@pytest.mark.parametrize("version", range(6))
def test_every_idempotent_producer_gets_an_id_of_its_own(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        responses = await asyncio.gather(*(init(broker, version) for _ in range(1500)))
        assert {(r.error_code, r.producer_epoch) for r in responses} == {(0, 0)}
        assert len({r.producer_id for r in responses}) == 1500
        assert broker.metadata.image.next_producer_id == 2000

    with_broker(scenario)


def test_a_former_identity_does_not_matter_without_a_transactional_id() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        first = await init(broker, 4)
        second = await init(broker, 4, producer_id=first.producer_id, producer_epoch=5)
        assert (second.error_code, second.producer_epoch) == (0, 0)
        assert second.producer_id != first.producer_id

    with_broker(scenario)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"transactional_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"producer_id": 5}, ErrorCode.INVALID_REQUEST),
        ({"producer_epoch": 5}, ErrorCode.INVALID_REQUEST),
        ({"transactional_id": "tx", "producer_id": 1}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_refused_producers_get_no_id(fields: dict[str, Any], code: ErrorCode) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await init(broker, 4, **fields)
        assert (response.error_code, response.producer_id, response.producer_epoch) == (code, -1, -1)
        assert broker.metadata.image.next_producer_id == 0

    with_broker(scenario)


def test_idempotent_writing_is_a_right() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        broker.denied = {(Operation.IDEMPOTENT_WRITE, CLUSTER_NAME)}
        assert (await init(broker, 4)).error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED

    with_broker(scenario)
