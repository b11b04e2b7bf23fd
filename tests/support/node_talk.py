"""What tests say to a node, and what they look at in its answers. Topics are `t` where none is named."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from logd.clients.client import Client
from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.delete_topics import DeleteTopicsRequest
from protocol.messages.fetch import FetchResponse
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.list_groups import ListGroupsRequest
from protocol.messages.produce import ProduceResponse
from protocol.types import Buffer
from tests.support.logs import make_batch
from tests.support.node import (
    LONG_MS,
    Node,
    eventually,
    fetch_request,
    fetched,
    header,
    offsets_in,
    produce_request,
    produced,
    wanted,
)

BY_NAME = 12
"""The last version of Produce and of Fetch that names topics by name."""
UNKNOWN_ID = bytes(range(16))

Answer = FetchResponse.PartitionData


async def groups_loaded(node: Node) -> Client:
    """Return a client of a node that coordinates groups, and has loaded all that it knows of them."""
    client = await node.client()
    await client.call(FindCoordinatorRequest(key_type=0, coordinator_keys=["g"]), version=4)
    loading = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    while (await client.call(ListGroupsRequest(), version=5)).error_code == loading:
        await asyncio.sleep(0.001)
    return client


async def topic_with(client: Client, *ends: int, name: str = "t", **configs: str) -> bytes:
    """A topic of as many partitions as there are `ends`, each filled up to its end with batches of one record."""
    made = await client.create_topic(name, partitions=len(ends), configs=configs)
    for index, end in enumerate(ends):
        for _ in range(end):
            await append(client, name, index)
    return made.topic_id


async def append(client: Client, topic: str = "t", index: int = 0, **fields: Any) -> None:
    """Produce a batch of one record, acknowledged by the leader."""
    response = await client.call(produce_request({(topic, index): make_batch(**fields)}, acks=1), version=9)
    assert response.responses[0].partition_responses[0].error_code == 0


async def ask(client: Client, *partitions: Any, version: int = BY_NAME, **fields: Any) -> list[Answer]:
    """Fetch (topic, partition) pairs as `wanted` makes them."""
    return fetched(await client.call(fetch_request(*partitions, **fields), version=version))


async def ask_one(client: Client, offset: int = 0, *, version: int = BY_NAME, **fields: Any) -> Answer:
    """Fetch partition 0; `fields` are the request\'s or the partition\'s."""
    request = {
        name: fields.pop(name)
        for name in ("max_wait_ms", "min_bytes", "max_bytes", "isolation_level")
        if name in fields
    }
    (answer,) = await ask(client, ("t", wanted(0, offset, **fields)), version=version, **request)
    return answer


async def parked(node: Node, count: int = 1) -> None:
    """Wait until so many requests wait."""
    await eventually(lambda: len(node.broker.delayed) == count)


def found(answers: list[Answer]) -> list[tuple[int, list[int]]]:
    """Error code and offsets of each partition."""
    return [(answer.error_code, offsets_in(answer.records)) for answer in answers]


def sizes(answers: list[Answer]) -> list[int]:
    """Bytes of records of each partition."""
    return [len(cast("memoryview", answer.records)) for answer in answers]


async def delete_topic(client: Client, topic_id: bytes) -> None:
    """Delete a topic, which must be there."""
    state = DeleteTopicsRequest.DeleteTopicState(name=None, topic_id=topic_id)
    response = await client.call(DeleteTopicsRequest(topics=[state], timeout_ms=LONG_MS))
    assert response.responses[0].error_code == 0


async def send(
    client: Client,
    batch: Buffer | None,
    *,
    topic: str = "t",
    index: int = 0,
    version: int = BY_NAME,
    **fields: Any,
) -> ProduceResponse.PartitionProduceResponse:
    """Produce one batch; return what is said of its partition."""
    response = await client.call(produce_request({(topic, index): batch}, **fields), version=version)
    (answer,) = produced(response)
    return answer


def codes(response: ProduceResponse) -> list[ErrorCode]:
    """Error codes of all partitions."""
    return [ErrorCode(answer.error_code) for answer in produced(response)]


def raw_produce(correlation_id: int, batch: Buffer, *, acks: int, index: int = 0) -> bytes:
    """A Produce request as a frame."""
    body = encode_bytes(produce_request({("t", index): batch}, acks=acks), BY_NAME)
    return header(0, BY_NAME, correlation_id, flexible=True) + body
