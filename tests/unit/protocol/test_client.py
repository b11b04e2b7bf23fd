"""The client's side of a connection against hand-made broker bytes."""

from __future__ import annotations

import struct
from typing import cast

import pytest

from protocol.client import ClientConnection, Response, response_type_of
from protocol.codec import decode, encode_bytes
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.message import Message
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.produce import ProduceRequest

RANGES = {0: (0, 9), 1: (4, 12), 3: (0, 12), 18: (0, 4)}


def outgoing(connection: ClientConnection) -> bytes:
    return b"".join(cast("list[bytes]", connection.take_outgoing()))


def framed(correlation_id: int, body: bytes, *, tags: bytes = b"") -> bytes:
    return struct.pack(">ii", 4 + len(tags) + len(body), correlation_id) + tags + body


def versions_response(version: int, code: int = 0) -> bytes:
    rows = [
        ApiVersionsResponse.ApiVersion(api_key=k, min_version=a, max_version=b)
        for k, (a, b) in RANGES.items()
    ]
    return encode_bytes(ApiVersionsResponse(error_code=code, api_keys=rows), version)


def connected() -> ClientConnection:
    connection = ClientConnection(client_id="me")
    connection.handshake()
    outgoing(connection)
    connection.receive_data(framed(0, versions_response(4)))
    assert connection.next_response() is None
    return connection


def test_handshake_tells_versions() -> None:
    connection = ClientConnection(client_id="me", software=("probe", "1.2"))
    connection.handshake()
    sent = outgoing(connection)
    size, key, version, correlation_id, id_size = struct.unpack_from(">ihhih", sent)
    assert (size, key, version, correlation_id, id_size) == (len(sent) - 4, 18, 4, 0, 2)
    assert sent[14:17] == b"me\x00"
    body = decode(ApiVersionsRequest, 4, sent, 17)
    assert (body.client_software_name, body.client_software_version) == ("probe", "1.2")
    assert connection.versions is None
    connection.receive_data(framed(0, versions_response(4)))
    assert connection.next_response() is None
    assert connection.versions == RANGES
    assert connection.in_flight == 0


@pytest.mark.parametrize(("served", "again"), [(3, 3), (0, 0), (None, 0)])
def test_fallback_to_a_version_the_broker_names(served: int | None, again: int) -> None:
    """Error 35 comes in the layout of version 0; some brokers name their range for key 18, old ones nothing."""
    connection = ClientConnection()
    connection.handshake()
    outgoing(connection)
    rows = (
        []
        if served is None
        else [ApiVersionsResponse.ApiVersion(api_key=18, min_version=0, max_version=served)]
    )
    refusal = encode_bytes(ApiVersionsResponse(error_code=35, api_keys=rows), 0)
    connection.receive_data(framed(0, refusal))
    assert connection.next_response() is None
    assert connection.versions is None
    sent = outgoing(connection)
    assert struct.unpack_from(">hhi", sent, 4) == (18, again, 1)
    connection.receive_data(framed(1, versions_response(again)))
    assert connection.next_response() is None
    assert connection.versions == RANGES


@pytest.mark.parametrize(
    "body",
    [
        encode_bytes(ApiVersionsResponse(error_code=42), 4),
        encode_bytes(
            ApiVersionsResponse(
                error_code=35,
                api_keys=[ApiVersionsResponse.ApiVersion(api_key=18, min_version=0, max_version=4)],
            ),
            0,
        ),
        b"",
        b"\x00",
    ],
)
def test_a_handshake_that_fails_ends_the_connection(body: bytes) -> None:
    connection = ClientConnection()
    connection.handshake()
    connection.receive_data(framed(0, body))
    with pytest.raises(ProtocolViolation):
        connection.next_response()


def test_the_highest_common_version_is_used() -> None:
    connection = connected()
    assert connection.version_for(MetadataRequest) == 12
    assert connection.version_for(MetadataRequest, 7) == 7
    connection.send(MetadataRequest(topics=[]))
    assert struct.unpack_from(">hhi", outgoing(connection), 4) == (3, 12, 1)


def test_no_common_version_sends_nothing() -> None:
    connection = connected()
    connection.versions = {3: (20, 30), 0: (0, 2)}
    for request in (MetadataRequest(), ProduceRequest(), FetchRequest()):
        with pytest.raises(BrokerError) as caught:
            connection.send(request)
        assert caught.value.code is ErrorCode.UNSUPPORTED_VERSION
    assert outgoing(connection) == b""
    assert connection.in_flight == 0


def test_a_version_is_needed_before_the_handshake() -> None:
    connection = ClientConnection(client_id=None)
    with pytest.raises(BrokerError):
        connection.send(MetadataRequest(topics=[]))
    connection.send(MetadataRequest(topics=[]), 1)
    assert outgoing(connection) == bytes.fromhex(
        "0000000e" + "0003" + "0001" + "00000000" + "ffff" + "00000000"
    )


def test_responses_in_pieces_of_every_size() -> None:
    """Flexible and plain response headers, answers in order, whatever the pieces."""
    stream = framed(1, encode_bytes(MetadataResponse(controller_id=7), 12), tags=b"\x00")
    stream += framed(2, encode_bytes(MetadataResponse(controller_id=8), 5))
    stream += framed(3, encode_bytes(MetadataResponse(controller_id=9), 12), tags=b"\x01\x63\x02ab")
    for size in range(1, len(stream) + 1):
        connection = connected()
        for version in (12, 5, 12):
            connection.send(MetadataRequest(topics=[], allow_auto_topic_creation=True), version)
        responses: list[Response] = []
        for start in range(0, len(stream), size):
            connection.receive_data(stream[start : start + size])
            while (response := connection.next_response()) is not None:
                responses.append(response)
        assert [(r.correlation_id, r.message.controller_id) for r in responses] == [  # type: ignore[attr-defined]
            (1, 7),
            (2, 8),
            (3, 9),
        ]
        assert connection.in_flight == 0


def test_produce_without_acks_expects_no_answer() -> None:
    connection = connected()
    assert connection.send(ProduceRequest(acks=0)) is None
    assert connection.in_flight == 0
    assert connection.send(ProduceRequest(acks=1)) == 2
    assert connection.in_flight == 1


def test_records_of_a_response_outlive_later_data() -> None:
    connection = connected()
    answer = FetchResponse(
        responses=[
            FetchResponse.FetchableTopicResponse(
                topic="t", partitions=[FetchResponse.PartitionData(records=b"batch bytes")]
            )
        ]
    )
    frames = b"".join(framed(i, encode_bytes(answer, 12), tags=b"\x00") for i in (1, 2))
    for _ in range(2):
        connection.send(FetchRequest())
    connection.receive_data(frames)
    first, second = connection.next_response(), connection.next_response()
    connection.receive_data(b"\xff" * 3)
    for response in (first, second):
        assert response is not None
        assert bytes(response.message.responses[0].partitions[0].records) == b"batch bytes"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(framed(9, b""), id="wrong correlation id"),
        pytest.param(struct.pack(">i", 3) + b"abc", id="too short for an id"),
        pytest.param(struct.pack(">i", -1), id="negative size"),
        pytest.param(struct.pack(">i", 1 << 20), id="beyond the bound"),
        pytest.param(framed(1, b"\x00"), id="a body that is no response"),
        pytest.param(framed(1, b"", tags=b"\xff"), id="broken tags"),
    ],
)
def test_violations(data: bytes) -> None:
    connection = ClientConnection(max_response_bytes=1 << 16)
    connection.handshake()
    connection.receive_data(framed(0, versions_response(4)))
    assert connection.next_response() is None
    connection.send(MetadataRequest(topics=[]))
    connection.receive_data(data)
    with pytest.raises(ProtocolViolation):
        connection.next_response()


def test_an_answer_nobody_asked_for() -> None:
    connection = connected()
    connection.receive_data(framed(1, b""))
    with pytest.raises(ProtocolViolation):
        connection.next_response()


@pytest.mark.parametrize(
    ("request_type", "response_type"),
    [
        (MetadataRequest, MetadataResponse),
        (FetchRequest, FetchResponse),
        (ApiVersionsRequest, ApiVersionsResponse),
    ],
)
def test_response_types(request_type: type[Message], response_type: type[Message]) -> None:
    assert response_type_of(request_type) is response_type
