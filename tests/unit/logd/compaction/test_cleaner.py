"""Compaction by a running node: what is cleaned and what is not, in the pool and in a worker, and what ends a pass.

Clocks are the test's, segments hold a few batches, and the cleaner looks again every few milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from logd.clients.client import Client
from logd.compaction.cleaning_pass import CleaningPass, PassEnd
from logd.worker import Throttle
from protocol.record_builder import build_batch
from protocol.records import HEADER_SIZE, Record, iter_batches, iter_records, read_header, set_crc
from storage.fs import FileSystem
from storage.fs.faulty import FaultyFileSystem, Kind, Loss, Operation
from storage.fs.real import RealFileSystem
from tests.support.logs import read
from tests.support.node import DATA_DIR, Node, a_while, eventually, play
from tests.support.node_talk import delete_topic

OFTEN = "log.cleaner.backoff.ms=5"
COMPACTED = {
    "cleanup.policy": "compact",
    "internal.segment.bytes": "300",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "60000",
    "file.delete.delay.ms": "1000",
}


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.002)
    monkeypatch.setattr("logd.compaction.cleaner._BACKOFF_S_MIN", 0.005)


def batch(key: bytes, value: bytes | None, node: Node) -> bytes:
    return bytes(build_batch([Record(0, node.clock.now_ms, key, value)]))


async def fill(node: Node, rounds: int = 10, **configs: str) -> Client:
    """Topic `t` with `rounds` values of three keys."""
    client = await node.client()
    if "t" not in node.broker.metadata.image.topics:
        await client.create_topic("t", configs=COMPACTED | configs)
    for number in range(rounds):
        for key in (b"a", b"b", b"c"):
            await client.produce("t", 0, batch(key, b"value %d" % number, node))
    return client


def rows(node: Node) -> list[tuple[bytes | None, bytes | None]]:
    """Every record of partition t-0, as it lies in the log."""
    log = node.partition("t").log
    found = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        result = read(log, offset)
        if result.region is not None:
            for each in iter_batches(result.region.read()):
                found += [(record.key, record.value) for record in iter_records(each)]
        assert result.next_offset > offset
        offset = result.next_offset
    return found


def is_clean(node: Node) -> bool:
    """Whether nothing is left to do: each key is once below the active segment."""
    log = node.partition("t").log
    return node.broker._manager.cleaned.end_of(log.topic_partition) == log.segments[-1].base_offset


async def compacted(node: Node) -> None:
    await eventually(lambda: is_clean(node))
    await eventually(lambda: not node.broker._manager.cleaned.under_way)
    found = rows(node)
    assert dict(found) == dict.fromkeys((b"a", b"b", b"c"), b"value 9")
    assert len(found) < 12


def test_a_compacted_topic_is_compacted() -> None:
    async def scenario(node: Node) -> None:
        await fill(node)
        await compacted(node)
        end = node.partition("t").log.segments[-1].base_offset
        await eventually(
            lambda: b"t 0 %d\n" % end in node.fs.read_file(f"{DATA_DIR}/cleaner-offset-checkpoint")
        )
        await node.restart()
        await compacted(node)
        assert isinstance(node.fs, FaultyFileSystem)
        await node.crash(Loss.ALL)
        await compacted(node)

    play(scenario, OFTEN)


def test_a_large_log_is_cleaned_by_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logd.compaction.cleaning_pass._POOL_BYTES_MAX", 0)
    fs = RealFileSystem()

    async def scenario(node: Node) -> None:
        await fill(node)
        await compacted(node)
        await node.restart()
        await compacted(node)

    play_on_disk(scenario, fs, tmp_path)


def play_on_disk(scenario: object, fs: FileSystem, tmp_path: Path, *properties: str) -> None:
    async def main() -> None:
        node = Node(fs, OFTEN, *properties, data_dir=str(tmp_path / "data"))
        async with asyncio.timeout(60):
            await node.start()
            try:
                await scenario(node)  # type: ignore[operator]
            finally:
                await node.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("properties", "configs"),
    [
        (["log.cleaner.enable=false"], {}),
        (["log.cleaner.threads=0"], {}),
        ([], {"cleanup.policy": "delete"}),
        ([], {"min.cleanable.dirty.ratio": "1"}),
        ([], {"min.compaction.lag.ms": "1000"}),
    ],
)
def test_what_is_not_to_be_compacted_is_not(properties: list[str], configs: dict[str, str]) -> None:
    async def scenario(node: Node) -> None:
        await fill(node, **configs)
        await a_while()
        assert len(rows(node)) == 30

    play(scenario, OFTEN, *properties)


def test_a_lag_that_is_over_lets_a_log_be_compacted() -> None:
    async def scenario(node: Node) -> None:
        await fill(node, **{"min.compaction.lag.ms": "1000"})
        node.clock.now_ms += 1001
        await compacted(node)

    play(scenario, OFTEN)


def test_a_lag_that_is_too_long_asks_for_a_pass() -> None:
    async def scenario(node: Node) -> None:
        await fill(node, **{"min.cleanable.dirty.ratio": "1", "max.compaction.lag.ms": "1000"})
        await a_while()
        assert len(rows(node)) == 30
        node.clock.now_ms += 1001
        await compacted(node)

    play(scenario, OFTEN)


def test_what_was_written_just_now_is_cleaned_in_the_same_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = 0
    run = CleaningPass.run

    async def counted(cleaning: CleaningPass) -> PassEnd:
        nonlocal passes
        passes += 1
        return await run(cleaning)

    async def scenario(node: Node) -> None:
        await fill(node, **{"min.compaction.lag.ms": "1000"})
        partition = node.partition("t")
        log = partition.log
        node.broker.flusher.request(partition)
        node.broker.state_changed(partition)
        await eventually(lambda: log.durable_end > 0)
        await fill(node)
        assert log.durable_end < log.segments[-1].base_offset
        node.clock.now_ms += 1001
        node.broker.cleaner.look()  # the next look by the clock would be the last that waits for the flush
        await compacted(node)
        assert passes == 1
        assert log.durable_end == log.segments[-1].base_offset

    monkeypatch.setattr("logd.housekeeping._TICK_S", 1000)
    monkeypatch.setattr(CleaningPass, "run", counted)
    play(scenario)


def test_nothing_above_the_high_watermark_is_cleaned() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node, 1)
        node.hold_high_watermark("t")
        for number in range(10):
            await client.produce("t", 0, batch(b"a", b"%d" % number, node), acks=1)
        await a_while()
        assert len(rows(node)) == 13

    play(scenario, OFTEN)


def test_what_cannot_be_read_as_records_is_set_aside_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "logd.cleaner")

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("bad", configs=COMPACTED | {"cleanup.policy": "delete"})
        for _ in range(10):
            garbage = build_batch([Record(0, node.clock.now_ms, b"key", b"value")])
            garbage[HEADER_SIZE:] = b"\xff" * (len(garbage) - HEADER_SIZE)
            set_crc(garbage)
            await client.produce("bad", 0, bytes(garbage))
        log = node.partition("bad").log
        log.configure(replace(log.config, cleanup_policy=frozenset({"compact"})))
        await fill(node)
        await compacted(node)
        await eventually(lambda: len(node.broker.cleaner.uncleanable) == 1)
        assert log.size_bytes > 0
        await a_while()
        assert len([record for record in caplog.records if "not compacted any more" in record.message]) == 1
        assert read_header(read_first(node, "bad")).record_count == 1

    play(scenario, OFTEN)


def read_first(node: Node, topic: str) -> bytes:
    region = read(node.partition(topic).log, 0).region
    assert region is not None
    return region.read()


def test_a_topic_deleted_during_a_pass_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logd.compaction.cleaning_pass._POOL_BYTES_MAX", 0)

    async def scenario(node: Node) -> None:
        client = await fill(node)
        await eventually(lambda: bool(node.broker.cleaner._passes))
        await delete_topic(client, node.broker.metadata.image.topics["t"].topic_id)
        await eventually(lambda: not node.broker.cleaner._passes)
        assert all(directory.is_online for directory in node.broker._manager.directories)
        assert node.broker.cleaner.uncleanable == {}

    play_on_disk(scenario, RealFileSystem(), tmp_path)


def test_a_stop_ends_a_pass_and_the_next_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logd.compaction.cleaning_pass._POOL_BYTES_MAX", 0)

    async def slow(node: Node) -> None:
        await fill(node)
        await eventually(lambda: bool(node.broker.cleaner._passes))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await node.stop()
        assert not [name for name in node.fs.listdir(str(tmp_path / "data" / "t-0")) if "cleaned" in name]
        await node.start()
        assert time.monotonic() - began < 10
        assert not [name for name in node.fs.listdir(str(tmp_path / "data" / "t-0")) if "cleaned" in name]
        assert len(rows(node)) == 30

    play_on_disk(slow, RealFileSystem(), tmp_path, "log.cleaner.io.max.bytes.per.second=50")

    async def quick(node: Node) -> None:
        await compacted(node)

    play_on_disk(quick, RealFileSystem(), tmp_path)


@pytest.mark.parametrize(
    ("kind", "path", "left"),
    [(Kind.CREATE, ".timeindex.cleaned", ".log.cleaned"), (Kind.SYNC_DIR, "/t-0", ".log.swap")],
    ids=["cleaning", "swap"],
)
def test_a_pass_that_is_cancelled_waits_for_what_it_has_begun(
    kind: Kind, path: str, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Clearing up behind a step that still ran found "generator already executing", and its files in use."""
    fs = FaultyFileSystem()
    reached, let_go = threading.Event(), threading.Event()
    directory = f"{DATA_DIR}/t-0"

    def hold(operation: Operation) -> None:
        if operation.kind is kind and path in operation.path and names_with(left):
            reached.set()
            assert let_go.wait(60), "nobody let it go"

    def names_with(suffix: str) -> list[str]:
        return [name for name in fs.listdir(directory) if name.endswith(suffix)]

    async def scenario(node: Node) -> None:
        fs.before = hold
        await fill(node)
        await eventually(reached.is_set)
        (task,) = node.broker.cleaner._tasks
        for _ in range(3):
            task.cancel()
            await a_while()
        assert not task.done()
        let_go.set()
        await asyncio.wait((task,))
        assert task.cancelled()
        assert not names_with(".cleaned") and not names_with(".swap")
        assert dict(rows(node)) == dict.fromkeys((b"a", b"b", b"c"), b"value 9")
        await compacted(node)
        await node.restart()
        await compacted(node)
        assert all(each.is_online for each in node.broker._manager.directories)

    play(scenario, OFTEN, fs=fs)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


class _HeldFileSystem(RealFileSystem):
    """Holds the first thread other than its maker's that works on a log's names once a cleaned segment counts."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.let_go = threading.Event(), threading.Event()
        self._loop_thread = threading.get_ident()
        self._counts = False

    def rename(self, source: str, target: str) -> None:
        self._hold(target)
        super().rename(source, target)

    def sync_dir(self, path: str) -> None:
        if path.endswith("/t-0"):
            self._hold(path)
            self._counts |= any(name.endswith(".log.swap") for name in self.listdir(path))
        super().sync_dir(path)

    def _hold(self, path: str) -> None:
        is_elsewhere = threading.get_ident() != self._loop_thread
        if self._counts and is_elsewhere and "/t-0" in path and not self.reached.is_set():
            self.reached.set()
            assert self.let_go.wait(60), "nobody let it go"


def test_a_topic_made_again_during_a_swap_keeps_its_records(tmp_path: Path) -> None:
    """Its files have the names of those that the swap puts aside."""
    fs = _HeldFileSystem()

    async def scenario(node: Node) -> None:
        client = await fill(node)
        await eventually(fs.reached.is_set)
        await delete_topic(client, node.broker.metadata.image.topics["t"].topic_id)
        await client.create_topic("t", configs=COMPACTED | {"internal.segment.bytes": "100000"})
        for value in (b"1", b"2"):
            await client.produce("t", 0, batch(b"new", value, node))
        fs.let_go.set()
        await eventually(lambda: not node.broker.cleaner._passes)
        assert all(each.is_online for each in node.broker._manager.directories)
        assert node.broker.cleaner.uncleanable == {}
        await node.restart()
        assert rows(node) == [(b"new", b"1"), (b"new", b"2")]

    play_on_disk(scenario, fs, tmp_path)


def test_retention_waits_for_a_pass_and_the_next_pass_begins_where_it_left_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logd.compaction.cleaning_pass._POOL_BYTES_MAX", 0)

    async def scenario(node: Node) -> None:
        client = await fill(node, **{"cleanup.policy": "compact,delete", "retention.ms": "600000"})
        log = node.partition("t").log
        await eventually(lambda: log.topic_partition in node.broker._manager.cleaned.under_way)
        (cleaning,) = node.broker.cleaner._passes.values()
        node.clock.now_ms += 600_001
        while node.broker.cleaner._passes.get(log.topic_partition) is cleaning:
            assert log.log_start_offset == 0
            await asyncio.sleep(0.001)
        await eventually(lambda: log.log_start_offset == log.log_end_offset == 30)
        for number in range(20):
            await client.produce("t", 0, batch(b"d", b"%d" % number, node))
        await eventually(lambda: is_clean(node))
        assert log.log_start_offset == 30
        assert dict(rows(node)) == {b"d": b"19"}

    # Some 2,500 bytes, read twice.
    limit = "log.cleaner.io.max.bytes.per.second=5000"
    play_on_disk(scenario, RealFileSystem(), tmp_path, limit, "log.retention.check.interval.ms=5")


def test_a_customer_who_asks_for_it_is_forgotten_to_the_last_byte() -> None:
    """The walk-through of GDPR: tombstone, horizon, pass, and no file holds the bytes; the neighbours stay."""
    secret = b"jane@example.org"

    async def scenario(node: Node) -> None:
        client = await fill(node, 3)
        await client.produce("t", 0, batch(b"customer 7", secret, node))
        await fill(node, 3)
        assert secret in everything(node)
        await client.produce("t", 0, batch(b"customer 7", None, node))
        await fill(node, 4)
        await eventually(lambda: is_clean(node))
        assert (b"customer 7", None) in rows(node)
        node.clock.now_ms += 60_001  # the horizon
        await fill(node, 4)  # something dirty, or there is no pass
        await eventually(lambda: is_clean(node))
        node.clock.now_ms += 1001  # the delay of what was replaced
        await eventually(lambda: secret not in everything(node))
        await eventually(lambda: b"customer 7" not in everything(node))
        assert {key for key, _ in rows(node)} == {b"a", b"b", b"c"}

    play(scenario, OFTEN)


def everything(node: Node) -> bytes:
    """All bytes in all files of the node."""
    found = []
    directories = [DATA_DIR]
    while directories:
        directory = directories.pop()
        for name in node.fs.listdir(directory):
            path = f"{directory}/{name}"
            if node.fs.is_dir(path):
                directories.append(path)
            else:
                found.append(node.fs.read_file(path))
    return b"\0".join(found)


def test_a_throttle_keeps_to_its_rate() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    throttle = Throttle(1000, clock=lambda: now, sleep=sleep)
    for _ in range(10):
        throttle.pace(500)
    assert now == pytest.approx(5)
    now += 10
    throttle.pace(5000)
    assert now == pytest.approx(15)
