"""Reading what this process has not checked yet, what is not in memory, and what rots, fails or goes away meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from protocol.records import iter_batches
from storage.fs.faulty import FaultyFileSystem, Kind
from storage.fs.real import RealFileSystem
from tests.support.logs import EvictingFileSystem, make_batch
from tests.support.node import (
    LONG_MS,
    Disk,
    Node,
    a_while,
    eventually,
    fetch_request,
    header,
    offsets_in,
    play,
    produce_request,
    wanted,
)
from tests.support.node_talk import (
    BY_NAME,
    append,
    ask,
    ask_one,
    delete_topic,
    found,
    parked,
    send,
    sizes,
    topic_with,
)

CODE = ErrorCode
SIZE = len(make_batch())


# -- what is not in memory, or not checked yet -----------------------------------------------------------------------


def test_after_a_start_everything_comes_through_the_pool_once() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5, 2, 0)
        await node.restart()
        client = await node.client()
        everything = [("t", wanted(0, 1)), ("t", wanted(2, 0)), ("t", wanted(1, 0)), ("t", wanted(0, 9))]
        expected = [(0, [1, 2, 3, 4]), (0, []), (0, [0, 1]), (CODE.OFFSET_OUT_OF_RANGE, [])]
        reads = count_pool_work(node)
        assert found(await ask(client, *everything)) == expected
        assert len(reads) == 1
        assert found(await ask(client, *everything)) == expected
        assert len(reads) == 1
        assert node.partition("t").log.read(1, 1 << 20, 5).cold is None

    play(scenario)


def count_pool_work(node: Node) -> list[object]:
    work: list[object] = []
    submit = node.broker.read_pool.submit

    def counted(run: Any, done: Any) -> None:
        work.append(run)
        submit(run, done)

    cast("Any", node.broker.read_pool).submit = counted
    return work


def test_answers_of_the_pool_keep_the_order_of_requests() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2, 2)
        await node.restart()
        client, peer = await node.client(), await node.peer()
        await append(client, index=1)
        body = encode_bytes(fetch_request(("t", wanted(0, 0))), BY_NAME)
        hot = encode_bytes(fetch_request(("t", wanted(1, 2))), BY_NAME)
        peer.send(
            *[
                header(1, BY_NAME, number, flexible=True) + (hot if number % 2 else body)
                for number in range(6)
            ]
        )
        assert [int.from_bytes((await peer.answer())[:4], "big") for _ in range(6)] == list(range(6))

    play(scenario)


def test_cold_reads_keep_nobodys_flush_waiting() -> None:
    """However many consumers read old data from a slow disk, producers and administrators go on."""
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        await client.create_topic("safe", configs={"flush.messages": "1"})
        await node.restart()
        client = await node.client()
        disk.hold(Kind.READ, "/t-0/")
        readers = [asyncio.create_task(ask_one(await node.client())) for _ in range(8)]
        lookups = [asyncio.create_task((await node.client()).list_offset("t", 0, 0)) for _ in range(8)]
        await a_while()
        async with asyncio.timeout(60):
            assert (await send(client, make_batch(), topic="safe")).error_code == 0
            await client.create_topic("more")
        assert not any(waiting.done() for waiting in (*readers, *lookups))
        disk.let_go()
        for reader in readers:
            assert offsets_in((await reader).records) == [0, 1]
        assert await asyncio.gather(*lookups) == [0] * 8

    play(scenario, fs=disk.fs)


def test_cold_parts_count_against_the_limit() -> None:
    """Each of them once came in full, whatever the limit on the whole answer was."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3, 3, 3)
        for limit, most in ((1, SIZE), (3 * SIZE, 3 * SIZE), (4 * SIZE, 4 * SIZE), (100 * SIZE, 9 * SIZE)):
            await node.restart()
            client = await node.client()
            partitions = [("t", wanted(index, 0, partition_max_bytes=3 * SIZE)) for index in range(3)]
            answers = await ask(client, *partitions, max_bytes=limit)
            assert 0 < sum(sizes(answers)) <= most
            assert offsets_in(answers[0].records)

    play(scenario)


def test_what_is_evicted_comes_through_the_pool_again() -> None:
    fs = EvictingFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3)
        reads = count_pool_work(node)
        assert offsets_in((await ask_one(client)).records) == [0, 1, 2]
        assert not reads
        fs.resident = False
        assert offsets_in((await ask_one(client)).records) == [0, 1, 2]
        assert len(reads) == 1

    play(scenario, fs=fs)


def test_a_client_that_leaves_during_a_cold_read() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        await node.restart()
        client, peer = await node.client(), await node.peer()
        body = encode_bytes(fetch_request(("t", wanted(0, 0))), BY_NAME)
        disk.hold(Kind.READ, "/t-0/")
        peer.send(header(1, BY_NAME, 1, flexible=True) + body)
        await a_while()
        peer.reset()
        await eventually(lambda: len(node.broker._server.connections) == 1)
        disk.let_go()
        assert offsets_in((await ask_one(client)).records) == [0, 1]

    play(scenario, fs=disk.fs)


def test_a_topic_deleted_during_a_cold_read() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 2)
        await node.restart()
        client, admin = await node.client(), await node.client()
        disk.hold(Kind.READ, "/t-0/")
        waiting = asyncio.create_task(ask_one(client))
        await a_while()
        await delete_topic(admin, topic_id)
        disk.let_go()
        assert (await waiting).error_code == CODE.UNKNOWN_TOPIC_OR_PARTITION

    play(scenario, fs=disk.fs)


def test_a_flipped_bit_takes_its_partition_offline_and_is_never_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fs = FaultyFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3, 3)
        await node.stop()
        fs.flip_bit("/data/t-0/00000000000000000000.log", SIZE + 70)
        await node.start()
        client, waiter = await node.client(), await node.client()
        waiting = asyncio.create_task(ask_one(waiter, 3, max_wait_ms=LONG_MS))
        await parked(node)
        (first, second) = await ask(client, ("t", wanted(0, 1)), ("t", wanted(1, 0)))
        assert (first.error_code, sizes([first])) == (CODE.KAFKA_STORAGE_ERROR, [0])
        assert offsets_in(second.records) == [0, 1, 2]
        assert (await waiting).error_code == CODE.KAFKA_STORAGE_ERROR
        for offset in (0, 1, 2):
            assert (await ask_one(client, offset)).error_code == CODE.KAFKA_STORAGE_ERROR
        response = await client.call(
            produce_request({("t", 0): make_batch(), ("t", 1): make_batch()}), version=9
        )
        codes = [answer.error_code for answer in response.responses[0].partition_responses]
        assert codes == [CODE.KAFKA_STORAGE_ERROR, 0]

    play(scenario, fs=fs)
    assert sum("its data is damaged" in record.getMessage() for record in caplog.records) == 1


def test_a_disk_that_cannot_be_read_goes_offline() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2, 2)
        await node.restart()
        client = await node.client()
        disk.fail(Kind.READ, "/t-0/", errno.EIO)
        assert (await ask_one(client)).error_code == CODE.KAFKA_STORAGE_ERROR
        disk.heal()
        answers = await ask(client, ("t", wanted(0, 0)), ("t", wanted(1, 0)))
        assert [answer.error_code for answer in answers] == [CODE.KAFKA_STORAGE_ERROR] * 2

    play(scenario, fs=disk.fs)


# -- files --------------------------------------------------------------------------------------------------------


def test_regions_of_real_files_between_bytes(tmp_path: Path) -> None:
    """sendfile on a real file system: several partitions and segments, larger than a socket takes at once."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2, configs={"segment.bytes": "3000000"})
        batches = [bytes(make_batch(3, size=300_000)) for _ in range(8)]
        for batch in batches:
            for index in (0, 1):
                await client.produce("t", index, batch)
        offsets = [0, 0]
        received = 0
        while offsets != [24, 24]:
            answers = await ask(
                client,
                *[("t", wanted(index, offsets[index], partition_max_bytes=8_000_000)) for index in (0, 1)],
            )
            for answer in answers:
                for read in iter_batches(cast("memoryview", answer.records)):
                    assert bytes(read)[21:] == batches[0][21:]
                    offsets[answer.partition_index] += 3
                    received += len(read)
        assert received == 16 * len(batches[0])
        assert len(os.listdir(node.partition("t").log.directory)) > 4

    play(scenario, f"log.dirs={tmp_path}", fs=RealFileSystem())


@pytest.mark.parametrize(
    ("bytes_of", "calls"),
    [([1000], 0), ([7000, 7000], 0), ([7000, 7000, 7000], 1), ([20_000], 1), ([20_000, 1000], 2)],
)
def test_the_first_few_records_of_an_answer_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_of: list[int], calls: int
) -> None:
    sent: list[int] = []

    def sendfile(out: int, source: int, position: int, size: int) -> int:
        sent.append(size)
        return real_sendfile(out, source, position, size)

    real_sendfile = os.sendfile
    monkeypatch.setattr(os, "sendfile", sendfile)

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=len(bytes_of))
        batches = [bytes(make_batch(size=size)) for size in bytes_of]
        for index, batch in enumerate(batches):
            await client.produce("t", index, batch)
        for _ in ("the ordinary way", "the short one, if it is one partition"):
            answers = await ask(client, *[("t", wanted(index, 0)) for index in range(len(batches))])
            assert [bytes(cast("memoryview", answer.records))[21:] for answer in answers] == [
                batch[21:] for batch in batches
            ]
            assert len(sent) == calls
            sent.clear()

    play(scenario, f"log.dirs={tmp_path}", fs=RealFileSystem())


def test_a_deleted_topic_is_still_sent_to_who_reads_it(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        client, slow = await node.client(), await node.peer()
        topic_id = (await client.create_topic("t", configs={"file.delete.delay.ms": "0"})).topic_id
        batch = make_batch(size=900_000)
        for _ in range(20):
            await client.produce("t", 0, bytes(batch))
        body = encode_bytes(fetch_request(("t", wanted(0, 0, partition_max_bytes=1 << 30))), BY_NAME)
        slow.send(header(1, BY_NAME, 1, flexible=True) + body)  # and does not receive yet
        await a_while()
        await delete_topic(client, topic_id)
        assert len(await slow.answer()) > 20 * len(batch)

    play(scenario, f"log.dirs={tmp_path}", fs=RealFileSystem())
