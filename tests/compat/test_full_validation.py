"""What `log.record.validation=full` finds in batches whose header tells nothing: the answers of Apache Kafka.

`LOGD_TEST_TARGET=kafka` asks Kafka, which always looks this closely.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from logd.clients.client import Client
from protocol.compression import Codec
from protocol.errors import ErrorCode
from protocol.messages.fetch import FetchResponse
from protocol.messages.produce import ProduceRequest
from protocol.record_builder import build_batch
from protocol.records import HEADER, HEADER_SIZE, Record, iter_records, read_header, set_crc
from protocol.types import Buffer
from tests.compat.conftest import AGAINST_KAFKA
from tests.support.broker import LogdBroker
from tests.support.kafka_broker import KafkaBroker

NOW = int(time.time() * 1000)
Talk = Callable[[Client], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, written: list[Path]) -> Iterator[tuple[str, int]]:
    directory = tmp_path_factory.mktemp("full")
    target = (
        KafkaBroker(directory, heap="512M")
        if AGAINST_KAFKA
        else LogdBroker(directory, properties={"log.record.validation": "full"})
    )
    with target as running:
        host, _, port = running.bootstrap.rpartition(":")
        yield host, int(port)
    written.append(running.data_dir)


def run(address: tuple[str, int], talk: Talk) -> None:
    async def connected() -> None:
        async with asyncio.timeout(200), await Client.connect(*address) as client:
            await talk(client)

    asyncio.run(connected())


async def send(client: Client, topic: str, batch: Buffer) -> Any:
    data = ProduceRequest.PartitionProduceData(index=0, records=batch)
    topic_data = ProduceRequest.TopicProduceData(name=topic, partition_data=[data])
    for _ in range(1200):
        request = ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[topic_data])
        answer = (await client.call(request, version=9)).responses[0].partition_responses[0]
        if answer.error_code not in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_LEADER_OR_FOLLOWER):
            return answer
        await asyncio.sleep(0.05)
    raise TimeoutError(topic)


def records(count: int) -> list[Record]:
    return [Record(i, NOW + i, b"k", b"value") for i in range(count)]


def altered(batch: bytearray, *, body: Buffer | None = None, **fields: int) -> bytearray:
    """Change header fields or the records, and put length and checksum right."""
    out = batch if body is None else batch[:HEADER_SIZE] + body
    HEADER.pack_into(out, 0, *read_header(out)._replace(batch_length=len(out) - 12, **fields))
    set_crc(out)
    return out


def with_byte(position: int, value: int) -> bytearray:
    body = build_batch(records(3))[HEADER_SIZE:]
    body[position] = value
    return altered(build_batch(records(3)), body=body)


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(with_byte(0, 0x18 + 2), id="record too long"),
        pytest.param(with_byte(0, 0x18 - 2), id="record too short"),
        pytest.param(with_byte(0, 0x01), id="negative length"),
        pytest.param(with_byte(4, 0x7E), id="key beyond the record"),
        pytest.param(with_byte(12, 0x02), id="a header that is not there"),
        pytest.param(
            altered(build_batch(records(3)), record_count=2, last_offset_delta=1), id="a record too many"
        ),
        pytest.param(
            altered(build_batch(records(3)), record_count=4, last_offset_delta=3), id="a record too few"
        ),
    ],
)
def test_malformed_records(address: tuple[str, int], topic: str, batch: bytearray) -> None:
    async def talk(client: Client) -> None:
        await client.create_topic(topic)
        answer = await send(client, topic, batch)
        assert ErrorCode(answer.error_code) is ErrorCode.INVALID_RECORD
        assert answer.record_errors == []
        assert (await send(client, topic, build_batch(records(1)))).base_offset == 0

    run(address, talk)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
def test_timestamps_that_the_header_hides(address: tuple[str, int], topic: str, codec: Codec) -> None:
    async def talk(client: Client) -> None:
        await client.create_topic(topic)
        rows = records(3)
        rows[1] = rows[1]._replace(timestamp_ms=NOW + 7_200_000)
        answer = await send(client, topic, altered(build_batch(rows, codec=codec), max_timestamp=NOW))
        assert ErrorCode(answer.error_code) is ErrorCode.INVALID_TIMESTAMP
        assert [error.batch_index for error in answer.record_errors] == [1]

    run(address, talk)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_the_greatest_timestamp_is_put_right(address: tuple[str, int], topic: str, codec: Codec) -> None:
    async def talk(client: Client) -> None:
        await client.create_topic(topic)
        batch = altered(build_batch(records(3), codec=codec), max_timestamp=NOW + 100)
        assert (await send(client, topic, batch)).error_code == 0
        row: FetchResponse.PartitionData = await client.fetch(topic, 0, 0)
        stored = bytes(row.records or b"")  # type: ignore[call-overload]
        assert read_header(stored).max_timestamp == NOW + 2
        assert list(iter_records(stored)) == records(3)

    run(address, talk)
