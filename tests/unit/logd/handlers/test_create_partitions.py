"""Goal: partitions added to a topic can be used when the answer is there, and after every restart and crash.

Method: a node in the test's process, on a disk that fails and crashes as told.
"""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from logd.authorisation import Operation
from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.create_partitions import CreatePartitionsRequest
from storage.fs.faulty import FaultyFileSystem, Kind, Loss
from storage.fs.faulty import Operation as DiskOperation
from tests.support.node import LONG_MS, Disk, Node, eventually, play
from tests.support.node_talk import append, delete_topic, topic_with

CODE = ErrorCode
VERSIONS = range(4)

More = CreatePartitionsRequest.CreatePartitionsTopic


async def add(
    client: Client, *topics: tuple[str, int], version: int = 3, **fields: Any
) -> list[tuple[str, ErrorCode]]:
    fields.setdefault("timeout_ms", LONG_MS)
    more = [More(name=name, count=count, assignments=None) for name, count in topics]
    response = await client.call(CreatePartitionsRequest(topics=more, **fields), version=version)
    for result in response.results:
        assert (result.error_message is None) == (result.error_code == 0)
    return [(result.name, ErrorCode(result.error_code)) for result in response.results]


@pytest.mark.parametrize("version", VERSIONS)
def test_added_partitions_can_be_used_at_once(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 2, **{"segment.bytes": "2000000"})
        assert await add(client, ("t", 3), version=version) == [("t", CODE.NONE)]
        for index in (1, 2):
            await append(client, index=index)
            log = node.partition("t", index).log
            assert (log.topic_id, log.config.segment_bytes, log.log_end_offset) == (topic_id, 2_000_000, 1)
        (topic,) = (await client.metadata(["t"])).topics
        assert [(row.partition_index, row.leader_id, row.error_code) for row in topic.partitions] == [
            (index, node.broker.node_id, 0) for index in range(3)
        ]
        assert await client.list_offset("t", 0) == 2

    play(scenario)


def test_answers_come_once_and_in_order() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, name="a")
        await topic_with(client, 0, name="b")
        answers = await add(client, ("b", 2), ("x", 2), ("a", 2), ("b", 3), ("a", 2), ("a", 2))
        assert answers == [
            ("b", CODE.INVALID_REQUEST),
            ("x", CODE.UNKNOWN_TOPIC_OR_PARTITION),
            ("a", CODE.INVALID_REQUEST),
        ]
        assert [len(topic.partitions) for topic in node.broker.metadata.image.topics.values()] == [1, 1]
        assert await add(client) == []

    play(scenario)


def test_validate_only_adds_nothing() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        assert await add(client, ("t", 3), validate_only=True) == [("t", CODE.NONE)]
        assert await add(client, ("t", 1), validate_only=True) == [("t", CODE.INVALID_PARTITIONS)]
        assert len(node.broker.replicas) == 1

    play(scenario)


def test_the_right_to_alter_is_asked_for() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, name="a")
        await topic_with(client, 0, name="b")
        node.broker.authorise = lambda _context, operation, _type, name: (
            (operation, name) != (Operation.ALTER, "a")
        )
        answers = await add(client, ("a", 2), ("b", 2))
        assert answers == [("a", CODE.TOPIC_AUTHORIZATION_FAILED), ("b", CODE.NONE)]

    play(scenario)


def test_two_additions_side_by_side_do_not_number_their_partitions_alike() -> None:
    async def scenario(node: Node) -> None:
        clients = [await node.client() for _ in range(3)]
        await topic_with(clients[0], 0)
        answers = await asyncio.gather(*(add(client, ("t", 3)) for client in clients))
        assert sorted(code for ((_, code),) in answers) == [
            CODE.NONE,
            CODE.INVALID_PARTITIONS,
            CODE.INVALID_PARTITIONS,
        ]
        assert list(node.broker.metadata.image.topics["t"].partitions) == [0, 1, 2]

    play(scenario)


def test_what_takes_longer_than_the_client_waits_times_out_and_goes_on() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        disk.hold_syncs("__cluster_metadata")
        assert await add(client, ("t", 2), timeout_ms=5) == [("t", CODE.REQUEST_TIMED_OUT)]
        disk.let_go()
        await eventually(lambda: len(node.broker.replicas) == 2)
        await append(client, index=1)

    play(scenario, fs=disk.fs)


def test_added_partitions_are_there_after_a_restart_and_go_with_their_topic() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 1)
        await add(client, ("t", 3))
        await append(client, index=2)
        await node.restart()
        client = await node.client()
        assert [node.partition("t", index).log.log_end_offset for index in range(3)] == [1, 0, 1]
        await delete_topic(client, topic_id)
        assert len(node.broker.replicas) == 0
        await topic_with(client, 0)
        assert len(node.broker.replicas) == 1

    play(scenario)


@pytest.mark.parametrize("loss", Loss)
def test_a_crash_between_the_addition_and_its_logs(loss: Loss) -> None:
    """The metadata says that there are three partitions, and some of their logs were never made."""
    fs = FaultyFileSystem()
    left: list[FaultyFileSystem] = []

    def crash_before_the_second_log(operation: DiskOperation) -> None:
        if operation.kind is Kind.MKDIR and operation.path.endswith("/t-2"):
            left.append(fs.crash(loss))

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        fs.before = crash_before_the_second_log
        await add(client, ("t", 4))
        await node.stop()
        (node.fs,) = left
        await node.start()
        client = await node.client()
        for index in range(4):
            assert node.partition("t", index).is_leader
            await append(client, index=index)

    play(scenario, fs=fs)


def test_a_log_for_which_there_is_no_space_is_made_when_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(FaultyFileSystem())
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.002)

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        disk.fail(Kind.MKDIR, "/t-1", errno.ENOSPC)
        assert await add(client, ("t", 3)) == [("t", CODE.NONE)]
        await append(client, index=2)
        disk.heal()
        await eventually(lambda: len(node.broker.replicas) == 3)
        await append(client, index=1)

    play(scenario, fs=disk.fs)


def test_metadata_that_cannot_be_written_adds_nothing() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        disk.fail(Kind.WRITE, "__cluster_metadata", errno.ENOSPC)
        assert await add(client, ("t", 2)) == [("t", CODE.KAFKA_STORAGE_ERROR)]
        disk.heal()
        assert len(node.broker.replicas) == 1
        assert await add(client, ("t", 2)) == [("t", CODE.NONE)]

    play(scenario, fs=disk.fs)
