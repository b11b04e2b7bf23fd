"""Which partitions a node holds, through its topics' lives and the failures of its disks."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import Any

import pytest

from logd.replicas import LocalPartition
from protocol.errors import BrokerError, ErrorCode
from protocol.types import TopicPartition
from replication.metadata_commands import CreateTopics, DeleteTopics, NewTopic, RaiseLeaderEpochs
from storage.directories.directory_plans import CheckpointPlan, RemoveDirectoryPlan
from storage.errors import CorruptLog, NoSpace, StorageError, StorageFailure
from storage.fs.faulty import FaultyFileSystem, Kind, Loss, Operation
from storage.log import AppendOrigin
from tests.support.logs import NOW_MS, make_batch
from tests.support.node import DATA_DIR, Disk, Node, a_while, eventually, play

CODE = ErrorCode


async def create(node: Node, name: str, partitions: int = 1, **configs: str) -> bytes:
    topic = NewTopic(name, partitions, 1, configs=tuple(configs.items()))
    ((creation),) = await node.broker.metadata.submit(CreateTopics([topic]))
    assert creation.code is CODE.NONE
    topic_id: bytes = creation.topic_id
    return topic_id


async def delete(node: Node, topic_id: bytes) -> None:
    assert await node.broker.metadata.submit(DeleteTopics([topic_id])) == [CODE.NONE]


def code_of(node: Node, topic: str, index: int) -> ErrorCode:
    """Why the partition cannot be had; NONE when it can."""
    try:
        node.partition(topic, index)
    except BrokerError as error:
        assert error.message or error.code is CODE.NOT_LEADER_OR_FOLLOWER
        return error.code
    return CODE.NONE


def write(partition: LocalPartition, count: int = 1) -> None:
    partition.append(memoryview(make_batch(count)), acks=1, now_ms=NOW_MS, origin=AppendOrigin.CLIENT)


def directories(node: Node) -> list[str]:
    return [name for name in node.fs.listdir(DATA_DIR) if node.fs.is_dir(f"{DATA_DIR}/{name}")]


def test_what_is_held_and_what_is_not() -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t", 2)
        assert [code_of(node, "t", index) for index in (-1, 0, 1, 2)] == [3, 0, 0, 3]
        assert code_of(node, "other", 0) == CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert node.broker.replicas.find(TopicPartition("t", 1)) is node.partition("t", 1)
        assert node.broker.replicas.find(TopicPartition("t", 2)) is None
        assert len(node.broker.replicas) == len(list(node.broker.replicas)) == 2
        assert set(node.broker.replicas.high_watermarks) == {("t", 0), ("t", 1)}

    play(scenario)


def test_a_partition_that_other_nodes_hold() -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t")
        topic: Any = node.broker.metadata.image.topics["t"]
        topic.partitions[1] = topic.partitions[0]._replace(assigned_replicas=(2, 3))
        assert code_of(node, "t", 1) == CODE.NOT_LEADER_OR_FOLLOWER

    play(scenario)


def test_a_topic_can_be_written_once_its_creation_is_answered() -> None:
    async def scenario(node: Node) -> None:
        for number in range(5):
            await create(node, f"t{number}", 3)
            for index in range(3):
                partition = node.partition(f"t{number}", index)
                assert (partition.is_leader, partition.leader_epoch) == (True, 0)
                write(partition)

    play(scenario)


def test_a_topics_settings_reach_its_logs() -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t", 2, **{"segment.bytes": "7340032"})
        await create(node, "plain")
        assert [node.partition("t", index).log.config.segment_bytes for index in (0, 1)] == [7340032] * 2
        assert node.partition("plain").log.config.segment_bytes == 1 << 30
        await node.restart()
        assert node.partition("t").log.config.segment_bytes == 7340032

    play(scenario)


def test_a_new_term_of_leadership_is_followed() -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t", 2)
        write(node.partition("t"), 4)
        await node.broker.metadata.submit(RaiseLeaderEpochs(1))
        assert [node.partition("t", index).leader_epoch for index in (0, 1)] == [1, 1]
        write(node.partition("t"))
        assert node.partition("t").log.leader_epochs.entries == [(0, 0), (1, 4)]

    play(scenario)


def test_a_topic_is_gone_at_once_and_its_files_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.002)

    async def scenario(node: Node) -> None:
        topic_id = await create(node, "t", 2, **{"file.delete.delay.ms": "5000"})
        kept = await create(node, "kept")
        write(node.partition("t"))
        partition = node.partition("t")
        await delete(node, topic_id)
        assert partition.refusal is CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert [code_of(node, "t", index) for index in (0, 1)] == [3, 3]
        assert (code_of(node, "kept", 0), node.broker.topic_name(kept)) == (0, "kept")
        names = directories(node)
        assert len([name for name in names if name.startswith("t-") and name.endswith("-delete")]) == 2
        assert "t-0" not in names
        node.clock.now_ms += 4999
        await asyncio.sleep(0.02)
        assert len(directories(node)) == len(names)
        node.clock.now_ms += 1
        await eventually(lambda: directories(node) == ["__cluster_metadata-0", "kept-0"])

    play(scenario)


def test_a_topic_of_many_partitions_is_settled_in_one_go() -> None:
    """With a checkpoint for each partition, 2,000 of them once kept everybody waiting for a second."""

    async def scenario(node: Node) -> None:
        node.broker._housekeeping._stopping = True
        topic_ids = [await create(node, "t", 40), await create(node, "u", 3)]
        await create(node, "kept")
        assert await node.broker.metadata.submit(DeleteTopics(topic_ids)) == [CODE.NONE] * 2
        plans = [plan for _, _, plan in node.broker._housekeeping._plans]
        assert len([plan for plan in plans if isinstance(plan, CheckpointPlan)]) == 1
        assert len([plan for plan in plans if isinstance(plan, RemoveDirectoryPlan)]) == 43

    play(scenario)


def test_a_topic_made_again_under_its_name_has_nothing_of_the_old_one() -> None:
    async def scenario(node: Node) -> None:
        old_id = await create(node, "t")
        old = node.partition("t")
        write(old, 5)
        await delete(node, old_id)
        new_id = await create(node, "t")
        new = node.partition("t")
        assert new is not old and new_id != old_id
        assert (new.log.log_end_offset, new.high_watermark, new.log.topic_id) == (0, 0, new_id)
        await node.restart()
        assert (node.partition("t").log.log_end_offset, node.partition("t").log.topic_id) == (0, new_id)

    play(scenario)


@pytest.mark.parametrize(
    "error",
    [
        StorageFailure(f"{DATA_DIR}/t-0/00000000000000000000.log", "planted"),
        CorruptLog(f"{DATA_DIR}/t-0/00000000000000000000.log", 0, "planted"),
    ],
)
def test_what_a_deleted_partition_meets_does_not_concern_another_of_its_name(error: StorageError) -> None:
    """It once took the new partition, or the whole directory, offline."""

    async def scenario(node: Node) -> None:
        old_id = await create(node, "t")
        old = node.partition("t")
        await delete(node, old_id)
        await create(node, "t")
        told = node.broker.storage_failed(old, error)
        assert told.code is CODE.UNKNOWN_TOPIC_OR_PARTITION
        write(node.partition("t"))
        assert code_of(node, "t", 0) is CODE.NONE

    play(scenario)


# -- disks that fail ----------------------------------------------------------------------------------------------


def test_a_fatal_failure_takes_the_directory(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t", 3)
        partitions = [node.partition("t", index) for index in range(3)]
        failure = StorageFailure(f"{DATA_DIR}/t-1/x.log", "planted")
        told = node.broker.storage_failed(partitions[1], failure)
        assert told.code is CODE.KAFKA_STORAGE_ERROR
        assert all(partition.refusal is CODE.KAFKA_STORAGE_ERROR for partition in partitions)
        assert [code_of(node, "t", index) for index in (0, 1, 2, 3)] == [56, 56, 56, 3]
        assert len(node.broker.replicas) == 0
        # The others meet it, too: that is told once.
        assert node.broker.storage_failed(partitions[0], failure).code is CODE.KAFKA_STORAGE_ERROR
        await create(node, "later")  # the metadata log is open still, but there is no place for a log
        assert code_of(node, "later", 0) is CODE.KAFKA_STORAGE_ERROR

    with caplog.at_level(logging.INFO):
        play(scenario)
    errors = [
        record.getMessage() for record in caplog.records if "data directory offline" in record.getMessage()
    ]
    assert len(errors) == 1 and f"path={DATA_DIR} " in errors[0] and "t-1/x.log: planted" in errors[0]


def test_a_full_disk_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t", 2)
        partition = node.partition("t")
        told = node.broker.storage_failed(partition, NoSpace(f"{DATA_DIR}/t-0/x.log", "planted"))
        assert told.code is CODE.KAFKA_STORAGE_ERROR
        assert partition.is_leader and len(node.broker.replicas) == 2

    play(scenario)
    assert [record.levelno for record in caplog.records if "planted" in record.getMessage()] == [
        logging.WARNING
    ]


def test_a_full_disk_is_said_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """Not once a request: the log may be on the disk that is full."""

    async def scenario(node: Node) -> None:
        await create(node, "t")
        partition = node.partition("t")
        error = NoSpace(f"{DATA_DIR}/t-0/x.log", "planted")
        for number in range(25):
            assert node.broker.storage_failed(partition, error).code is CODE.KAFKA_STORAGE_ERROR
            node.clock.now_ms += 100 if number < 22 else -5000

    play(scenario)
    said = [
        record.getMessage().rpartition(" ")[2]
        for record in caplog.records
        if "planted" in record.getMessage()
    ]
    assert said == ["times=1", "times=10", "times=10", "times=3", "times=1"]


def test_a_partition_that_is_offline_is_left_alone_while_another_waits_for_space(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was once complained of with every tick."""
    disk = Disk(FaultyFileSystem())
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.002)

    async def scenario(node: Node) -> None:
        disk.fail(Kind.MKDIR, "/t-1", errno.ENOSPC)
        await create(node, "t", 2)
        node.broker.storage_failed(node.partition("t"), CorruptLog(f"{DATA_DIR}/t-0/x.log", 1, "planted"))
        await a_while()
        disk.heal()
        await eventually(lambda: code_of(node, "t", 1) is CODE.NONE)
        assert code_of(node, "t", 0) is CODE.KAFKA_STORAGE_ERROR

    play(scenario, fs=disk.fs)
    assert sum("log not made" in record.getMessage() for record in caplog.records) == 1


def test_damaged_data_takes_its_partition_only(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(node: Node) -> None:
        topic_id = await create(node, "t", 2)
        partition = node.partition("t")
        told = node.broker.storage_failed(partition, CorruptLog(f"{DATA_DIR}/t-0/x.log", 17, "planted rot"))
        assert told.code is CODE.KAFKA_STORAGE_ERROR
        assert partition.refusal is CODE.KAFKA_STORAGE_ERROR
        assert [code_of(node, "t", index) for index in (0, 1)] == [56, 0]
        with pytest.raises(BrokerError, match="planted rot"):
            node.partition("t")
        await delete(node, topic_id)
        assert code_of(node, "t", 0) is CODE.UNKNOWN_TOPIC_OR_PARTITION
        await create(node, "t")
        assert code_of(node, "t", 0) is CODE.NONE

    play(scenario)
    (record,) = [record for record in caplog.records if "planted rot" in record.getMessage()]
    assert record.levelno == logging.ERROR and "topic=t partition=0" in record.getMessage()


@pytest.mark.parametrize("restart", [False, True], ids=["while it runs", "at the next start"])
def test_a_log_for_which_there_is_no_space_is_made_when_there_is(
    restart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(FaultyFileSystem())
    monkeypatch.setattr("logd.housekeeping._TICK_S", 60 if restart else 0.002)

    async def scenario(node: Node) -> None:
        disk.fail(Kind.MKDIR, "/t-1", errno.ENOSPC)
        await create(node, "t", 3)
        assert [code_of(node, "t", index) for index in range(3)] == [0, 56, 0]
        disk.heal()
        if restart:
            await node.restart()
        await eventually(lambda: [code_of(node, "t", index) for index in range(3)] == [0, 0, 0])
        assert node.partition("t", 1).is_leader
        write(node.partition("t", 1))

    play(scenario, fs=disk.fs)


def test_a_log_that_cannot_be_made_because_the_disk_fails_takes_the_directory() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        await create(node, "before")
        partition = node.partition("before")
        disk.fail(Kind.MKDIR, "/t-0", errno.EIO)
        await create(node, "t")
        assert code_of(node, "t", 0) is CODE.KAFKA_STORAGE_ERROR
        assert partition.refusal is CODE.KAFKA_STORAGE_ERROR

    play(scenario, fs=disk.fs)


def test_a_log_that_cannot_be_set_aside_is_offline_and_holds_up_nothing() -> None:
    """Chores that met it once failed altogether, and making the topic again failed with a bug."""
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        topic_id = await create(node, "t")
        write(node.partition("t"))
        disk.fail(Kind.RENAME, "/t-0", errno.ENOSPC)
        await delete(node, topic_id)
        assert code_of(node, "t", 0) is CODE.UNKNOWN_TOPIC_OR_PARTITION
        disk.heal()
        await create(node, "t", 2)
        assert [code_of(node, "t", index) for index in (0, 1)] == [56, 0]
        node.broker._housekeeping._flush(node.clock.now_ms)
        await node.restart()
        assert [code_of(node, "t", index) for index in (0, 1)] == [0, 0]
        assert node.partition("t").log.log_end_offset == 0

    play(scenario, fs=disk.fs)


# -- starts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", Loss)
def test_a_crash_between_the_creation_and_its_logs(loss: Loss) -> None:
    """The metadata says that there is a topic, and some of its logs were never made."""
    fs = FaultyFileSystem()
    left: list[FaultyFileSystem] = []

    def crash_before_the_second_log(operation: Operation) -> None:
        if operation.kind is Kind.MKDIR and operation.path.endswith("/t-1"):
            left.append(fs.crash(loss))

    async def scenario(node: Node) -> None:
        fs.before = crash_before_the_second_log
        topic_id = await create(node, "t", 3)
        await node.stop()
        (node.fs,) = left
        await node.start()
        assert [code_of(node, "t", index) for index in range(3)] == [0, 0, 0]
        for index in range(3):
            partition = node.partition("t", index)
            assert (partition.log.log_end_offset, partition.log.topic_id) == (0, topic_id)
            write(partition)

    play(scenario, fs=fs)


@pytest.mark.parametrize("loss", Loss)
def test_a_crash_right_after_a_deletion(loss: Loss) -> None:
    async def scenario(node: Node) -> None:
        topic_id = await create(node, "t")
        await create(node, "kept")
        write(node.partition("t"), 3)
        await delete(node, topic_id)
        await node.crash(loss)
        assert code_of(node, "t", 0) is CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert "t-0" not in directories(node)
        await create(node, "t")
        assert node.partition("t").log.log_end_offset == 0
        assert code_of(node, "kept", 0) is CODE.NONE

    play(scenario)


def test_directories_of_no_topic_known_here_are_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(node: Node) -> None:
        await create(node, "t")
        await node.stop()
        node.fs.makedirs(f"{DATA_DIR}/stranger-0")
        node.fs.makedirs(f"{DATA_DIR}/t-1")  # a partition that the topic does not have
        node.fs.makedirs(f"{DATA_DIR}/lost+found")
        await node.start()
        names = directories(node)
        assert not {"stranger-0", "t-1"} & set(names) and {"lost+found", "t-0"} <= set(names)
        assert len([name for name in names if name.endswith("-stray")]) == 2
        assert code_of(node, "t", 1) is CODE.UNKNOWN_TOPIC_OR_PARTITION

    play(scenario)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("set aside" in warning for warning in warnings) == 2
    assert sum("lost+found" in warning for warning in warnings) == 1


def test_a_directory_of_another_topic_of_the_same_name_is_set_aside() -> None:
    """After a clean stop it cannot be explained by a deletion: what the topic had is gone, and that is said."""

    async def scenario(node: Node) -> None:
        await create(node, "t")
        await create(node, "empty")
        write(node.partition("t"), 3)
        await node.stop()
        for name in ("t", "empty"):
            path = f"{DATA_DIR}/{name}-0/partition.metadata"
            node.fs.write_atomic(path, b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAEg\n")
        await node.start()
        assert [code_of(node, name, 0) for name in ("t", "empty")] == [56, 0]
        assert len([name for name in directories(node) if name.endswith("-stray")]) == 2

    play(scenario)
