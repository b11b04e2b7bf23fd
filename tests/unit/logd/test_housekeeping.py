"""What a node does by the clock. Ticks are short, the wall clock is the test's, and a fault must not end the chores."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from logd.clients.client import Client
from logd.housekeeping import Housekeeping
from protocol.errors import ErrorCode
from storage.fs.faulty import FaultyFileSystem, Kind
from storage.fs.real import RealFileSystem
from tests.support.logs import NOW_MS, make_batch
from tests.support.metadata_store import Clock
from tests.support.node import DATA_DIR, Disk, Node, a_while, eventually, play, produce_request, produced

SEGMENTS = {"internal.segment.bytes": "300", "file.delete.delay.ms": "1000"}
OFTEN = "log.retention.check.interval.ms=5"


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.002)


async def fill(
    node: Node, count: int = 12, configs: dict[str, str] | None = None, *, index: int = 0
) -> Client:
    """A topic `t` with segments of two or three batches."""
    client = await node.client()
    if "t" not in node.broker.metadata.image.topics:
        await client.create_topic("t", partitions=index + 1, configs=SEGMENTS | (configs or {}))
    for _ in range(count):
        await client.produce("t", index, bytes(make_batch(timestamp_ms=node.clock.now_ms)))
    return client


def files(node: Node, ending: str = ".log", index: int = 0) -> list[str]:
    return [name for name in node.fs.listdir(f"{DATA_DIR}/t-{index}") if name.endswith(ending)]


def checkpoint(node: Node, name: str) -> dict[str, int]:
    path = f"{DATA_DIR}/{name}"
    if not node.fs.exists(path):
        return {}
    lines = node.fs.read_file(path).decode().splitlines()[2:]
    return {f"{topic}-{index}": int(offset) for topic, index, offset in (line.split() for line in lines)}


# -- retention ----------------------------------------------------------------------------------------------------


def test_retention_by_size_removes_files_after_a_while() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node, configs={"retention.bytes": "500"})
        log = node.partition("t").log
        await eventually(lambda: log.log_start_offset > 0)
        await eventually(lambda: log.size_bytes - log.segments[0].size_bytes < 500)
        start = log.log_start_offset
        assert log.size_bytes >= 500
        assert await client.list_offset("t", 0, -2) == start
        gone = files(node, ".log.deleted")
        assert gone and len(files(node)) == len(log.segments)
        node.clock.now_ms += 999
        await a_while()
        assert files(node, ".log.deleted") == gone
        node.clock.now_ms += 1
        await eventually(lambda: not files(node, ".deleted"))
        await eventually(lambda: len(files(node)) == len(log.segments))
        await node.restart()
        assert (node.partition("t").log.log_start_offset, node.partition("t").log.log_end_offset) == (
            start,
            12,
        )

    play(scenario, OFTEN)


def test_retention_by_time_takes_the_active_segment_as_well() -> None:
    clock = Clock(NOW_MS)

    async def scenario(node: Node) -> None:
        client = await fill(node, configs={"retention.ms": "60000"})
        log = node.partition("t").log
        node.clock.now_ms += 60_000
        await a_while()
        assert log.log_start_offset == 0
        node.clock.now_ms += 1
        await eventually(lambda: log.log_start_offset == 12)
        assert (log.size_bytes, log.log_end_offset) == (0, 12)
        assert (await client.produce("t", 0, bytes(make_batch()))).base_offset == 12  # type: ignore[union-attr]
        node.clock.now_ms += 10_000
        await eventually(lambda: not files(node, ".deleted"))

    play(scenario, OFTEN, clock=clock)


def test_only_what_is_replicated_is_deleted() -> None:
    async def scenario(node: Node) -> None:
        await fill(node, 4, {"retention.bytes": "0"})
        follower_has = node.hold_high_watermark("t")
        client = await node.client()
        for _ in range(8):
            request = produce_request({("t", 0): make_batch()}, acks=1)
            assert produced(await client.call(request, version=9))[0].error_code == 0
        log = node.partition("t").log
        await eventually(lambda: log.log_start_offset > 0)
        await a_while()
        assert log.log_start_offset <= 4
        follower_has(12)
        await eventually(lambda: log.log_start_offset > 4)

    play(scenario, OFTEN)


def test_the_first_retention_waits_for_the_start_to_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not wait for the interval of those that follow, which is five minutes."""
    times: list[float] = []
    for method in (Housekeeping.start, Housekeeping._apply_retention):
        monkeypatch.setattr(Housekeeping, method.__name__, _timed(method, times))

    async def scenario(node: Node) -> None:
        await fill(node, configs={"retention.bytes": "0"})
        times.clear()
        monkeypatch.setattr("logd.housekeeping._FIRST_RETENTION_S", 0.15)
        await node.restart()
        await eventually(lambda: node.partition("t").log.log_start_offset > 0)

    play(scenario)
    begun, first = times
    assert first - begun >= 0.15


def _timed(method: Callable[..., None], times: list[float]) -> Callable[..., None]:
    def call(*args: Any) -> None:
        times.append(time.monotonic())
        method(*args)

    return call


def test_a_wall_clock_that_is_set_back_does_not_stop_retention() -> None:
    """It once did, for as long as the clock was set back."""

    async def scenario(node: Node) -> None:
        node.clock.now_ms -= 1_000_000_000
        await a_while()
        await fill(node, configs={"retention.bytes": "0"})
        await eventually(lambda: node.partition("t").log.log_start_offset > 0)

    play(scenario, OFTEN)


def test_failures_of_retention_reach_their_partitions(caplog: pytest.LogCaptureFixture) -> None:
    """Several at once: the first may take the others' directory with it."""
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await fill(node, 0, {"retention.bytes": "0"}, index=2)
        for index in range(3):
            await fill(node, index=index)
        await eventually(lambda: all(node.partition("t", index).log.recovery_point > 9 for index in range(3)))
        disk.fail(Kind.RENAME, "/t-", errno.EIO)
        node.broker._housekeeping._apply_retention(node.clock.now_ms)
        disk.heal()
        for index in range(3):
            request = produce_request({("t", index): make_batch()})
            (answer,) = produced(await client.call(request, version=9))
            assert answer.error_code == ErrorCode.KAFKA_STORAGE_ERROR

    play(scenario, fs=disk.fs)
    assert not [record for record in caplog.records if record.exc_info]
    assert sum("data directory offline" in record.getMessage() for record in caplog.records) == 1


# -- producers ----------------------------------------------------------------------------------------------------


def test_producers_are_forgotten_when_they_expire() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node, 0)
        batch = make_batch(producer_id=5, producer_epoch=0, base_sequence=0, timestamp_ms=node.clock.now_ms)
        assert (await client.produce("t", 0, bytes(batch))).base_offset == 0  # type: ignore[union-attr]
        log = node.partition("t").log
        assert len(log.producers.producers) == 1
        node.clock.now_ms += 59_999
        await a_while()
        assert len(log.producers.producers) == 1
        node.clock.now_ms += 1
        await eventually(lambda: not log.producers.producers)

    play(scenario, OFTEN, "producer.id.expiration.ms=60000")


# -- flushes ------------------------------------------------------------------------------------------------------


def test_flush_ms_counts_from_the_first_record_that_is_not_on_disk() -> None:
    async def scenario(node: Node) -> None:
        await fill(node, 1, {"flush.ms": "5000"})
        log = node.partition("t").log
        await a_while()  # a tick has seen it
        node.clock.now_ms += 4999
        await fill(node, 1)
        await a_while()
        assert log.recovery_point == 0
        node.clock.now_ms += 1
        await eventually(lambda: log.recovery_point == 2)

    play(scenario)


def test_segments_that_are_full_are_flushed() -> None:
    async def scenario(node: Node) -> None:
        await fill(node)
        log = node.partition("t").log
        await eventually(lambda: log.recovery_point >= log.segments[-1].base_offset)

    play(scenario)


def test_a_chore_that_takes_long_does_not_hold_up_flushes() -> None:
    """flush.ms is a promise. It once waited until a large topic was removed."""
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        await fill(node, 1, {"flush.ms": "100"})
        plan = SlowPlan()
        node.broker._housekeeping.later(plan)  # type: ignore[arg-type]
        await eventually(plan.begun.is_set)
        log = node.partition("t").log
        node.clock.now_ms += 1000
        await eventually(lambda: log.recovery_point == 1)
        assert not plan.ended.is_set()
        plan.gate.set()

    play(scenario, fs=disk.fs)


class SlowPlan:
    """Blocks a thread of the pool until it is let go."""

    not_before_ms = 0

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.ended = threading.Event()

    def run(self) -> None:
        self.begun.set()
        assert self.gate.wait(10)
        self.ended.set()


class Plan:
    """Notes when it ran; may fail."""

    def __init__(
        self, ran: list[Any], name: Any, not_before_ms: int = 0, error: Exception | None = None
    ) -> None:
        self.not_before_ms = not_before_ms
        self._ran = ran
        self._name = name
        self._error = error

    def run(self) -> None:
        self._ran.append(self._name)
        if self._error is not None:
            raise self._error


# -- plans --------------------------------------------------------------------------------------------------------


def test_plans_run_when_they_are_due_and_in_order() -> None:
    async def scenario(node: Node) -> None:
        ran: list[Any] = []
        now = node.clock.now_ms
        later: Any = node.broker._housekeeping.later
        for name, due in (("c", now + 20), ("a", 0), ("d", now + 30), ("b", now + 20), ("z", now - 5)):
            later(Plan(ran, name, due))
        await eventually(lambda: len(ran) == 2)
        await a_while()
        assert ran == ["a", "z"]
        node.clock.now_ms += 20
        await eventually(lambda: len(ran) == 4)
        assert ran[2:] == ["c", "b"]
        node.clock.now_ms += 10
        await eventually(lambda: ran[4:] == ["d"])

    play(scenario)


def test_a_fault_in_a_chore_does_not_end_the_chores(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(node: Node) -> None:
        ran: list[Any] = []
        later: Any = node.broker._housekeeping.later
        later(Plan(ran, 1, error=RuntimeError("planted")))
        later(Plan(ran, 2))
        await eventually(lambda: ran == [1, 2])
        broken: Any = node.broker._housekeeping
        apply_retention = broken._apply_retention

        def fails_once(_now_ms: int) -> None:
            broken._apply_retention = apply_retention
            raise RuntimeError("planted")

        broken._apply_retention = fails_once
        await eventually(lambda: broken._apply_retention is not fails_once)
        later(Plan(ran, 3))
        await eventually(lambda: ran == [1, 2, 3])

    play(scenario, OFTEN)
    faults = [record for record in caplog.records if record.name == "logd.housekeeping"]
    assert [record.levelno for record in faults] == [logging.ERROR] * 2
    assert all(record.exc_info for record in faults)


def test_a_stop_waits_for_the_chore_under_way_and_begins_no_other() -> None:
    """It once went on to vouch for the directory while a thread was still at work in it."""

    async def scenario(node: Node) -> None:
        ran: list[Any] = []
        slow = SlowPlan()
        housekeeping: Any = node.broker._housekeeping
        housekeeping.later(slow)
        housekeeping.later(Plan(ran, "next"))
        await eventually(slow.begun.is_set)
        stopping = asyncio.ensure_future(node.broker.stop())
        await a_while()
        assert not stopping.done()
        assert not node.fs.exists(f"{DATA_DIR}/.kafka_cleanshutdown")
        slow.gate.set()
        await stopping
        assert node.fs.exists(f"{DATA_DIR}/.kafka_cleanshutdown")
        assert ran == []
        await node.start()

    play(scenario)


def test_a_failing_chore_takes_its_directory_offline() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        # Before there is anything to tell: a checkpoint that would say what is written already is not written again.
        disk.fail(Kind.CREATE, "recovery-point-offset-checkpoint", errno.EIO)
        client = await fill(node, 0)
        await eventually(lambda: not len(node.broker.replicas))
        (answer,) = produced(await client.call(produce_request({("t", 0): make_batch()}), version=9))
        assert answer.error_code == ErrorCode.KAFKA_STORAGE_ERROR

    play(scenario, "log.flush.offset.checkpoint.interval.ms=10", fs=disk.fs)


# -- checkpoints --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "interval",
    [
        "log.flush.offset.checkpoint.interval.ms",
        "log.flush.start.offset.checkpoint.interval.ms",
        "replica.high.watermark.checkpoint.interval.ms",
    ],
)
def test_checkpoints_are_written_now_and_then(interval: str) -> None:
    async def scenario(node: Node) -> None:
        await fill(node, configs={"retention.bytes": "500"})
        log = node.partition("t").log
        await eventually(lambda: log.log_start_offset > 0)

        def current() -> bool:
            return (
                checkpoint(node, "replication-offset-checkpoint") == {"t-0": 12}
                and checkpoint(node, "recovery-point-offset-checkpoint") == {"t-0": log.recovery_point}
                and checkpoint(node, "log-start-offset-checkpoint") == {"t-0": log.log_start_offset}
            )

        await eventually(current)

    play(scenario, OFTEN, f"{interval}=10")


def test_a_full_disk_postpones_the_checkpoints() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        disk.fail(Kind.CREATE, "replication-offset-checkpoint", errno.ENOSPC)
        await fill(node, 3)
        await a_while()
        assert len(node.broker.replicas) == 1
        assert checkpoint(node, "replication-offset-checkpoint") == {}
        disk.heal()
        await eventually(lambda: checkpoint(node, "replication-offset-checkpoint") == {"t-0": 3})

    play(scenario, "replica.high.watermark.checkpoint.interval.ms=10", fs=disk.fs)


def test_files_are_let_go_of_when_too_many_are_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("logd.housekeeping._OPEN_FILES_MAX", 8)
    fs = RealFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=20)
        for index in range(20):
            await client.produce("t", index, bytes(make_batch()))
        await eventually(lambda: fs.open_files <= 8)
        for index in range(20):
            assert (await client.fetch("t", index, 0)).high_watermark == 1
            assert (await client.produce("t", index, bytes(make_batch()))).base_offset == 1  # type: ignore[union-attr]

    play(scenario, f"log.dirs={tmp_path}", fs=fs)
