"""From frames to handlers and back, over a node's real sockets; handlers are replaced where a fault is wanted."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from logd.context import RequestContext
from logd.dispatch import Dispatcher
from protocol.api import APIS, SERVED_APIS, ApiSpec, message_types
from protocol.codec import decode, encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from protocol.messages.message import Message
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.produce import ProduceResponse
from storage.fs.faulty import FaultyFileSystem
from tests.support.logs import make_batch
from tests.support.node import (
    LONG_MS,
    Disk,
    Node,
    RawPeer,
    a_while,
    eventually,
    fetch_request,
    header,
    play,
    produce_request,
    wanted,
)
from tests.support.node_talk import BY_NAME, raw_produce, topic_with

PRODUCE, FETCH, METADATA, API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID, DESCRIBE_CLUSTER = (
    0,
    1,
    3,
    18,
    19,
    22,
    60,
)
NO_API = 999


def dispatcher(node: Node) -> Dispatcher:
    found = node.broker._server.dispatch.__self__  # type: ignore[attr-defined]
    assert isinstance(found, Dispatcher)
    return found


def replace_handler(node: Node, api_key: int, handle: Callable[..., Any]) -> None:
    dispatcher(node)._open_route(api_key).handle = handle


def metadata(correlation_id: int, version: int = 9, client_id: bytes | None = b"raw") -> bytes:
    flexible = version >= 9
    body = encode_bytes(MetadataRequest(topics=[], allow_auto_topic_creation=False), version)
    return header(METADATA, version, correlation_id, client_id, flexible=flexible) + body


def create(correlation_id: int, topic: str) -> bytes:
    wanted = CreateTopicsRequest.CreatableTopic(name=topic, num_partitions=1, replication_factor=1)
    body = encode_bytes(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 7)
    return header(CREATE_TOPICS, 7, correlation_id, flexible=True) + body


def correlation(answer: bytes) -> int:
    return int.from_bytes(answer[:4], "big")


def scenario_over_one_connection(talk: Callable[[Node, RawPeer], Awaitable[None]], **options: Any) -> None:
    async def scenario(node: Node) -> None:
        await talk(node, await node.peer())

    play(scenario, **options)


# -- what is not served -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(header(NO_API, 0, 2), id="unknown api"),
        pytest.param(header(-1, 0, 2), id="negative api"),
        pytest.param(header(METADATA, 99, 2), id="version above"),
        pytest.param(header(METADATA, -1, 2), id="version below"),
        pytest.param(header(PRODUCE, 2, 2), id="advertised but not served"),
        pytest.param(b"", id="empty"),
        pytest.param(header(METADATA, 1, 2, None)[:-1], id="cut header"),
        pytest.param(struct.pack(">hhih", METADATA, 1, 2, 5) + b"abc", id="client id beyond the frame"),
        pytest.param(struct.pack(">hhih", API_VERSIONS, 0, 2, 5) + b"abc", id="client id and nothing else"),
        pytest.param(header(METADATA, 1, 2, b"\xff\xfe"), id="client id not UTF-8"),
        pytest.param(header(METADATA, 9, 2) + b"\x01", id="tagged field cut off"),
        pytest.param(metadata(2)[:-1], id="cut body"),
        pytest.param(header(METADATA, 1, 2) + struct.pack(">i", 1 << 30), id="array beyond the frame"),
    ],
)
def test_what_cannot_be_answered_ends_the_connection_behind_earlier_answers(
    frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(node: Node) -> None:
        peer, other = await node.peer(), await node.peer()
        peer.send(metadata(1), frame, metadata(3))
        assert correlation(await peer.answer()) == 1
        assert await peer.at_end()
        other.send(metadata(4))
        assert correlation(await other.answer()) == 4

    with caplog.at_level(logging.WARNING):
        play(scenario)
    (record,) = [record for record in caplog.records if record.name == "logd.connection"]
    assert record.levelno == logging.WARNING
    assert "127.0.0.1" in record.getMessage() and "PLAINTEXT" in record.getMessage()


@pytest.mark.parametrize("version", [6, 99, -1, -32768])
def test_versions_of_api_versions_that_are_not_served_are_told_what_is(version: int) -> None:
    """The body is not looked at, and the answer is in version 0, under a header of version 0 (KIP-511)."""

    async def talk(node: Node, peer: RawPeer) -> None:
        peer.send(header(API_VERSIONS, version, 7) + b"\xff not to be read", metadata(8))
        answer = await peer.answer()
        assert correlation(answer) == 7
        response = decode(ApiVersionsResponse, 0, answer, 4)
        assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
        spec = APIS[API_VERSIONS]
        assert [(row.api_key, row.min_version, row.max_version) for row in response.api_keys] == [
            (API_VERSIONS, spec.min_version, spec.max_version)
        ]
        assert correlation(await peer.answer()) == 8

    scenario_over_one_connection(talk)


# -- headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(APIS[API_VERSIONS].max_version + 1))
def test_api_versions_is_answered_under_header_zero(version: int) -> None:
    async def talk(node: Node, peer: RawPeer) -> None:
        request = ApiVersionsRequest(client_software_name="t", client_software_version="1", node_id=-1)
        if version < 5:
            request = ApiVersionsRequest(client_software_name="t", client_software_version="1")
        flexible = version >= 3
        peer.send(header(API_VERSIONS, version, 1, flexible=flexible) + encode_bytes(request, version))
        response = decode(ApiVersionsResponse, version, await peer.answer(), 4)
        assert response.error_code == 0
        assert {row.api_key for row in response.api_keys} == set(APIS)

    scenario_over_one_connection(talk)


def test_only_flexible_versions_have_tags_in_the_header() -> None:
    async def talk(node: Node, peer: RawPeer) -> None:
        peer.send(metadata(1, version=8), metadata(2, version=9))
        assert decode(MetadataResponse, 8, await peer.answer(), 4).brokers
        answer = await peer.answer()
        assert answer[4] == 0
        assert decode(MetadataResponse, 9, answer, 5).brokers

    scenario_over_one_connection(talk)


def test_unknown_tags_in_the_header_are_skipped() -> None:
    async def talk(node: Node, peer: RawPeer) -> None:
        request = encode_bytes(MetadataRequest(topics=[]), 9)
        peer.send(header(METADATA, 9, 1) + b"\x02" + b"\x00\x03abc" + b"\x7f\x00" + request)
        assert decode(MetadataResponse, 9, await peer.answer(), 5).brokers

    scenario_over_one_connection(talk)


@pytest.mark.parametrize("behind", [b"\0", b"\0\0\0", b"what is this"])
def test_what_stands_behind_a_request_is_passed_over(behind: bytes) -> None:
    """As in Kafka; the first two of each kind are as they should be, so that the next may try the short way."""

    async def scenario(node: Node) -> None:
        await topic_with(await node.client(), 1)
        peer = await node.peer()
        body = encode_bytes(
            fetch_request(("t", wanted(0, 0, partition_max_bytes=1)), session_epoch=-1), BY_NAME
        )
        fetch = header(FETCH, BY_NAME, 1, flexible=True) + body
        peer.send(fetch, fetch, fetch + behind, fetch + behind)
        expected = await peer.answer()
        assert bytes(make_batch())[21:] in expected
        assert [await peer.answer() for _ in range(3)] == [expected] * 3
        ends = [raw_produce(number, make_batch(), acks=1) for number in range(4)]
        peer.send(ends[0], ends[1], ends[2] + behind, ends[3] + behind, metadata(4) + behind)
        for number in range(4):
            answer = await peer.answer()
            (topic,) = decode(ProduceResponse, BY_NAME, answer, 5).responses
            (partition,) = topic.partition_responses
            assert (correlation(answer), partition.error_code) == (number, 0)
            assert partition.base_offset == number + 1
        assert decode(MetadataResponse, 9, await peer.answer(), 5).brokers

    play(scenario)


def test_each_request_has_its_own_client_id() -> None:
    seen: list[str | None] = []

    async def talk(node: Node, peer: RawPeer) -> None:
        def handle(_broker: object, _request: object, context: RequestContext) -> Message:
            assert (context.api_key, context.listener, context.peer) == (METADATA, "PLAINTEXT", "127.0.0.1")
            assert not context.closed
            seen.append(context.client_id)
            return MetadataResponse()

        replace_handler(node, METADATA, handle)
        ids = [b"", b"a", b"a", None, b"a", b"b", "ü".encode(), b"", None]
        for number, client_id in enumerate(ids):
            peer.send(metadata(number, client_id=client_id))
            assert correlation(await peer.answer()) == number

    scenario_over_one_connection(talk)
    assert seen == ["", "a", "a", None, "a", "b", "ü", "", None]


# -- order --------------------------------------------------------------------------------------------------------


def test_answers_come_in_the_order_of_requests_although_some_take_longer() -> None:
    disk = Disk(FaultyFileSystem())

    async def talk(node: Node, peer: RawPeer) -> None:
        disk.hold_syncs("__cluster_metadata")
        peer.send(metadata(1), create(2, "slow"), metadata(3), create(4, "slow"), metadata(5))
        assert correlation(await peer.answer()) == 1
        await a_while()
        assert "slow" not in node.broker.metadata.image.topics
        disk.let_go()
        answers = [await peer.answer() for _ in range(4)]
        assert [correlation(answer) for answer in answers] == [2, 3, 4, 5]
        codes = [
            decode(CreateTopicsResponse, 7, answer, 5).topics[0].error_code
            for answer in (answers[0], answers[2])
        ]
        assert codes == [0, ErrorCode.TOPIC_ALREADY_EXISTS]

    scenario_over_one_connection(talk, fs=disk.fs)


def test_a_client_that_leaves_while_its_request_is_worked_on() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        peer = await node.peer()
        disk.hold_syncs("__cluster_metadata")
        peer.send(create(1, "wanted"))
        await a_while()
        peer.reset()
        await eventually(lambda: not node.broker._server.connections)
        disk.let_go()
        await eventually(lambda: "wanted" in node.broker.metadata.image.topics)
        await eventually(lambda: not dispatcher(node)._tasks)

    play(scenario, fs=disk.fs)


# -- faults of our own --------------------------------------------------------------------------------------------


class Bug(Exception):
    pass


def fail(*_: object) -> Message:
    raise Bug("planted")


async def fail_later(*_: object) -> Message:
    await asyncio.sleep(0)
    raise Bug("planted")


def fail_while_deferred(_broker: object, _request: object, context: RequestContext) -> Message:
    context.defer()
    raise Bug("planted")


def answer_nonsense(*_: object) -> Message:
    return DescribeClusterResponse(error_message=17)  # type: ignore[arg-type]


async def answer_nonsense_later(*_: object) -> Message:
    await asyncio.sleep(0)
    return answer_nonsense()


def answer_what_the_version_lacks(*_: object) -> Message:
    return DescribeClusterResponse(endpoint_type=2)


HANDLERS = [
    fail,
    fail_later,
    fail_while_deferred,
    answer_nonsense,
    answer_nonsense_later,
    answer_what_the_version_lacks,
]


@pytest.mark.parametrize("handle", HANDLERS)
def test_a_bug_is_logged_answered_and_parts_from_the_client(
    handle: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(node: Node) -> None:
        peer, other = await node.peer(), await node.peer()
        replace_handler(node, DESCRIBE_CLUSTER, handle)
        request = header(DESCRIBE_CLUSTER, 0, 2, b"victim", flexible=True)
        peer.send(metadata(1), request + encode_bytes(DescribeClusterRequest(), 0), metadata(3))
        assert correlation(await peer.answer()) == 1
        answer = await peer.answer()
        assert correlation(answer) == 2
        response = decode(DescribeClusterResponse, 0, answer, 5)
        assert response.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
        if handle in (fail, answer_nonsense):
            assert await peer.at_end()
        other.send(metadata(4))
        assert correlation(await other.answer()) == 4
        await eventually(lambda: len(node.broker._server.connections) == 1)

    with caplog.at_level(logging.INFO):
        play(scenario)
    (record,) = [record for record in caplog.records if record.name == "logd.dispatch"]
    assert record.levelno == logging.ERROR and record.exc_info
    assert "DescribeCluster" in record.getMessage() and "victim" in record.getMessage()


@pytest.mark.parametrize("spec", SERVED_APIS.values(), ids=lambda spec: spec.name)
def test_a_bug_in_any_handler_of_any_version_ends_the_connection_and_nothing_else(spec: ApiSpec) -> None:
    request_type, response_type = message_types(spec)

    async def scenario(node: Node) -> None:
        replace_handler(node, spec.key, fail)
        for version in range(spec.min_version, spec.max_version + 1):
            peer = await node.peer()
            flexible = version >= spec.first_flexible
            body = encode_bytes(request_type(), version)
            peer.send(header(spec.key, version, 5, flexible=flexible) + body)
            try:
                answer = await peer.answer()
            except asyncio.IncompleteReadError:
                pass  # nowhere to put the code
            else:
                start = 5 if flexible and spec.key != API_VERSIONS else 4
                response: Any = decode(response_type, version, answer, start)
                assert response.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
                assert await peer.at_end()

    play(scenario)


def test_a_bug_before_the_handler_ends_the_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """It once left the connection mute: neither answered nor closed."""

    async def scenario(node: Node) -> None:
        peer, other = await node.peer(), await node.peer()
        broken: Any = dispatcher(node)
        open_route = broken._open_route

        def fails_once(_api_key: int) -> Any:
            broken._open_route = open_route
            raise Bug("planted")

        broken._open_route = fails_once
        peer.send(metadata(1))
        assert await peer.at_end()
        other.send(metadata(2))
        assert correlation(await other.answer()) == 2

    with caplog.at_level(logging.ERROR):
        play(scenario)
    assert any(record.exc_info and record.name == "logd.connection" for record in caplog.records)


def test_who_waits_is_woken_although_the_writer_was_cut_off() -> None:
    """What a client wrote in the same turn that ended its connection once woke nobody until the next turn."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        reader = asyncio.ensure_future(client.fetch("t", 0, 0, max_wait_ms=10 * LONG_MS))
        await eventually(lambda: len(node.broker.delayed) == 1)
        replace_handler(node, METADATA, fail)
        peer = await node.peer()
        request = encode_bytes(produce_request({("t", 0): make_batch()}, acks=1), 9)
        peer.send(header(PRODUCE, 9, 1, flexible=True) + request, metadata(2))
        assert (await reader).high_watermark == 1

    play(scenario)
