"""A node's life: starts and stops keep everything, crashes keep what was promised, failed starts leave no trace."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from pathlib import Path
from typing import Any, cast

import pytest

from logd.broker import Broker
from logd.clients.client import Client
from logd.config.broker_config import load_config
from logd.errors import StartupError
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.records import iter_batches, iter_records
from storage.errors import StorageFailure
from storage.fs import FileSystem
from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Kind, Loss
from storage.fs.real import RealFileSystem
from tests.support.logs import make_batch
from tests.support.metadata_store import Clock
from tests.support.node import (
    DATA_DIR,
    LONG_MS,
    ClockedBroker,
    Disk,
    Node,
    a_while,
    eventually,
    fetch_request,
    play,
    produce_request,
    produced,
    wanted,
)

CLEAN = f"{DATA_DIR}/.kafka_cleanshutdown"
LOCAL = "listeners=PLAINTEXT://127.0.0.1:0"


async def values(client: Client, topic: str, index: int = 0) -> list[tuple[int, bytes | None]]:
    """All records of a partition."""
    found: list[tuple[int, bytes | None]] = []
    end = await client.list_offset(topic, index)
    while len(found) < end:
        answer = await client.fetch(topic, index, len(found))
        for batch in iter_batches(cast("memoryview", answer.records)):
            found += [(record.offset, record.value) for record in iter_records(batch)]
    return found


def start_on(fs: FileSystem, *properties: str) -> Broker:
    config = load_config([f"log.dirs={DATA_DIR}", LOCAL, *properties])
    return ClockedBroker(config, asyncio.get_running_loop(), fs, Clock())


def refused(fs: FileSystem, *properties: str) -> StartupError:
    """Start a node that must not start."""

    async def main() -> StartupError:
        with pytest.raises(StartupError) as caught:
            await start_on(fs, *properties).start()
        return caught.value

    return asyncio.run(main())


# -- starts and stops ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True], ids=["memory", "disk"])
def test_everything_survives_stops(real: bool, tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        made = await client.create_topic("t", partitions=2, configs={"segment.bytes": "2000000"})
        producer_id = (await client.call(InitProducerIdRequest(transactional_id=None))).producer_id
        written: list[tuple[int, bytes | None]] = []
        cluster_id = node.broker.cluster_id
        for round_ in range(4):
            batch = make_batch(2, size=7, producer_id=producer_id, producer_epoch=0, base_sequence=2 * round_)
            await client.produce("t", 1, bytes(batch))
            written += [(2 * round_ + index, bytes([index]) * 7) for index in range(2)]
            # A stop that finds a duplicate's original in the snapshot, too.
            await node.restart()
            client = await node.client()
            again = await client.produce("t", 1, bytes(batch))
            assert again is not None and again.base_offset == 2 * round_
            assert await values(client, "t", 1) == written
            partition = node.partition("t", 1)
            assert (partition.high_watermark, partition.leader_epoch) == (len(written), 0)
            assert partition.log.config.segment_bytes == 2_000_000
            assert node.broker.topic_name(made.topic_id) == "t"
            assert node.broker.cluster_id == cluster_id
        response = await client.call(InitProducerIdRequest(transactional_id=None))
        assert response.producer_id > producer_id

    if real:
        play(scenario, f"log.dirs={tmp_path}", fs=RealFileSystem())
    else:
        play(scenario)


def test_a_stop_vouches_for_the_directory_until_the_next_start() -> None:
    async def scenario(node: Node) -> None:
        assert not node.fs.exists(CLEAN)
        await node.stop()
        assert node.fs.exists(CLEAN)
        await node.start()
        assert not node.fs.exists(CLEAN)

    play(scenario)


def test_high_watermarks_survive_a_stop() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.produce("t", 0, bytes(make_batch(3)))
        node.hold_high_watermark("t")
        response = await client.call(produce_request({("t", 0): make_batch(4)}, acks=1), version=9)
        assert produced(response)[0].base_offset == 3
        await node.stop()
        lines = node.fs.read_file(f"{DATA_DIR}/replication-offset-checkpoint").decode().splitlines()
        assert lines == ["0", "1", "t 0 3"]
        await node.start()
        assert node.partition("t").high_watermark == 7  # one replica again: it alone decides

    play(scenario)


def test_the_last_requests_in_hand_are_answered_by_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that waits gets what there is, a produce that awaits its flush gets it, and no more is taken."""
    monkeypatch.setattr("logd.broker._DRAIN_S", LONG_MS / 1000)  # nobody is turned away because time is up
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        reader, writer, quiet = [await node.client() for _ in range(3)]
        await writer.create_topic("t", partitions=2, configs={"flush.messages": "1"})
        fetch = asyncio.ensure_future(reader.fetch("t", 1, 0, max_wait_ms=LONG_MS))
        await eventually(lambda: len(node.broker.delayed) == 1)
        disk.hold_syncs("/t-0/")
        produce = asyncio.ensure_future(writer.produce("t", 0, bytes(make_batch())))
        await eventually(lambda: len(node.broker.delayed) == 2)
        stopping = asyncio.ensure_future(node.broker.stop())
        assert (await fetch).records is not None
        await eventually(lambda: quiet.is_closed)
        disk.let_go()
        answer = await produce
        assert answer is not None and answer.base_offset == 0
        await stopping
        with pytest.raises(OSError):
            await node.client()
        await node.start()

    play(scenario, fs=disk.fs)


def test_a_stop_does_not_wait_for_ever_for_replicas() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        node.hold_high_watermark("t")
        produce = asyncio.ensure_future(client.produce("t", 0, bytes(make_batch()), timeout_ms=1 << 30))
        await eventually(lambda: len(node.broker.delayed) == 1)
        await node.broker.stop()
        assert len(node.broker.delayed) == 0
        with pytest.raises((ConnectionError, BrokerError)):
            await produce
        await node.start()
        assert await (await node.client()).list_offset("t", 0) == 1  # written, though nobody was told

    play(scenario)


def test_a_start_leaves_no_client_waiting_for_a_topic_it_finds() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        for number in range(30):
            await client.create_topic(f"t{number}", partitions=2)
        await node.restart()
        client = await node.client()
        rows = (await client.metadata()).topics
        assert len(rows) == 30
        assert all(partition.leader_id == 1 for row in rows for partition in row.partitions)
        for number in range(30):
            assert await client.list_offset(f"t{number}", 1) == 0

    play(scenario)


# -- crashes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", Loss)
def test_what_was_acknowledged_after_a_flush_survives_any_crash(loss: Loss) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        made = await client.create_topic("t", configs={"flush.messages": "1"})
        for round_ in range(3):
            for number in range(4):
                answer = await client.produce("t", 0, bytes(make_batch(2)))
                assert answer is not None and answer.base_offset == 8 * round_ + 2 * number
            await node.crash(loss)
            client = await node.client()
            assert [offset for offset, _ in await values(client, "t")] == list(range(8 * round_ + 8))
            assert node.broker.topic_name(made.topic_id) == "t"
            # Somebody may have read what got lost, so another term begins.
            assert node.partition("t").leader_epoch == round_ + 1
        await node.restart()
        assert node.partition("t").leader_epoch == 3

    play(scenario)


@pytest.mark.parametrize("loss", POWER_LOSSES)
def test_what_was_not_flushed_may_go_but_what_is_left_is_whole(loss: Loss) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        end = 0
        for round_ in range(6):
            for _ in range(5):
                await client.produce("t", 0, bytes(make_batch(3, size=200)))
            cast("FaultyFileSystem", node.fs).seed = round_
            await node.crash(loss)
            client = await node.client()
            found = await values(client, "t")
            assert [offset for offset, _ in found] == list(range(len(found)))
            assert end <= len(found) <= end + 15 and len(found) % 3 == 0
            end = len(found)
            assert node.partition("t").high_watermark == end

    play(scenario)


def test_a_killed_process_loses_nothing() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        for _ in range(20):
            await client.produce("t", 0, bytes(make_batch()))
        await node.crash(Loss.NONE)
        assert len(await values(await node.client(), "t")) == 20

    play(scenario)


def test_a_client_can_tell_where_a_lost_tail_was_written_anew() -> None:
    """Offsets given out twice differ in their leader epoch (KIP-320)."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.produce("t", 0, bytes(make_batch(4)))
        await node.crash(Loss.ALL)
        client = await node.client()
        assert await client.list_offset("t", 0) == 0
        await client.produce("t", 0, bytes(make_batch(9)))
        asked = ("t", wanted(0, 4, last_fetched_epoch=0))
        answer = (await client.call(fetch_request(asked), version=12)).responses[0].partitions[0]
        assert answer.diverging_epoch is not None
        assert (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset) == (0, 0)

    play(scenario)


# -- failed starts ------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_and_nothing_is_left_behind() -> None:
    fs = FaultyFileSystem()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused(
            fs,
            f"listeners=A://127.0.0.1:0,B://127.0.0.1:{port}",
            "inter.broker.listener.name=A",
            "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT",
        )
    assert f"cannot listen on 127.0.0.1:{port} (B): Address already in use" in error.message
    assert "--port" in error.hint and error.exit_code == 1
    assert fs.exists(CLEAN) is False  # nobody had vouched for this new directory
    play(lambda _: a_while(), fs=fs)  # the lock is free


def test_a_failed_start_after_a_clean_stop_leaves_the_directory_clean() -> None:
    """It once counted as a crash: the next start recovered, and began a new term of leadership."""
    fs = FaultyFileSystem()

    async def fill(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.produce("t", 0, bytes(make_batch(3)))

    async def check(node: Node) -> None:
        assert node.partition("t").leader_epoch == 0
        assert len(await values(await node.client(), "t")) == 3

    play(fill, fs=fs)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(fs, f"listeners=PLAINTEXT://127.0.0.1:{taken.getsockname()[1]}")
    assert fs.exists(CLEAN)
    play(check, fs=fs)


def test_a_failed_start_after_a_crash_does_not_make_the_directory_clean() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        left = cast("FaultyFileSystem", node.fs).crash(Loss.NONE)
        await node.stop()
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartupError):
            await start_on(left, f"listeners=PLAINTEXT://127.0.0.1:{taken.getsockname()[1]}").start()
        assert not left.exists(CLEAN)
        node.fs = left
        await node.start()
        assert node.partition("t").leader_epoch == 1

    play(scenario)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300, "a..b"])
def test_a_host_that_is_not_known(host: str) -> None:
    error = refused(
        FaultyFileSystem(), f"listeners=PLAINTEXT://{host}:0", "advertised.listeners=PLAINTEXT://localhost:1"
    )
    assert error.message == f"listener PLAINTEXT names the host {host!r}, which is not known"
    assert error.hint


def test_an_address_of_another_machine() -> None:
    error = refused(FaultyFileSystem(), "listeners=PLAINTEXT://192.0.2.1:0")
    assert error.message.startswith("cannot listen on 192.0.2.1:0 (PLAINTEXT): ")


def test_a_directory_in_use() -> None:
    async def scenario(node: Node) -> None:
        with pytest.raises(StartupError, match="is in use by another broker"):
            await start_on(node.fs).start()
        client = await node.client()
        await client.create_topic("still")

    play(scenario)


def test_a_directory_of_another_node() -> None:
    fs = FaultyFileSystem()
    play(lambda _: a_while(), fs=fs)
    assert "node" in refused(fs, "node.id=7").message
    assert fs.exists(CLEAN)
    play(lambda _: a_while(), fs=fs)


@pytest.mark.parametrize("kind", [Kind.MKDIR, Kind.CREATE, Kind.WRITE, Kind.SYNC, Kind.SYNC_DIR, Kind.READ])
def test_a_disk_that_fails_during_the_start(kind: Kind) -> None:
    """One line that says what failed, or a start that does without; the lock is given back."""
    disk = Disk(FaultyFileSystem())

    async def fill(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.produce("t", 0, bytes(make_batch(3)))

    play(fill, fs=disk.fs)
    disk.fail(kind, DATA_DIR, errno.EIO)

    async def main() -> None:
        broker = start_on(disk.fs)
        try:
            await broker.start()
        except StartupError as error:
            assert "Input/output error" in error.message
        else:
            await broker.stop()

    asyncio.run(main())
    disk.heal()

    async def check(node: Node) -> None:
        assert len(await values(await node.client(), "t")) == 3

    play(check, fs=disk.fs)


def test_damaged_metadata_is_refused() -> None:
    fs = FaultyFileSystem()

    async def fill(node: Node) -> None:
        await (await node.client()).create_topic("t")

    play(fill, fs=fs)
    fs.flip_bit(f"{DATA_DIR}/__cluster_metadata-0/00000000000000000000.log", 70)
    for _ in range(2):
        error = refused(fs)
        assert "__cluster_metadata-0" in error.message
        assert "restore the metadata log" in error.hint


# -- metadata that cannot be written ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_stop_does_not_vouch_for_metadata_that_could_not_be_written(code: int) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("before")
        await client.produce("before", 0, bytes(make_batch(3)))
        disk.fail(Kind.SYNC, "__cluster_metadata", code)
        with pytest.raises(BrokerError):
            await client.create_topic("t")
        disk.heal()
        await node.stop()
        assert not node.fs.exists(CLEAN)
        await node.start()
        client = await node.client()
        assert len(await values(client, "before")) == 3
        await client.create_topic("after")

    play(scenario, fs=disk.fs)


def test_a_stop_does_not_vouch_for_metadata_that_met_a_bug() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.produce("t", 0, bytes(make_batch(3)))
        watch: Any = node.broker._metadata_log
        watch._publish = None  # the image can no longer follow the log
        with pytest.raises(BrokerError):
            await client.create_topic("more")
        await client.produce("t", 0, bytes(make_batch(3)))  # what exists is served on
        await node.stop()
        assert not node.fs.exists(CLEAN)
        await node.start()
        client = await node.client()
        assert len(await values(client, "t")) == 6
        await client.create_topic("after")

    play(scenario)


def test_metadata_that_cannot_be_closed_does_not_keep_the_rest_from_being_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.produce("t", 0, bytes(make_batch(3)))
        close: Any = node.broker._metadata_log.close

        async def fail() -> None:
            await close()
            raise StorageFailure(f"{DATA_DIR}/__cluster_metadata-0", "planted")

        cast("Any", node.broker._metadata_log).close = fail
        await node.stop()
        assert not node.fs.exists(CLEAN)
        await node.start()
        assert len(await values(await node.client(), "t")) == 3

    play(scenario, fs=disk.fs)
    assert any(
        record.levelno == logging.ERROR and "planted" in record.getMessage() for record in caplog.records
    )


# -- what handlers use --------------------------------------------------------------------------------------------


def test_listeners_and_what_they_advertise() -> None:
    async def main() -> None:
        broker = start_on(
            FaultyFileSystem(),
            "listeners=IN://127.0.0.1:0,OUT://127.0.0.1:0,ANY://:0",
            "advertised.listeners=IN://127.0.0.1:0,OUT://broker.example.org:4711,ANY://localhost:0",
            "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT,ANY:PLAINTEXT",
            "inter.broker.listener.name=IN",
        )
        endpoints = await broker.start()
        assert [name for name, _, _ in endpoints] == ["IN", "OUT", "ANY"]
        ports = {name: port for name, _, port in endpoints}
        assert endpoints[1] == ("OUT", "broker.example.org", 4711)
        assert ports["IN"] > 0 and ports["ANY"] > 0
        for name, host, port in endpoints:
            assert broker.endpoint(name) == (host, port)
        # Each listener tells its clients of itself.
        for name in ("IN", "ANY"):
            async with await Client.connect("127.0.0.1", ports[name]) as client:
                (row,) = (await client.metadata([])).brokers
                assert (row.host, row.port) == broker.endpoint(name)
        await broker.stop()

    asyncio.run(main())


def test_blocking_work_comes_back_and_time_passes() -> None:
    async def main() -> None:
        config = load_config([f"log.dirs={DATA_DIR}", LOCAL])
        broker = Broker(config, asyncio.get_running_loop(), FaultyFileSystem())
        await broker.start()
        assert await broker.run_blocking(lambda: "done") == "done"
        with pytest.raises(ZeroDivisionError):
            await broker.run_blocking(lambda: 1 // 0)
        assert broker.now_ms() > 1_700_000_000_000
        assert broker.topic_name(bytes(16)) is None
        await broker.stop()

    asyncio.run(main())


def test_partitions_that_go_offline_together_are_told_once_each() -> None:
    """Whoever waits on them is answered when the stack is empty, and everybody is."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=10)
        clients = [await node.client() for _ in range(10)]
        waiting = [
            asyncio.ensure_future(each.fetch("t", index, 0, max_wait_ms=60_000))
            for index, each in enumerate(clients)
        ]
        await eventually(lambda: len(node.broker.delayed) == 10)
        node.broker.replicas.disk_failed(StorageFailure(f"{DATA_DIR}/t-3/x", "planted"))
        assert len(node.broker.delayed) == 10
        for each in waiting:
            with pytest.raises(BrokerError) as caught:
                await each
            assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert len(node.broker.delayed) == 0

    play(scenario)
