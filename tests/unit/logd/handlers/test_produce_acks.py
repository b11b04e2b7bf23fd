"""When a producer is answered: acks, the high watermark, the flush that a topic demands, and disks that fail."""

from __future__ import annotations

import asyncio
import errno

import pytest

from logd.clients.client import Client
from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from storage.fs.faulty import FaultyFileSystem, Kind
from tests.support.logs import make_batch
from tests.support.node import (
    Disk,
    Node,
    a_while,
    eventually,
    fetch_request,
    fetched,
    header,
    offsets_in,
    play,
    produce_request,
    produced,
    wanted,
)
from tests.support.node_talk import (
    BY_NAME,
    codes,
    delete_topic,
    raw_produce,
    send,
)

CODE = ErrorCode
BY_ID = 13


# -- acks ---------------------------------------------------------------------------------------------------------


def test_acks_zero_is_not_answered() -> None:
    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t")
        frames = [raw_produce(number, make_batch(), acks=number % 2) for number in range(9)]
        peer.send(*frames)
        assert [int.from_bytes((await peer.answer())[:4], "big") for _ in range(4)] == [1, 3, 5, 7]
        await eventually(lambda: node.partition("t").log.log_end_offset == 9)

    play(scenario)


@pytest.mark.parametrize("before", [0, 3])
def test_a_refusal_with_acks_zero_ends_the_connection_unanswered(before: int) -> None:
    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t")
        bad = make_batch()[:-1] + b"\1"
        peer.send(
            *[raw_produce(number, make_batch(), acks=0) for number in range(before)],
            raw_produce(50, make_batch(), acks=1),
            raw_produce(51, bad, acks=0),
            raw_produce(52, make_batch(), acks=1),
        )
        assert int.from_bytes((await peer.answer())[:4], "big") == 50
        assert await peer.at_end()
        assert node.partition("t").log.log_end_offset == before + 1

    play(scenario)


def test_acks_zero_to_an_unknown_partition_ends_the_connection_and_the_others_are_written() -> None:
    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t", partitions=2)
        request = produce_request(
            {("t", 0): make_batch(), ("t", 9): make_batch(), ("t", 1): make_batch()}, acks=0
        )
        peer.send(header(0, 9, 1, flexible=True) + encode_bytes(request, 9))
        assert await peer.at_end()
        assert [node.partition("t", index).log.log_end_offset for index in (0, 1)] == [1, 1]

    play(scenario)


def test_acks_all_waits_for_the_high_watermark_and_acks_one_does_not() -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await client.create_topic("t", partitions=2)
        await send(client, make_batch(5))
        follower_has = node.hold_high_watermark("t")
        assert (await send(other, make_batch(), acks=1)).base_offset == 5
        first = asyncio.ensure_future(send(client, make_batch(2)))
        both = produce_request({("t", 0): make_batch(3), ("t", 1): make_batch()})
        second = asyncio.ensure_future(client.call(both, version=BY_NAME))
        await eventually(lambda: len(node.broker.delayed) == 2)
        follower_has(7)
        await a_while()
        assert not first.done()
        follower_has(8)
        assert (await first).base_offset == 6
        assert not second.done()
        follower_has(11)
        assert [answer.base_offset for answer in produced(await second)] == [8, 0]
        assert len(node.broker.delayed) == 0

    play(scenario)


def test_what_is_not_replicated_in_time_has_timed_out_and_stays_in_the_log() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        follower_has = node.hold_high_watermark("t", 1)
        for timeout_ms in (0, 30, -5):
            request = produce_request({("t", 0): make_batch(), ("t", 1): make_batch()}, timeout_ms=timeout_ms)
            response = await client.call(request, version=BY_NAME)
            assert codes(response) == [0, CODE.REQUEST_TIMED_OUT]
            assert produced(response)[1].base_offset == -1
        assert len(node.broker.delayed) == 0
        assert node.partition("t", 1).log.log_end_offset == 3
        follower_has(3)
        answer = await send(client, make_batch(), index=1, acks=1)
        assert (answer.error_code, answer.base_offset) == (0, 3)

    play(scenario)


def test_the_short_way_times_out_by_the_requests_own_time() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        for _ in range(2):
            assert (await send(client, make_batch(), timeout_ms=40)).error_code == 0
        node.hold_high_watermark("t")
        assert (await send(client, make_batch(), timeout_ms=40)).error_code == CODE.REQUEST_TIMED_OUT

    play(scenario)


def test_replicas_lost_while_waiting() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"min.insync.replicas": "2"})
        node.hold_high_watermark("t")
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await eventually(lambda: len(node.broker.delayed) == 1)
        partition = node.partition("t")
        partition.become_leader(
            leader_epoch=0, partition_epoch=1, assigned_replicas=(1, 2), in_sync_replicas=(1,)
        )
        node.broker.delayed.partition_moved(partition)
        assert (await waiting).error_code == CODE.NOT_ENOUGH_REPLICAS_AFTER_APPEND

    play(scenario)


def test_a_topic_deleted_while_its_producer_waits() -> None:
    async def scenario(node: Node) -> None:
        client, admin = await node.client(), await node.client()
        topic = await client.create_topic("t")
        node.hold_high_watermark("t")
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await eventually(lambda: len(node.broker.delayed) == 1)
        await delete_topic(admin, topic.topic_id)
        answer = await waiting
        assert (answer.error_code, answer.base_offset) == (CODE.UNKNOWN_TOPIC_OR_PARTITION, -1)
        assert (await send(client, make_batch())).error_code == CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert len(node.broker.delayed) == 0

    play(scenario)


def test_a_topic_made_again_under_its_name_is_written_from_zero() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        old = await client.create_topic("t")
        for number in range(3):
            assert (await send(client, make_batch())).base_offset == number
        await delete_topic(client, old.topic_id)
        new = await client.create_topic("t")
        assert (await send(client, make_batch())).base_offset == 0
        answer = await send(client, make_batch(), topic=old.topic_id, version=BY_ID)  # type: ignore[arg-type]
        assert answer.error_code == CODE.UNKNOWN_TOPIC_ID
        answer = await send(client, make_batch(), topic=new.topic_id, version=BY_ID)  # type: ignore[arg-type]
        assert answer.base_offset == 1

    play(scenario)


def test_a_bug_met_when_the_wait_is_over_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It once left the client waiting for ever."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        follower_has = node.hold_high_watermark("t")
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await eventually(lambda: len(node.broker.delayed) == 1)

        def fail(*_: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr("logd.context.encode", fail)
        follower_has(1)
        with pytest.raises(ConnectionError):
            await waiting
        assert len(node.broker.delayed) == 0

    play(scenario)
    (record,) = [record for record in caplog.records if record.name == "logd.dispatch"]
    assert record.exc_info


# -- flush.messages -----------------------------------------------------------------------------------------------

EVERY_RECORD = {"flush.messages": "1"}
LOG_FILE = "/t-0/00000000000000000000.log"


@pytest.mark.parametrize("acks", [1, -1])
def test_an_acknowledgement_waits_for_the_flush_that_the_topic_demands(acks: int) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, reader = await node.client(), await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        disk.hold_syncs(LOG_FILE)
        for number in range(3):
            waiting = asyncio.ensure_future(send(client, make_batch(), acks=acks))
            await a_while()
            assert not waiting.done()
            assert node.partition("t").log.log_end_offset == number + 1
            (row,) = fetched(await reader.call(fetch_request(("t", wanted(0, number))), version=12))
            assert (row.high_watermark, offsets_in(row.records)) == (
                number,
                [],
            )  # nobody reads ahead of the disk
            disk.let_go()
            assert (await waiting).base_offset == number
            assert node.partition("t").log.recovery_point == number + 1
            disk.hold_syncs(LOG_FILE)
        disk.let_go()

    play(scenario, fs=disk.fs)


def test_acks_zero_is_flushed_as_well() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        await client.call(produce_request({("t", 0): make_batch()}, acks=0), version=BY_NAME)
        await eventually(lambda: node.partition("t").log.recovery_point == 1)

    play(scenario, fs=disk.fs)


def test_producers_share_flushes() -> None:
    """Whoever appends while a flush is under way is served by the next one: 40 producers, two flushes."""
    disk = Disk(FaultyFileSystem())
    producers, ended = 40, []

    async def scenario(node: Node) -> None:
        clients = [await node.client() for _ in range(producers)]
        await clients[0].create_topic("t", configs=EVERY_RECORD)
        await send(clients[0], make_batch())
        before = disk.count_syncs(LOG_FILE)
        disk.hold_syncs(LOG_FILE)

        async def produce(client: Client, number: int) -> None:
            assert (await send(client, make_batch(), acks=-1 if number % 2 else 1)).error_code == 0
            ended.append(number)

        first = asyncio.ensure_future(produce(clients[0], 0))
        await eventually(lambda: node.broker.flusher.busy)
        rest = [
            asyncio.ensure_future(produce(client, number)) for number, client in enumerate(clients[1:], 1)
        ]
        log = node.partition("t").log
        await eventually(lambda: log.log_end_offset == producers + 1)
        assert not ended
        disk.let_go()
        await asyncio.gather(first, *rest)
        assert ended[0] == 0
        assert disk.count_syncs(LOG_FILE) == before + 2
        assert log.recovery_point == producers + 1

    play(scenario, fs=disk.fs)


def test_one_client_is_answered_in_order_although_only_some_of_it_waits() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t", configs=EVERY_RECORD)
        disk.hold_syncs(LOG_FILE)
        peer.send(raw_produce(1, make_batch(), acks=1), raw_produce(2, make_batch(), acks=1, index=5))
        await eventually(lambda: node.partition("t").log.log_end_offset == 1)
        await a_while()
        disk.let_go()
        answers = [await peer.answer() for _ in range(2)]
        assert [int.from_bytes(answer[:4], "big") for answer in answers] == [1, 2]

    play(scenario, fs=disk.fs)


@pytest.mark.parametrize("acks", [1, -1])
def test_after_a_failed_flush_nothing_is_acknowledged(acks: int, caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        assert (await send(client, make_batch(), acks=acks)).error_code == 0
        disk.hold_syncs(LOG_FILE)
        disk.fail(Kind.SYNC, LOG_FILE, errno.EIO)
        waiting = [asyncio.ensure_future(send(each, make_batch(), acks=acks)) for each in (client, other)]
        await eventually(lambda: node.partition("t").log.log_end_offset == 3)
        disk.let_go()
        for answer in await asyncio.gather(*waiting):
            assert (answer.error_code, answer.base_offset) == (CODE.KAFKA_STORAGE_ERROR, -1)
        disk.heal()
        answer = await send(
            client, make_batch(), acks=acks
        )  # never tried again: what is on disk is not known
        assert answer.error_code == CODE.KAFKA_STORAGE_ERROR
        assert len(node.broker.delayed) == 0
        assert not node.broker.flusher.busy

    play(scenario, fs=disk.fs)
    offline = [record for record in caplog.records if "data directory offline" in record.getMessage()]
    assert len(offline) == 1


def test_a_flush_without_space_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producers that waited for it once waited until their time was up."""
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.005)
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        disk.fail(Kind.CREATE, "leader-epoch-checkpoint", errno.ENOSPC)  # a part of the first flush
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await a_while()
        assert not waiting.done()
        disk.heal()
        answer = await waiting
        assert (answer.error_code, answer.base_offset) == (0, 0)

    play(scenario, fs=disk.fs)


# -- disks that fail ----------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        for _ in range(2):
            assert (await send(client, make_batch())).error_code == 0
        disk.fail(Kind.WRITE, LOG_FILE, errno.ENOSPC)
        for _ in range(2):
            answer = await send(client, make_batch())
            assert (answer.error_code, answer.base_offset) == (CODE.KAFKA_STORAGE_ERROR, -1)
        assert (await send(client, make_batch(), index=1)).error_code == 0
        (row,) = fetched(await client.call(fetch_request(("t", wanted(0, 0))), version=12))
        assert offsets_in(row.records) == [0, 1]
        disk.heal()
        assert (await send(client, make_batch())).base_offset == 2

    play(scenario, fs=disk.fs)
    assert not [record for record in caplog.records if "offline" in record.getMessage()]


def test_a_failed_write_takes_its_directory_offline_and_the_others_serve(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, reader = await node.client(), await node.client()
        await client.create_topic("t", partitions=6)
        homes = {index: node.partition("t", index).log.directory.split("/")[1] for index in range(6)}
        assert sorted(homes.values()) == ["a"] * 3 + ["b"] * 3
        bad = [index for index in homes if homes[index] == "b"]
        good = [index for index in homes if homes[index] == "a"]
        for index in homes:
            assert (await send(client, make_batch(), index=index)).error_code == 0
        waiting = asyncio.ensure_future(
            reader.call(fetch_request(("t", wanted(bad[1], 1)), max_wait_ms=10_000), version=12)
        )
        await eventually(lambda: len(node.broker.delayed) == 1)
        disk.fail(Kind.WRITE, f"/b/t-{bad[0]}/", errno.EIO)
        request = produce_request({("t", index): make_batch() for index in homes})
        answers = produced(await client.call(request, version=BY_NAME))
        failed = {answer.index: answer.error_code for answer in answers}
        assert failed[bad[0]] == CODE.KAFKA_STORAGE_ERROR
        assert all(failed[index] == 0 for index in good)
        (row,) = fetched(await waiting)  # who waits for a partition beside it is told
        assert row.error_code == CODE.KAFKA_STORAGE_ERROR
        disk.heal()
        for index in bad:
            assert (await send(client, make_batch(), index=index)).error_code == CODE.KAFKA_STORAGE_ERROR
        for index in good:
            assert (await send(client, make_batch(), index=index)).base_offset == 2

    play(scenario, "log.dirs=/a,/b", fs=disk.fs)
    offline = [record for record in caplog.records if "data directory offline" in record.getMessage()]
    assert len(offline) == 1


def test_a_failing_disk_does_not_mix_up_the_requests_of_two_clients() -> None:
    """All connections share one receive buffer. A partition that went offline in the middle of one client's turn once
    had another's requests taken up there, over the first one's.
    """
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        admin, peer = await node.client(), await node.peer()
        await admin.create_topic("t", partitions=3)
        # A client with as many requests in flight as one may have, and more behind them.
        body = encode_bytes(fetch_request(("t", wanted(1, 0)), max_wait_ms=10_000), BY_NAME)
        crowd = await node.peer()
        count = 80
        crowd.send(
            *[header(1, BY_NAME, number, b"crowd" * 20, flexible=True) + body for number in range(count)]
        )
        await eventually(lambda: len(node.broker.delayed) == 64)
        disk.fail(Kind.WRITE, "/t-0/", errno.EIO)
        peer.send(
            *[raw_produce(number, make_batch(), acks=1) for number in range(3)],
            *[raw_produce(number, make_batch(), acks=1, index=9) for number in range(3, 6)],
        )
        answers = [await peer.answer() for _ in range(6)]
        assert [int.from_bytes(answer[:4], "big") for answer in answers] == list(range(6))
        answers = [await crowd.answer() for _ in range(count)]
        assert [int.from_bytes(answer[:4], "big") for answer in answers] == list(range(count))

    play(scenario, fs=disk.fs)
