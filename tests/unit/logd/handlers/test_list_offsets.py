"""ListOffsets and OffsetForLeaderEpoch over a real log in memory and a real partition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from logd.authorisation import Operation
from logd.handlers import list_offsets, offset_for_leader_epoch
from protocol.codec import decode, encode_bytes
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
)
from protocol.record_builder import build_batch
from protocol.records import Record
from protocol.types import TopicPartition
from replication.partition import Partition
from storage.config import LogConfig
from storage.errors import CorruptLog, StorageError
from storage.fs.memory import MemoryFileSystem
from storage.log import AppendOrigin, Log
from storage.recovery.loader import load_log

T = TypeVar("T")

NOW = 1_700_000_000_000
ME, OTHER = 1, 2
LATEST, EARLIEST, MAX, EARLIEST_LOCAL, LATEST_TIERED, PENDING_UPLOAD = range(-1, -7, -1)


class World:
    """The part of a broker that the handlers use, with one topic of partitions on logs in memory."""

    def __init__(self) -> None:
        self.fs = MemoryFileSystem()
        self.partitions: dict[tuple[str, int], Partition[Log]] = {}
        self.forbidden: set[Operation] = set()
        self.failed: list[StorageError] = []
        self.before_blocking: Callable[[], None] = lambda: None
        self.blocking_calls = 0

    def add(
        self, topic: str, index: int, *, replicas: tuple[int, ...] = (ME,), epoch: int = 0
    ) -> Partition[Log]:
        directory = f"/data/{topic}-{index}"
        self.fs.makedirs(directory)
        log, _ = load_log(
            self.fs,
            directory,
            TopicPartition(topic, index),
            LogConfig(),
            recovery_point=0,
            log_start_offset=0,
            clean=True,
            now_ms=NOW,
        )
        partition = Partition(TopicPartition(topic, index), log, node_id=ME)
        partition.become_leader(
            leader_epoch=epoch, partition_epoch=0, assigned_replicas=replicas, in_sync_replicas=replicas
        )
        self.partitions[topic, index] = partition
        return partition

    def partition(self, topic: str, index: int) -> Partition[Log]:
        try:
            return self.partitions[topic, index]
        except KeyError:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) from None

    def authorise(self, _context: object, operation: Operation, _resource: object, _name: str) -> bool:
        return operation not in self.forbidden

    def storage_failed(self, partition: Partition[Log], error: StorageError) -> BrokerError:
        self.failed.append(error)
        partition.go_offline()
        return BrokerError(ErrorCode.KAFKA_STORAGE_ERROR)

    @property
    def read_pool(self) -> World:
        return self

    async def run(self, function: Callable[[], T]) -> T:
        self.blocking_calls += 1
        self.before_blocking()
        await asyncio.sleep(0)
        return function()


def write(partition: Partition[Log], stamps: list[int], codec: Codec = Codec.NONE) -> None:
    batch = build_batch([Record(i, stamp, b"k", b"v") for i, stamp in enumerate(stamps)], codec=codec)
    partition.append(batch, acks=1, now_ms=NOW, origin=AppendOrigin.CLIENT)


def ask(
    world: World,
    *timestamps: int,
    version: int = 11,
    isolation: int = 0,
    replica_id: int = -1,
    epoch: int = -1,
    indexes: tuple[int, ...] | None = None,
    topic: str = "t",
) -> list[tuple[int, int, int, int]]:
    """Ask for partitions 0, 1… (or `indexes`), one timestamp each; return (error, timestamp, offset, epoch)."""
    rows = [
        ListOffsetsRequest.ListOffsetsPartition(
            partition_index=index, timestamp=timestamp, current_leader_epoch=epoch
        )
        for index, timestamp in zip(indexes or range(len(timestamps)), timestamps, strict=True)
    ]
    request = ListOffsetsRequest(
        replica_id=replica_id,
        isolation_level=isolation,
        topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=rows)],
    )
    context = SimpleNamespace(version=version)
    answer = list_offsets.handle(cast("Any", world), request, cast("Any", context))
    response = asyncio.run(_finish(answer)) if isinstance(answer, Awaitable) else answer
    response = decode(ListOffsetsResponse, version, encode_bytes(response, version))
    (answered,) = response.topics
    assert answered.name == topic
    assert [row.partition_index for row in answered.partitions] == [row.partition_index for row in rows]
    return [(row.error_code, row.timestamp, row.offset, row.leader_epoch) for row in answered.partitions]


async def _finish(answer: Awaitable[T]) -> T:
    return await answer


@pytest.fixture
def world() -> World:
    world = World()
    world.add("t", 0)
    return world


@pytest.fixture
def partition(world: World) -> Partition[Log]:
    """Offsets 0 to 5 at times 100, 300, 200 | 400, 400, 50; the second batch is compressed."""
    partition = world.partitions["t", 0]
    write(partition, [100, 300, 200])
    write(partition, [400, 400, 50], Codec.GZIP)
    return partition


def test_an_empty_log(world: World) -> None:
    assert ask(world, LATEST) == [(0, -1, 0, 0)]
    assert ask(world, EARLIEST) == [(0, -1, 0, 0)]
    assert ask(world, MAX) == [(0, -1, -1, -1)]
    assert ask(world, 5) == [(0, -1, -1, -1)]


@pytest.mark.usefixtures("partition")
def test_ends_come_from_memory(world: World) -> None:
    assert ask(world, LATEST) == [(0, -1, 6, 0)]
    assert ask(world, EARLIEST) == [(0, -1, 0, 0)]
    assert world.blocking_calls == 0


@pytest.mark.usefixtures("partition")
@pytest.mark.parametrize(
    ("target", "found"),
    [
        (0, (100, 0)),
        (100, (100, 0)),
        (101, (300, 1)),
        (300, (300, 1)),
        (301, (400, 3)),
        (400, (400, 3)),
        (401, (-1, -1)),
        (MAX, (400, 3)),
    ],
)
def test_the_first_record_at_or_after_a_time(world: World, target: int, found: tuple[int, int]) -> None:
    epoch = -1 if found == (-1, -1) else 0
    assert ask(world, target) == [(0, *found, epoch)]
    assert world.blocking_calls == 1


@pytest.mark.usefixtures("partition")
def test_tiers_do_not_exist(world: World) -> None:
    assert ask(world, EARLIEST_LOCAL) == [(0, -1, 0, 0)]
    assert ask(world, LATEST_TIERED) == [(0, -1, -1, -1)]
    assert ask(world, PENDING_UPLOAD) == [(0, -1, -1, -1)]


@pytest.mark.usefixtures("partition")
@pytest.mark.parametrize(
    ("timestamp", "first"),
    [
        (LATEST, 1),
        (EARLIEST, 1),
        (MAX, 7),
        (EARLIEST_LOCAL, 8),
        (LATEST_TIERED, 9),
        (PENDING_UPLOAD, 11),
        (-7, 12),
    ],
)
def test_special_timestamps_by_version(world: World, timestamp: int, first: int) -> None:
    for version in range(1, 12):
        ((code, _, offset, epoch),) = ask(world, timestamp, version=version)
        if version < first:
            assert (code, offset) == (ErrorCode.UNSUPPORTED_VERSION, -1)
        else:
            assert code == ErrorCode.NONE
        if version < 4:
            assert epoch == -1


def test_log_start(world: World, partition: Partition[Log]) -> None:
    partition.log.log_start_offset = 2
    assert ask(world, EARLIEST) == [(0, -1, 2, 0)]
    assert ask(world, 0) == [(0, 200, 2, 0)]


def test_each_reader_has_its_end(world: World) -> None:
    """High watermark, last stable offset and log end differ: 4 replicated of 6, a transaction open from 2."""
    partition = world.add("u", 0, replicas=(ME, OTHER))
    write(partition, [10, 20])
    batch = build_batch(
        [Record(0, 30, b"k", b"v"), Record(1, 40, b"k", b"v")],
        producer_id=5,
        producer_epoch=0,
        base_sequence=0,
        transactional=True,
    )
    partition.append(batch, acks=1, now_ms=NOW, origin=AppendOrigin.CLIENT)
    write(partition, [50, 60])
    partition.update_follower(OTHER, 4)
    assert ask(world, LATEST, topic="u") == [(0, -1, 4, 0)]
    assert ask(world, LATEST, topic="u", isolation=1) == [(0, -1, 2, 0)]
    assert ask(world, LATEST, topic="u", replica_id=OTHER) == [(0, -1, 6, 0)]
    assert ask(world, LATEST, topic="u", replica_id=-2) == [(0, -1, 6, 0)]
    for target, offset in ((40, 3), (50, 4)):
        assert ask(world, target, topic="u", replica_id=OTHER)[0][2] == offset
    assert ask(world, 40, topic="u") == [(0, 40, 3, 0)]
    assert ask(world, 50, topic="u") == [(0, -1, -1, -1)]
    assert ask(world, MAX, topic="u") == [(0, -1, -1, -1)], "the latest record is not replicated yet"
    assert ask(world, 20, topic="u", isolation=1) == [(0, 20, 1, 0)]
    assert ask(world, 30, topic="u", isolation=1) == [(0, -1, -1, -1)]


def test_a_new_leader_tells_no_end_before_it_caught_up(world: World) -> None:
    """Its epoch starts at 2, the high watermark is still 1: what the last leader told may lie above."""
    partition = world.add("u", 0, replicas=(ME, OTHER))
    write(partition, [10, 20])
    partition.update_follower(OTHER, 1)
    partition.become_leader(
        leader_epoch=3, partition_epoch=1, assigned_replicas=(ME, OTHER), in_sync_replicas=(ME, OTHER)
    )
    refused = [(ErrorCode.OFFSET_NOT_AVAILABLE, -1, -1, -1)]
    assert ask(world, LATEST, topic="u") == refused
    assert ask(world, 15, topic="u") == refused, "a record above the high watermark may be what is looked for"
    assert ask(world, 10, topic="u") == [(0, 10, 0, 0)]
    assert ask(world, EARLIEST, topic="u") == [(0, -1, 0, 0)]
    assert ask(world, LATEST, topic="u", replica_id=OTHER) == [(0, -1, 2, 3)]
    assert ask(world, LATEST, topic="u", version=5)[0][0] == ErrorCode.OFFSET_NOT_AVAILABLE
    assert ask(world, LATEST, topic="u", version=4)[0][0] == ErrorCode.LEADER_NOT_AVAILABLE
    partition.update_follower(OTHER, 2)
    assert ask(world, LATEST, topic="u") == [(0, -1, 2, 3)]


def test_leader_epochs_are_checked(world: World, partition: Partition[Log]) -> None:
    partition.become_leader(
        leader_epoch=4, partition_epoch=1, assigned_replicas=(ME,), in_sync_replicas=(ME,)
    )
    for timestamp in (LATEST, EARLIEST, 100):
        assert ask(world, timestamp, epoch=3)[0][0] == ErrorCode.FENCED_LEADER_EPOCH
        assert ask(world, timestamp, epoch=5)[0][0] == ErrorCode.UNKNOWN_LEADER_EPOCH
        assert ask(world, timestamp, epoch=4)[0][0] == ErrorCode.NONE
    assert ask(world, LATEST) == [(0, -1, 6, 4)]
    assert ask(world, 100) == [(0, 100, 0, 0)], "of the record, not of the leader"


@pytest.mark.usefixtures("partition")
def test_a_partition_named_twice_is_refused_each_time(world: World) -> None:
    world.add("t", 1)
    codes = [row[0] for row in ask(world, LATEST, EARLIEST, LATEST, indexes=(0, 1, 0))]
    assert codes == [ErrorCode.INVALID_REQUEST, ErrorCode.NONE, ErrorCode.INVALID_REQUEST]


@pytest.mark.usefixtures("partition")
def test_one_partition_fails_and_others_go_on(world: World) -> None:
    world.add("t", 2).resign(leader_id=OTHER, leader_epoch=1, partition_epoch=1)
    codes = [row[0] for row in ask(world, 100, 100, LATEST)]
    assert codes == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_LEADER_OR_FOLLOWER]


@pytest.mark.usefixtures("partition")
def test_describe_is_needed(world: World) -> None:
    world.forbidden = {Operation.DESCRIBE}
    assert ask(world, LATEST) == [(ErrorCode.TOPIC_AUTHORIZATION_FAILED, -1, -1, -1)]


def test_all_searches_of_a_request_go_to_the_pool_together(world: World) -> None:
    for index in range(3):
        write(world.partitions.get(("t", index)) or world.add("t", index), [10 * index])
    assert [row[2] for row in ask(world, 0, 10, 20)] == [0, 0, 0]
    assert world.blocking_calls == 1


def test_leadership_lost_during_the_search(world: World, partition: Partition[Log]) -> None:
    world.before_blocking = lambda: partition.resign(leader_id=OTHER, leader_epoch=9, partition_epoch=9)
    assert ask(world, 100)[0][0] == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_truncation_during_the_search(world: World, partition: Partition[Log]) -> None:
    """What was found in a log that has since been cut is looked for again."""

    def truncate() -> None:
        world.before_blocking = lambda: None
        partition.log.truncate_to(3, NOW)

    world.before_blocking = truncate
    assert ask(world, 350, replica_id=OTHER) == [(0, -1, -1, -1)]
    assert world.blocking_calls == 2


def test_a_corrupt_log_takes_its_partition_down(world: World, partition: Partition[Log]) -> None:
    """One bit of the first batch is flipped on disk; the search reads it and the neighbour is unharmed."""
    world.add("t", 1)
    path = partition.log.segments[0].path
    data = bytearray(world.fs.read_file(path))
    data[70] ^= 1
    world.fs.write_atomic(path, bytes(data))
    assert [row[0] for row in ask(world, 100, 100)] == [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NONE]
    assert [type(error) for error in world.failed] == [CorruptLog]
    assert partition.is_offline


def ask_epoch(
    world: World, epoch: int, *, current: int = -1, index: int = 0, version: int = 4
) -> tuple[int, int, int]:
    row = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
        partition=index, current_leader_epoch=current, leader_epoch=epoch
    )
    request = OffsetForLeaderEpochRequest(
        replica_id=-1,
        topics=[OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic="t", partitions=[row])],
    )
    context = SimpleNamespace(version=version)
    response = offset_for_leader_epoch.handle(cast("Any", world), request, cast("Any", context))
    response = decode(OffsetForLeaderEpochResponse, version, encode_bytes(response, version))
    (answer,) = response.topics[0].partitions
    assert (response.topics[0].topic, answer.partition) == ("t", index)
    return answer.error_code, answer.leader_epoch, answer.end_offset


@pytest.mark.parametrize("version", [2, 3, 4])
def test_end_of_an_epoch(world: World, partition: Partition[Log], version: int) -> None:
    """Epoch 0 holds 0 to 5, epoch 3 holds 6 and 7, epoch 5 nothing yet."""
    partition.become_leader(
        leader_epoch=3, partition_epoch=1, assigned_replicas=(ME,), in_sync_replicas=(ME,)
    )
    write(partition, [1, 2])
    partition.become_leader(
        leader_epoch=5, partition_epoch=2, assigned_replicas=(ME,), in_sync_replicas=(ME,)
    )
    expected = {
        -1: (0, -1, -1),
        0: (0, 0, 6),
        2: (0, 0, 6),
        3: (0, 3, 8),
        4: (0, 3, 8),
        5: (0, 5, 8),
        6: (0, -1, -1),
    }
    assert {epoch: ask_epoch(world, epoch, version=version) for epoch in expected} == expected


def test_refused_epoch_questions(world: World, partition: Partition[Log]) -> None:
    partition.become_leader(
        leader_epoch=3, partition_epoch=1, assigned_replicas=(ME,), in_sync_replicas=(ME,)
    )
    assert ask_epoch(world, 0, current=2) == (ErrorCode.FENCED_LEADER_EPOCH, -1, -1)
    assert ask_epoch(world, 0, current=4) == (ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1)
    assert ask_epoch(world, 0, current=3) == (ErrorCode.NONE, 0, 6)
    assert ask_epoch(world, 0, index=7) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1)
    partition.go_offline()
    assert ask_epoch(world, 0) == (ErrorCode.KAFKA_STORAGE_ERROR, -1, -1)


@pytest.mark.usefixtures("partition")
def test_epoch_questions_need_describe_or_cluster_action(world: World) -> None:
    world.forbidden = {Operation.DESCRIBE}
    assert ask_epoch(world, 0)[0] == ErrorCode.NONE
    world.forbidden = {Operation.CLUSTER_ACTION}
    assert ask_epoch(world, 0)[0] == ErrorCode.NONE
    world.forbidden = {Operation.DESCRIBE, Operation.CLUSTER_ACTION}
    assert ask_epoch(world, 0)[0] == ErrorCode.TOPIC_AUTHORIZATION_FAILED
