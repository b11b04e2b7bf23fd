"""Goal: records that were deleted do not come back, and nothing else goes with them.

Method: a node in the test's process, on a disk that fails and crashes as told.
"""

from __future__ import annotations

import asyncio
import errno

import pytest

from logd.authorisation import Operation
from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.delete_records import DeleteRecordsRequest
from storage.fs.faulty import FaultyFileSystem, Kind, Loss
from tests.support.node import (
    LONG_MS,
    Disk,
    Node,
    eventually,
    fetch_request,
    fetched,
    offsets_in,
    play,
    wanted,
)
from tests.support.node_talk import append, ask_one, parked, topic_with

CODE = ErrorCode
CHECKPOINT = "log-start-offset-checkpoint"

Row = tuple[str, int, ErrorCode, int]
"""(topic, partition, code, low watermark)"""


async def delete(client: Client, *wanted: tuple[str, int, int], version: int = 2) -> list[Row]:
    """Delete in (topic, partition) up to an offset; each in an entry of its own."""
    topics = [
        DeleteRecordsRequest.DeleteRecordsTopic(
            name=topic,
            partitions=[DeleteRecordsRequest.DeleteRecordsPartition(partition_index=index, offset=offset)],
        )
        for topic, index, offset in wanted
    ]
    response = await client.call(DeleteRecordsRequest(topics=topics, timeout_ms=LONG_MS), version=version)
    return [
        (topic.name, row.partition_index, ErrorCode(row.error_code), row.low_watermark)
        for topic in response.topics
        for row in topic.partitions
    ]


@pytest.mark.parametrize("version", range(3))
def test_records_below_an_offset_are_gone(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5, 5)
        assert await delete(client, ("t", 0, 3), version=version) == [("t", 0, CODE.NONE, 3)]
        assert (await ask_one(client, 2)).error_code == CODE.OFFSET_OUT_OF_RANGE
        answer = await ask_one(client, 3)
        assert (answer.log_start_offset, offsets_in(answer.records)) == (3, [3, 4])
        assert [await client.list_offset("t", index, -2) for index in (0, 1)] == [3, 0]
        assert await delete(client, ("t", 0, -1), version=version) == [("t", 0, CODE.NONE, 5)]
        await append(client)
        assert offsets_in((await ask_one(client, 5)).records) == [5]

    play(scenario)


def test_each_partition_is_answered_once_and_the_last_offset_counts() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5, 5)
        rows = await delete(client, ("t", 0, 9), ("x", 0, 0), ("t", 1, 2), ("t", 0, 1), ("t", 7, 0))
        assert rows == [
            ("t", 0, CODE.NONE, 1),
            ("t", 1, CODE.NONE, 2),
            ("t", 7, CODE.UNKNOWN_TOPIC_OR_PARTITION, -1),
            ("x", 0, CODE.UNKNOWN_TOPIC_OR_PARTITION, -1),
        ]

    play(scenario)


def test_only_what_is_replicated_can_be_deleted() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        follower_has = node.hold_high_watermark("t")
        for _ in range(5):
            await append(client)
        follower_has(3)
        assert await delete(client, ("t", 0, 4)) == [("t", 0, CODE.OFFSET_OUT_OF_RANGE, -1)]
        assert await delete(client, ("t", 0, -1)) == [("t", 0, CODE.NONE, 3)]

    play(scenario)


def test_who_may_not_and_what_may_not() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3)
        await topic_with(client, 3, name="kept", **{"cleanup.policy": "compact"})
        await topic_with(client, 0, name="__consumer_offsets")
        node.broker.authorise = lambda _context, operation, _type, name: (
            (operation, name) != (Operation.DELETE, "t")
        )
        rows = await delete(client, ("t", 0, 1), ("t", 9, 1), ("kept", 0, 1), ("__consumer_offsets", 0, 0))
        assert [code for _, _, code, _ in rows] == [
            CODE.TOPIC_AUTHORIZATION_FAILED,
            CODE.TOPIC_AUTHORIZATION_FAILED,
            CODE.POLICY_VIOLATION,
            CODE.INVALID_TOPIC_EXCEPTION,
        ]
        assert node.partition("kept").log.log_start_offset == node.partition("t").log.log_start_offset == 0

    play(scenario)


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("offset", [2, 5])
def test_no_crash_brings_deleted_records_back(loss: Loss, offset: int) -> None:
    """At 5, the crash may leave a log that ends before the place where it is to begin."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        assert await delete(client, ("t", 0, offset)) == [("t", 0, CODE.NONE, offset)]
        await node.crash(loss)
        client = await node.client()
        assert await client.list_offset("t", 0, -2) == offset
        end = await client.list_offset("t", 0)
        assert offset <= end <= 5
        await append(client)
        assert await client.list_offset("t", 0) == end + 1
        (answer,) = fetched(await client.call(fetch_request(("t", wanted(0, end))), version=12))
        assert (answer.error_code, offsets_in(answer.records)) == (0, [end])

    play(scenario, fs=FaultyFileSystem())


def test_a_restart_keeps_the_start() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        await delete(client, ("t", 0, 4))
        await node.restart()
        client = await node.client()
        assert offsets_in((await ask_one(client, 4)).records) == [4]
        assert (await ask_one(client, 3)).error_code == CODE.OFFSET_OUT_OF_RANGE

    play(scenario)


def test_the_answer_waits_for_the_disk_and_writes_nothing_twice() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        disk.syncs.clear()
        await delete(client, ("t", 0, 3))
        assert disk.count_syncs(CHECKPOINT) == 1
        await delete(client, ("t", 0, 3), ("t", 0, 2), ("t", 9, 0))
        assert disk.count_syncs(CHECKPOINT) == 1

    play(scenario, fs=disk.fs)


def test_a_full_disk_is_said_and_the_next_try_succeeds() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        disk.fail(Kind.WRITE, CHECKPOINT, errno.ENOSPC)
        assert await delete(client, ("t", 0, 3)) == [("t", 0, CODE.KAFKA_STORAGE_ERROR, -1)]
        disk.heal()
        await append(client)
        assert await delete(client, ("t", 0, 3)) == [("t", 0, CODE.NONE, 3)]
        await node.crash(Loss.NONE)
        assert node.partition("t").log.log_start_offset == 3

    play(scenario, fs=disk.fs)


def test_a_failed_disk_takes_the_directory() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        disk.fail(Kind.SYNC, CHECKPOINT, errno.EIO)
        assert await delete(client, ("t", 0, 3)) == [("t", 0, CODE.KAFKA_STORAGE_ERROR, -1)]
        await eventually(lambda: len(node.broker.replicas) == 0)
        assert await delete(client, ("t", 0, 3)) == [("t", 0, CODE.KAFKA_STORAGE_ERROR, -1)]

    play(scenario, fs=disk.fs)


def test_segments_below_the_start_go_with_retention() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, **{"segment.bytes": "1048576", "file.delete.delay.ms": "0"})
        log = node.partition("t").log
        for _ in range(4):
            await append(client)
            log.roll(node.clock.now_ms)
        before = log.size_bytes
        await delete(client, ("t", 0, 3))
        assert log.size_bytes == before
        plan = log.flush_plan()
        plan.run()
        log.flushed(plan)
        deletion = log.delete_old_segments(node.clock.now_ms, 4)
        assert deletion is not None
        assert [segment.base_offset for segment in log.segments] == [3, 4]

    play(scenario)


def test_a_fetch_that_waits_below_the_new_start_is_told_at_its_end() -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await topic_with(client, 5)
        waiting = asyncio.ensure_future(ask_one(other, 1, max_wait_ms=300, min_bytes=1 << 20))
        await parked(node)
        await delete(client, ("t", 0, 3))
        answer = await waiting
        assert (answer.error_code, offsets_in(answer.records or b"")) == (CODE.OFFSET_OUT_OF_RANGE, [])

    play(scenario)
