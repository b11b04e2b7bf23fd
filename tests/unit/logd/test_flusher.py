"""Group commit without threads: the pool is a list, and the test decides when a flush ends, and how."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from logd.flusher import Flusher
from logd.replicas import LocalPartition
from replication.partition import Partition
from storage.config import LogConfig
from storage.errors import NoSpace, StorageFailure
from storage.fs.memory import MemoryFileSystem
from storage.log import AppendOrigin, Log
from tests.support.logs import NOW_MS, make_batch, open_log


class Pool:
    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], Any], Callable[[Future[Any]], None]]] = []

    def submit(self, work: Callable[[], Any], done: Callable[[Future[Any]], None]) -> None:
        self.work.append((work, done))

    def finish(self, failure: Exception | None = None) -> None:
        """End the oldest piece of work."""
        work, done = self.work.pop(0)
        future: Future[Any] = Future()
        if failure is None:
            work()
            future.set_result(None)
        else:
            future.set_exception(failure)
        done(future)


class World:
    def __init__(self) -> None:
        self.pool = Pool()
        self.moved: list[LocalPartition] = []
        self.failed: list[tuple[LocalPartition, StorageFailure]] = []
        self.flusher = Flusher(
            self.pool,  # type: ignore[arg-type]
            self.moved.append,
            lambda partition, failure: self.failed.append((partition, failure)),
        )

    def partition(self, name: str = "t") -> LocalPartition:
        log, _ = open_log(MemoryFileSystem(), LogConfig(flush_messages=1), directory=f"/data/{name}-0")
        partition = Partition(log.topic_partition, log, node_id=1)
        partition.become_leader(
            leader_epoch=0, partition_epoch=0, assigned_replicas=(1,), in_sync_replicas=(1,)
        )
        return partition

    def write(self, partition: LocalPartition) -> None:
        result = partition.append(
            memoryview(make_batch()), acks=-1, now_ms=NOW_MS, origin=AppendOrigin.CLIENT
        )
        assert result.flush_to == partition.log.log_end_offset
        self.flusher.request(partition)


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_asked_for_in_one_turn_is_one_flush(world: World) -> None:
    partition = world.partition()
    for _ in range(3):
        world.write(partition)
    assert not world.pool.work and world.flusher.busy
    world.flusher.start()
    world.flusher.start()
    assert len(world.pool.work) == 1
    assert (partition.log.recovery_point, partition.high_watermark) == (0, 0)
    world.pool.finish()
    assert (partition.log.recovery_point, partition.high_watermark) == (3, 3)
    assert world.moved == [partition]
    assert not world.flusher.busy and not world.pool.work


def test_what_comes_during_a_flush_shares_the_next(world: World) -> None:
    partition = world.partition()
    world.write(partition)
    world.flusher.start()
    for _ in range(5):
        world.write(partition)
        world.flusher.start()
    assert len(world.pool.work) == 1
    world.pool.finish()
    assert partition.high_watermark == 1  # what the first covers, and no more
    assert len(world.pool.work) == 1 and world.flusher.busy
    world.pool.finish()
    assert partition.high_watermark == 6
    assert not world.pool.work and not world.flusher.busy


def test_partitions_do_not_wait_for_one_another(world: World) -> None:
    first, second = world.partition("a"), world.partition("b")
    world.write(first)
    world.write(second)
    world.flusher.start()
    assert len(world.pool.work) == 2
    world.pool.finish()
    world.pool.finish()
    assert sorted(partition.high_watermark for partition in (first, second)) == [1, 1]


def test_a_failed_flush_is_not_tried_again(world: World) -> None:
    partition = world.partition()
    world.write(partition)
    world.flusher.start()
    world.write(partition)
    failure = StorageFailure("/data/t-0", "planted")
    world.pool.finish(failure)
    assert world.failed == [(partition, failure)]
    assert (partition.log.recovery_point, partition.high_watermark, world.moved) == (0, 0, [])
    world.flusher.start()
    world.flusher.request_postponed()
    world.flusher.start()
    assert not world.pool.work and not world.flusher.busy


def test_a_failed_flush_holds_up_no_other(world: World) -> None:
    first, second = world.partition("a"), world.partition("b")
    world.write(first)
    world.flusher.start()
    world.write(second)
    world.pool.finish(StorageFailure("/data/a-0", "planted"))
    assert len(world.pool.work) == 1
    world.pool.finish()
    assert second.high_watermark == 1


@pytest.mark.parametrize("where", ["in the pool", "before"])
def test_a_flush_without_space_is_made_when_asked_again(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = world.partition()
    world.write(partition)
    if where == "before":
        with monkeypatch.context() as patch:
            patch.setattr(Log, "flush_plan", refuse_for_space)
            world.flusher.start()
    else:
        world.flusher.start()
        world.pool.finish(NoSpace("/data/t-0", "planted"))
    assert len(world.failed) == 1 and not world.pool.work
    world.flusher.start()  # not with every turn
    assert not world.pool.work
    world.flusher.request_postponed()
    world.flusher.start()
    world.pool.finish()
    assert (partition.high_watermark, world.flusher.busy) == (1, False)


def refuse_for_space(_log: Log) -> None:
    raise NoSpace("/data/t-0", "planted")


@pytest.mark.parametrize("end", [Partition.delete, Partition.go_offline])
def test_a_partition_that_is_gone_is_not_flushed(world: World, end: Callable[[LocalPartition], None]) -> None:
    """Its files may be those of another by now."""
    waiting, flushing = world.partition("a"), world.partition("b")
    world.write(flushing)
    world.flusher.start()
    world.write(waiting)
    end(waiting)
    end(flushing)
    world.flusher.start()
    assert len(world.pool.work) == 1
    world.pool.finish()
    assert flushing.high_watermark == 0
    assert not world.pool.work and not world.flusher.busy and not world.failed
