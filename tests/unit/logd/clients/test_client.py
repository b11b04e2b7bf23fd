"""The asyncio client against a server of a few lines that answers as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from logd.clients.client import Client
from protocol.codec import decode, encode_bytes
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.api_versions import ApiVersionsResponse
from protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from protocol.messages.message import Message
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.primitives import skip_tagged_fields

REQUESTS: dict[int, type[Message]] = {
    0: ProduceRequest,
    1: FetchRequest,
    2: ListOffsetsRequest,
    3: MetadataRequest,
    19: CreateTopicsRequest,
}

Answer = Callable[[Any], Message | None]


class Server:
    """Answers each request with what `answer` makes of it, silent on None; keeps what it got."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.got: list[tuple[int, Any]] = []
        self.connections: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                frame = await reader.readexactly(size)
                key, version, correlation_id, id_size = struct.unpack_from(">hhih", frame)
                position = 10 + max(id_size, 0)
                if key == 18:
                    self._send(writer, correlation_id, b"", _versions(version))
                    continue
                request_type = REQUESTS[key]
                flexible = request_type.FIRST_FLEXIBLE is not None and version >= request_type.FIRST_FLEXIBLE
                if flexible:
                    position = skip_tagged_fields(frame, position)
                request = decode(request_type, version, frame, position)
                self.got.append((version, request))
                answer = self.answer(request)
                if answer is not None:
                    self._send(writer, correlation_id, b"\x00" * flexible, encode_bytes(answer, version))

    def _send(self, writer: asyncio.StreamWriter, correlation_id: int, tags: bytes, body: bytes) -> None:
        writer.write(struct.pack(">ii", 4 + len(tags) + len(body), correlation_id) + tags + body)


def _versions(version: int) -> bytes:
    rows = [
        ApiVersionsResponse.ApiVersion(api_key=key, min_version=0, max_version=kind.VERSIONS[1])
        for key, kind in REQUESTS.items()
    ]
    return encode_bytes(ApiVersionsResponse(api_keys=rows), version)


@contextlib.asynccontextmanager
async def connected(answer: Answer) -> AsyncIterator[tuple[Server, Client]]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    client = await Client.connect("127.0.0.1", listener.sockets[0].getsockname()[1])
    try:
        yield server, client
    finally:
        await client.close()
        listener.close()
        for writer in server.connections:
            writer.close()
        await listener.wait_closed()


def run(test: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def test_produce() -> None:
    answered = ProduceResponse.PartitionProduceResponse(index=3, base_offset=70)

    def answer(request: ProduceRequest) -> ProduceResponse | None:
        if request.acks == 0:
            return None
        topic = ProduceResponse.TopicProduceResponse(name="t", partition_responses=[answered])
        return ProduceResponse(responses=[topic])

    async def test() -> None:
        async with connected(answer) as (server, client):
            result = await client.produce("t", 3, bytearray(b"batch"))
            assert result is not None
            assert result.base_offset == 70
            version, request = server.got[0]
            assert version == 12, "13 names topics by id only"
            assert (request.acks, request.timeout_ms) == (-1, 30_000)
            (topic,) = request.topic_data
            assert (topic.name, topic.partition_data[0].index) == ("t", 3)
            assert bytes(topic.partition_data[0].records) == b"batch"
            assert await client.produce("t", 3, b"batch", acks=0) is None
            answered.error_code = ErrorCode.MESSAGE_TOO_LARGE
            answered.error_message = "too large"
            with pytest.raises(BrokerError) as caught:
                await client.produce("t", 3, b"batch")
            assert (caught.value.code, caught.value.message) == (ErrorCode.MESSAGE_TOO_LARGE, "too large")

    run(test())


@pytest.mark.parametrize("where", ["partition", "top"])
def test_fetch(where: str) -> None:
    error = {"partition": 0, "top": 0}

    def answer(_request: FetchRequest) -> FetchResponse:
        row = FetchResponse.PartitionData(
            partition_index=1, error_code=error["partition"], high_watermark=9, records=b"abc"
        )
        topic = FetchResponse.FetchableTopicResponse(topic="t", partitions=[row])
        return FetchResponse(error_code=error["top"], responses=[topic])

    async def test() -> None:
        async with connected(answer) as (server, client):
            result = await client.fetch(
                "t", 1, 5, max_bytes=77, min_bytes=2, max_wait_ms=3, read_committed=True
            )
            assert (result.high_watermark, bytes(cast("bytes", result.records))) == (9, b"abc")
            version, request = server.got[0]
            assert version == 12
            assert (request.isolation_level, request.min_bytes, request.max_wait_ms) == (1, 2, 3)
            asked = request.topics[0].partitions[0]
            assert (asked.partition, asked.fetch_offset, asked.partition_max_bytes) == (1, 5, 77)
            error[where] = ErrorCode.OFFSET_OUT_OF_RANGE
            with pytest.raises(BrokerError) as caught:
                await client.fetch("t", 1, 5)
            assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE

    run(test())


def test_list_offset_metadata_and_create_topic() -> None:
    def answer(request: Any) -> Message:
        if isinstance(request, ListOffsetsRequest):
            row = ListOffsetsResponse.ListOffsetsPartitionResponse(offset=42)
            return ListOffsetsResponse(
                topics=[ListOffsetsResponse.ListOffsetsTopicResponse(partitions=[row])]
            )
        if isinstance(request, MetadataRequest):
            return MetadataResponse(controller_id=5)
        code = 36 if request.topics[0].name == "twice" else 0
        topic = CreateTopicsResponse.CreatableTopicResult(name="t", topic_id=b"i" * 16, error_code=code)
        return CreateTopicsResponse(topics=[topic])

    async def test() -> None:
        async with connected(answer) as (server, client):
            assert await client.list_offset("t", 0, -2) == 42
            assert (await client.metadata()).controller_id == 5
            await client.metadata(["a"])
            assert server.got[1][1].topics is None
            assert server.got[2][1].topics[0].name == "a"
            created = await client.create_topic("t", partitions=4, configs={"cleanup.policy": "compact"})
            assert created.topic_id == b"i" * 16
            asked = server.got[3][1].topics[0]
            assert (asked.num_partitions, asked.configs[0].name, asked.configs[0].value) == (
                4,
                "cleanup.policy",
                "compact",
            )
            with pytest.raises(BrokerError) as caught:
                await client.create_topic("twice")
            assert caught.value.code is ErrorCode.TOPIC_ALREADY_EXISTS

    run(test())


def test_calls_overlap_and_keep_their_answers() -> None:
    count = iter(range(100))

    async def test() -> None:
        async with connected(lambda _: MetadataResponse(controller_id=next(count))) as (_, client):
            answers = await asyncio.gather(*(client.metadata() for _ in range(50)))
            assert [answer.controller_id for answer in answers] == list(range(50))

    run(test())


def test_a_call_that_was_given_up_does_not_confuse_the_next() -> None:
    hold = [True]

    async def test() -> None:
        answers: list[MetadataRequest] = []

        def answer(request: MetadataRequest) -> MetadataResponse | None:
            answers.append(request)
            return None if hold[0] else MetadataResponse(controller_id=len(answers))

        async with connected(answer) as (server, client):
            with pytest.raises(TimeoutError):
                await client.call(MetadataRequest(topics=[]), timeout_s=0.05)
            hold[0] = False
            body = encode_bytes(MetadataResponse(controller_id=99), 13)
            server._send(server.connections[0], 1, b"\x00", body)  # the late answer, in its turn
            assert (await client.metadata()).controller_id == 2

    run(test())


def test_a_lost_connection_fails_what_waits() -> None:
    async def test() -> None:
        async with connected(lambda _: None) as (server, client):
            waiting = asyncio.ensure_future(client.metadata())
            await asyncio.sleep(0.02)
            server.connections[0].transport.abort()
            with pytest.raises(ConnectionError):
                await waiting
            assert client.is_closed
            with pytest.raises(ConnectionError):
                await client.metadata()

    run(test())


def test_an_answer_out_of_turn_ends_the_connection() -> None:
    async def test() -> None:
        async with connected(lambda _: None) as (server, client):
            waiting = asyncio.ensure_future(client.metadata())
            await asyncio.sleep(0.02)
            server._send(server.connections[0], 77, b"\x00", b"")
            with pytest.raises(ConnectionError, match="in place of"):
                await waiting
            assert client.is_closed

    run(test())


def test_closing_fails_what_waits() -> None:
    async def test() -> None:
        async with connected(lambda _: None) as (_, client):
            waiting = asyncio.ensure_future(client.metadata())
            await asyncio.sleep(0)
            await client.close()
            with pytest.raises(ConnectionError):
                await waiting
            await client.close()

    run(test())


def test_nobody_listens() -> None:
    async def test() -> None:
        listener = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError):
            await Client.connect("127.0.0.1", port)
        listener.close()
        await listener.wait_closed()
        with pytest.raises(OSError):
            await Client.connect("127.0.0.1", port)

    run(test())


def test_a_broker_that_does_not_answer() -> None:
    async def test() -> None:
        held: list[asyncio.StreamWriter] = []
        listener = await asyncio.start_server(lambda _r, w: held.append(w), "127.0.0.1", 0)
        with pytest.raises(TimeoutError):
            await Client.connect("127.0.0.1", listener.sockets[0].getsockname()[1], timeout_s=0.05)
        for writer in held:
            writer.close()
        listener.close()
        await listener.wait_closed()

    run(test())
