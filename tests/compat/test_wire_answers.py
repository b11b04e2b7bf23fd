"""What the broker answers to single requests, where clients depend on the exact code and place.

Every expectation here holds for Apache Kafka, too: `LOGD_TEST_TARGET=kafka pytest tests/compat/test_wire_answers.py`
runs the same questions against it. Where logd deviates on purpose there is no question.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import pytest

from logd.clients.client import Client
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.list_offsets import ListOffsetsRequest
from protocol.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.record_builder import build_batch, rewrite_timestamps
from protocol.records import HEADER, Record, iter_batches, iter_records, read_header, set_crc
from protocol.types import Buffer

T = TypeVar("T")
NOW = int(time.time() * 1000)
LATEST, EARLIEST, MAX, EARLIEST_LOCAL, LATEST_TIERED, PENDING_UPLOAD = range(-1, -7, -1)

Ask = Callable[[Client], Awaitable[T]]


@pytest.fixture
def run(bootstrap: str) -> Callable[[Callable[[Client], Coroutine[Any, Any, T]]], T]:
    """Run a conversation over one connection."""
    host, _, port = bootstrap.rpartition(":")

    def run(talk: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        async def connected() -> T:
            async with asyncio.timeout(200), await Client.connect(host, int(port)) as client:
                return await talk(client)

        return asyncio.run(connected())

    return run


async def create(client: Client, topic: str, **configs: str) -> bytes:
    """Create a topic of one partition and wait until it can be written to; return its id."""
    created = await client.create_topic(
        topic, configs={key.replace("_", "."): value for key, value in configs.items()}
    )
    for _ in range(1200):
        (row,) = (await client.metadata([topic])).topics
        if row.error_code == 0 and row.partitions[0].leader_id >= 0:
            try:
                await client.list_offset(topic, 0)
                return created.topic_id
            except BrokerError:
                pass
        await asyncio.sleep(0.05)
    raise TimeoutError(topic)


def records(count: int = 3, key: bytes | None = b"k") -> list[Record]:
    return [Record(i, NOW + i, key, b"value-%d" % i) for i in range(count)]


def batch_of(row: FetchResponse.PartitionData) -> bytes:
    return bytes(cast("memoryview", row.records))


def altered(batch: bytearray, **fields: int) -> bytearray:
    """Change header fields and put the checksum right."""
    HEADER.pack_into(batch, 0, *read_header(batch)._replace(**fields))
    set_crc(batch)
    return batch


# -- Produce -------------------------------------------------------------------------------------------


async def send(
    client: Client, topic: str, batch: Buffer, version: int = 9
) -> ProduceResponse.PartitionProduceResponse:
    data = ProduceRequest.PartitionProduceData(index=0, records=batch)
    request = ProduceRequest(
        acks=-1,
        timeout_ms=30_000,
        topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=[data])],
    )
    response = await client.call(request, version=version)
    answer: ProduceResponse.PartitionProduceResponse = response.responses[0].partition_responses[0]
    return answer


def flipped(batch: bytearray) -> bytearray:
    batch[-1] ^= 1
    return batch


CODE = ErrorCode


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        pytest.param(b"", CODE.INVALID_RECORD, id="empty"),
        pytest.param(build_batch(records()) * 2, CODE.INVALID_RECORD, id="two batches"),
        pytest.param(build_batch(records())[:-1], CODE.INVALID_RECORD, id="cut"),
        pytest.param(flipped(build_batch(records())), CODE.CORRUPT_MESSAGE, id="checksum"),
        pytest.param(altered(build_batch(records()), base_offset=1), CODE.INVALID_RECORD, id="base offset"),
        pytest.param(altered(build_batch(records()), record_count=2), CODE.INVALID_RECORD, id="count"),
        pytest.param(altered(build_batch(records()), producer_id=7), CODE.INVALID_RECORD, id="no sequence"),
        pytest.param(altered(build_batch(records()), attributes=0x20), CODE.INVALID_RECORD, id="control"),
        pytest.param(
            build_batch([Record(0, NOW, b"k", bytes(1_100_000))]), CODE.MESSAGE_TOO_LARGE, id="too large"
        ),
    ],
)
def test_refused_batches(run: Any, topic: str, batch: Buffer, code: ErrorCode) -> None:
    """Nothing of a refused batch is in the log, and the next one is taken."""

    async def talk(client: Client) -> None:
        await create(client, topic)
        answer = await send(client, topic, batch)
        assert (ErrorCode(answer.error_code), answer.base_offset, answer.log_append_time_ms) == (code, -1, -1)
        assert answer.record_errors == []
        assert (await send(client, topic, build_batch(records()))).base_offset == 0

    run(talk)


def test_timestamps_out_of_bounds_are_named(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        await create(
            client, topic, message_timestamp_after_max_ms="1000", message_timestamp_before_max_ms="600000"
        )
        now = int(time.time() * 1000)  # the module may have been loaded long ago
        stamps = [now, now + 3_600_000, now - 3_600_000, now]
        batch = build_batch([Record(i, stamp, b"k", b"v") for i, stamp in enumerate(stamps)])
        answer = await send(client, topic, batch)
        assert ErrorCode(answer.error_code) is CODE.INVALID_TIMESTAMP
        assert [error.batch_index for error in answer.record_errors] == [1, 2]
        assert answer.error_message

    run(talk)


def test_a_batch_that_claims_append_time(run: Any, topic: str) -> None:
    """A topic that keeps the producer's times takes it where the claimed time is in bounds, and drops the claim."""

    async def talk(client: Client) -> None:
        stamped = build_batch(records())
        rewrite_timestamps(stamped, log_append_time=True, max_timestamp=NOW + 2)
        await create(client, topic)
        assert (await send(client, topic, stamped)).error_code == 0
        fetched = await client.fetch(topic, 0, 0)
        assert [record.timestamp_ms for record in iter_records(batch_of(fetched))] == [
            NOW,
            NOW + 1,
            NOW + 2,
        ]
        rewrite_timestamps(stamped, log_append_time=True, max_timestamp=-1)
        assert ErrorCode((await send(client, topic, stamped)).error_code) is CODE.INVALID_TIMESTAMP
        await create(client, f"{topic}-append", message_timestamp_type="LogAppendTime")
        rewrite_timestamps(stamped, log_append_time=True, max_timestamp=NOW)
        assert (
            ErrorCode((await send(client, f"{topic}-append", stamped)).error_code) is CODE.INVALID_TIMESTAMP
        )

    run(talk)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
def test_null_keys_on_a_compacted_topic_are_named(run: Any, topic: str, codec: Codec) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic, cleanup_policy="compact")
        rows = records(5)
        for index in (1, 4):
            rows[index] = rows[index]._replace(key=None)
        answer = await send(client, topic, build_batch(rows, codec=codec))
        assert ErrorCode(answer.error_code) is CODE.INVALID_RECORD
        assert [error.batch_index for error in answer.record_errors] == [1, 4]
        assert (await send(client, topic, build_batch(records(), codec=codec))).base_offset == 0

    run(talk)


@pytest.mark.parametrize("codec", list(Codec))
def test_append_time(run: Any, topic: str, codec: Codec) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic, message_timestamp_type="LogAppendTime")
        answer = await send(client, topic, build_batch(records(), codec=codec))
        assert answer.error_code == 0
        assert abs(answer.log_append_time_ms - time.time() * 1000) < 60_000
        fetched = batch_of(await client.fetch(topic, 0, 0))
        header = read_header(fetched)
        assert (header.is_log_append_time, header.codec) == (True, codec)
        assert [record.timestamp_ms for record in iter_records(fetched)] == [answer.log_append_time_ms] * 3

    run(talk)


@pytest.mark.parametrize("stored", ["gzip", "snappy", "lz4", "zstd", "uncompressed"])
@pytest.mark.parametrize("sent", [Codec.NONE, Codec.SNAPPY])
def test_topic_codec(run: Any, topic: str, stored: str, sent: Codec) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic, compression_type=stored)
        assert (await send(client, topic, build_batch(records(50), codec=sent))).error_code == 0
        fetched = batch_of(await client.fetch(topic, 0, 0))
        assert read_header(fetched).codec.name.lower() == stored.replace("uncompressed", "none")
        assert list(iter_records(fetched)) == records(50)

    run(talk)


def test_zstd_needs_version_seven(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic)
        batch = build_batch(records(), codec=Codec.ZSTD)
        assert (
            ErrorCode((await send(client, topic, batch, 6)).error_code) is CODE.UNSUPPORTED_COMPRESSION_TYPE
        )
        assert (await send(client, topic, batch, 7)).error_code == 0

    run(talk)


# -- ListOffsets and OffsetForLeaderEpoch ----------------------------------------------------------------


async def offsets(
    client: Client,
    topic: str,
    *timestamps: int,
    version: int = 11,
    epoch: int = -1,
    index: int = 0,
    isolation: int = 0,
) -> list[tuple[int, int, int, int]]:
    rows = [
        ListOffsetsRequest.ListOffsetsPartition(
            partition_index=index, timestamp=timestamp, current_leader_epoch=epoch
        )
        for timestamp in timestamps
    ]
    asked = ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=rows)
    response = await client.call(
        ListOffsetsRequest(replica_id=-1, isolation_level=isolation, topics=[asked]), version=version
    )
    return [
        (row.error_code, row.timestamp, row.offset, row.leader_epoch)
        for answered in response.topics
        for row in answered.partitions
    ]


def test_offsets_by_time(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic, retention_ms="-1")  # its records are old
        for timestamp, expected in ((LATEST, 0), (EARLIEST, 0), (MAX, -1), (5, -1)):
            ((code, stamp, offset, _),) = await offsets(client, topic, timestamp)
            assert (code, stamp, offset) == (0, -1, expected)
        for stamps, codec in (([100, 300, 200], Codec.NONE), ([400, 400, 50], Codec.GZIP)):
            rows = [Record(i, stamp, b"k", b"v") for i, stamp in enumerate(stamps)]
            assert (await send(client, topic, build_batch(rows, codec=codec))).error_code == 0
        expected_by_time = {
            0: (100, 0),
            101: (300, 1),
            300: (300, 1),
            301: (400, 3),
            401: (-1, -1),
            LATEST: (-1, 6),
            EARLIEST: (-1, 0),
            EARLIEST_LOCAL: (-1, 0),
            LATEST_TIERED: (-1, -1),
            PENDING_UPLOAD: (-1, -1),
            MAX: (400, 3),
        }
        for isolation in (0, 1):
            for timestamp, expected_row in expected_by_time.items():
                ((code, stamp, offset, epoch),) = await offsets(client, topic, timestamp, isolation=isolation)
                assert (code, stamp, offset) == (0, *expected_row), timestamp
                assert epoch == (-1 if offset == -1 else 0)

    run(talk)


def test_special_timestamps_by_version(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic)
        first = {
            LATEST: 1,
            EARLIEST: 1,
            MAX: 7,
            EARLIEST_LOCAL: 8,
            LATEST_TIERED: 9,
            PENDING_UPLOAD: 11,
            -9: 99,
        }
        for version in range(1, 12):
            for timestamp, since in first.items():
                ((code, _, _, _),) = await offsets(client, topic, timestamp, version=version)
                assert code == (CODE.NONE if version >= since else CODE.UNSUPPORTED_VERSION), (
                    version,
                    timestamp,
                )

    run(talk)


def test_offsets_refused(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic)
        unknown = CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert (await offsets(client, topic, LATEST, index=9))[0] == (unknown, -1, -1, -1)
        assert (await offsets(client, f"{topic}-none", 5))[0] == (unknown, -1, -1, -1)
        twice = await offsets(client, topic, LATEST, EARLIEST)
        assert {row[0] for row in twice} == {CODE.INVALID_REQUEST}
        assert (await offsets(client, topic, LATEST, epoch=0))[0][0] == 0
        assert (await offsets(client, topic, LATEST, epoch=5))[0] == (CODE.UNKNOWN_LEADER_EPOCH, -1, -1, -1)

    run(talk)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_ends_of_epochs(run: Any, topic: str, version: int) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic)
        await send(client, topic, build_batch(records()))
        expected = {
            (-1, 0, 0): (0, 0, 3),
            (0, 0, 0): (0, 0, 3),
            (-1, 4, 0): (0, -1, -1),
            (7, 0, 0): (CODE.UNKNOWN_LEADER_EPOCH, -1, -1),
            (-1, 0, 5): (CODE.UNKNOWN_TOPIC_OR_PARTITION, -1, -1),
        }
        for (current, epoch, index), answer in expected.items():
            row = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
                partition=index, current_leader_epoch=current, leader_epoch=epoch
            )
            asked = OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=topic, partitions=[row])
            response = await client.call(OffsetForLeaderEpochRequest(topics=[asked]), version=version)
            (got,) = response.topics[0].partitions
            assert (got.error_code, got.leader_epoch, got.end_offset) == answer

    run(talk)


# -- Fetch that waits ----------------------------------------------------------------------------------------


LONG_MS = 600_000
"""Longer than a conversation may last: what is answered in time was woken."""


def test_who_waits_at_the_end_is_woken_by_an_append(
    run: Callable[[Callable[[Client], Coroutine[Any, Any, None]]], None], bootstrap: str, topic: str
) -> None:
    host, _, port = bootstrap.rpartition(":")

    async def talk(writer: Client) -> None:
        await create(writer, topic)
        for offset in range(3):
            async with await Client.connect(host, int(port)) as reader:
                waiting = asyncio.create_task(reader.fetch(topic, 0, offset, max_wait_ms=LONG_MS))
                await asyncio.sleep(0.3)
                assert not waiting.done()
                await writer.produce(topic, 0, build_batch(records(1)))
                assert read_header(batch_of(await waiting)).base_offset == offset

    run(talk)


# -- Fetch sessions ----------------------------------------------------------------------------------------


def fetch_request(
    session: tuple[int, int],
    topics: dict[str | bytes, list[tuple[int, int]]],
    forget: tuple[str | bytes, ...] = (),
) -> FetchRequest:
    """Ask for (partition, offset) of each topic, by name or id; forget partition 0 of some."""

    def naming(topic: str | bytes) -> dict[str, Any]:
        return {"topic": topic} if isinstance(topic, str) else {"topic_id": topic}

    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=1 << 20,
        session_id=session[0],
        session_epoch=session[1],
        topics=[
            FetchRequest.FetchTopic(
                **naming(topic),
                partitions=[
                    FetchRequest.FetchPartition(
                        partition=index, fetch_offset=offset, partition_max_bytes=1 << 20
                    )
                    for index, offset in rows
                ],
            )
            for topic, rows in topics.items()
        ],
        forgotten_topics_data=[
            FetchRequest.ForgottenTopic(**naming(topic), partitions=[0]) for topic in forget
        ],
    )


def summary(response: FetchResponse) -> list[tuple[str | bytes, int, int, int, int]]:
    """Topic, partition, error, high watermark and number of records of each partition in the answer."""
    return [
        (
            topic.topic or topic.topic_id,
            row.partition_index,
            row.error_code,
            row.high_watermark,
            sum(len(list(iter_records(batch))) for batch in iter_batches(batch_of(row))),
        )
        for topic in response.responses
        for row in topic.partitions
    ]


@pytest.mark.parametrize("by_id", [False, True])
def test_a_fetch_session(run: Any, topic: str, by_id: bool) -> None:
    async def talk(client: Client) -> None:
        version, other_version = (17, 12) if by_id else (12, 17)
        names = [topic, f"{topic}-b"]
        ids = [await create(client, name) for name in names]
        first, second = ids if by_id else names

        async def fetch(session: tuple[int, int], *args: Any, at: int = version) -> FetchResponse:
            response: FetchResponse = await client.call(fetch_request(session, *args), version=at)
            return response

        response = await fetch((0, 0), {first: [(0, 0)], second: [(0, 0)]})
        session_id = response.session_id
        assert session_id > 0
        assert summary(response) == [(first, 0, 0, 0, 0), (second, 0, 0, 0, 0)]
        response = await fetch((session_id, 1), {})
        assert (response.session_id, summary(response)) == (session_id, [])
        await send(client, names[1], build_batch(records()))
        assert summary(await fetch((session_id, 2), {})) == [(second, 0, 0, 3, 3)]
        assert summary(await fetch((session_id, 3), {second: [(0, 3)]})) == []
        assert summary(await fetch((session_id, 4), {first: [(0, 77)]})) == [
            (first, 0, CODE.OFFSET_OUT_OF_RANGE, -1, 0)
        ]
        assert summary(await fetch((session_id, 5), {first: [(0, 0)]})) == [(first, 0, 0, 0, 0)]
        assert summary(await fetch((session_id, 6), {}, (first,))) == []
        await send(client, names[0], build_batch(records()))
        assert summary(await fetch((session_id, 7), {})) == []

        for session, code, at in (
            ((session_id, 7), CODE.INVALID_FETCH_SESSION_EPOCH, version),
            ((session_id ^ 1, 8), CODE.FETCH_SESSION_ID_NOT_FOUND, version),
            ((session_id, 8), CODE.FETCH_SESSION_TOPIC_ID_ERROR, other_version),
        ):
            response = await fetch(session, {}, at=at)
            assert (ErrorCode(response.error_code), response.session_id, summary(response)) == (code, 0, [])

        response = await fetch((session_id, -1), {first: [(0, 0)]})
        assert (response.session_id, summary(response)) == (0, [(first, 0, 0, 3, 3)])
        response = await fetch((session_id, 8), {})
        assert ErrorCode(response.error_code) is CODE.FETCH_SESSION_ID_NOT_FOUND

    run(talk)


def test_a_session_that_forgets_everything_ends(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        await create(client, topic)
        opened = await client.call(fetch_request((0, 0), {topic: [(0, 0)]}), version=12)
        response = await client.call(fetch_request((opened.session_id, 1), {}, (topic,)), version=12)
        assert (response.error_code, response.session_id, response.responses) == (0, 0, [])
        response = await client.call(fetch_request((opened.session_id, 2), {}), version=12)
        assert ErrorCode(response.error_code) is CODE.FETCH_SESSION_ID_NOT_FOUND

    run(talk)


def test_unknown_topic_ids_in_a_session(run: Any, topic: str) -> None:
    async def talk(client: Client) -> None:
        topic_id = await create(client, topic)
        unknown = struct.pack(">QQ", 77, 78)
        opened = await client.call(fetch_request((0, 0), {unknown: [(0, 0)], topic_id: [(0, 0)]}), version=17)
        assert opened.session_id > 0
        expected = {(unknown, 0, int(CODE.UNKNOWN_TOPIC_ID), -1, 0), (topic_id, 0, 0, 0, 0)}
        assert set(summary(opened)) == expected
        response = await client.call(fetch_request((opened.session_id, 1), {}), version=17)
        assert [row[:3] for row in summary(response)] == [(unknown, 0, CODE.UNKNOWN_TOPIC_ID)]

    run(talk)
