"""Goal: the logs of a node are loaded, made, deleted and stopped so that nothing of one life leaks into the next.

Method: a manager over a file system that can crash; records are one-record batches.
"""

import errno
from collections.abc import Callable, Sequence

import pytest

from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import build_batch
from protocol.records import Record
from protocol.types import TopicPartition, uuid_to_str
from storage.checkpoint import (
    CLEANER_OFFSETS,
    HIGH_WATERMARKS,
    LOG_START_OFFSETS,
    RECOVERY_POINTS,
    read_offsets,
    write_offsets,
)
from storage.config import LogConfig
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN
from storage.directories.closing import one_by_one
from storage.directories.directory_names import parse_partition_directory, set_aside_name, set_aside_suffix
from storage.directories.manager import LogManager, Plan
from storage.errors import DirectoryLocked, DirectoryRefused, NoSpace, StorageFailure
from storage.fs import OpenMode
from storage.fs.faulty import FaultyFileSystem, Kind, Loss
from storage.log import Log

DIRECTORY = "/data"
ORDERS = TopicPartition("orders", 0)
ID = bytes(range(16))
OTHER_ID = bytes(range(16, 32))
CONFIG = LogConfig()


class Ids:
    """Draws 16 bytes that are different each time, and the same in each test."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(16, "big")


def manager_over(
    fs: FaultyFileSystem, *paths: str, cluster_id: str | None = None, node_id: int = 1
) -> LogManager:
    manager = LogManager(fs, paths or (DIRECTORY,), node_id=node_id, unique_id=Ids())
    manager.open(cluster_id)
    return manager


def reopened(fs: FaultyFileSystem, *paths: str) -> LogManager:
    manager = manager_over(fs, *paths)
    manager.load(lambda partition, topic_id: CONFIG, now_ms=0)
    return manager


def append(log: Log, value: bytes = b"value") -> None:
    log.append(build_batch([Record(0, 0, None, value, ())]), leader_epoch=0, now_ms=0)


def flush(log: Log) -> None:
    plan = log.flush_plan()
    plan.run()
    log.flushed(plan)


def deleted(
    manager: LogManager, partition: TopicPartition, now_ms: int, high_watermarks: dict[TopicPartition, int]
) -> list[Plan]:
    """Takes one partition out of the way as a broker does; the plans that settle and finish that."""
    removal = manager.remove_log(partition, now_ms)
    return [] if removal is None else [*manager.checkpoint_plans(high_watermarks), removal]


def run(plans: Sequence[Plan]) -> None:
    for plan in plans:
        plan.run()


# -- identity and locks --


def test_a_new_directory_is_claimed_and_known_again() -> None:
    fs = FaultyFileSystem()
    manager = LogManager(fs, [DIRECTORY], node_id=7, unique_id=Ids())
    cluster_id, warnings = manager.open()
    assert warnings == []
    assert (
        fs.crash(Loss.ALL).read_file(f"{DIRECTORY}/meta.properties")
        == (
            f"version=1\ncluster.id={cluster_id}\nnode.id=7\ndirectory.id={uuid_to_str((2).to_bytes(16, 'big'))}\n"
            "owner=logd\n"
        ).encode()
    )
    manager.release()
    again = LogManager(fs, [DIRECTORY], node_id=7, unique_id=Ids())
    assert again.open()[0] == cluster_id


def test_a_second_broker_is_told_which_directory_is_locked() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    with pytest.raises(
        DirectoryLocked, match=r"^data directory /data is in use by another broker.*stop that broker"
    ):
        manager_over(fs)
    manager.release()
    manager_over(fs)


def test_a_refusal_leaves_no_lock_behind() -> None:
    fs = FaultyFileSystem()
    manager_over(fs, cluster_id="ours").release()
    with pytest.raises(DirectoryRefused):
        manager_over(fs, "/other", DIRECTORY, cluster_id="theirs")
    with pytest.raises(DirectoryRefused):
        manager_over(fs, node_id=2)
    manager_over(fs, "/other", DIRECTORY, cluster_id="ours")


def test_directories_of_two_clusters_do_not_go_together() -> None:
    fs = FaultyFileSystem()
    manager_over(fs, "/a", cluster_id="first").release()
    manager_over(fs, "/b", cluster_id="second").release()
    with pytest.raises(DirectoryRefused, match=r"/b belongs to cluster second, this broker to cluster first"):
        manager_over(fs, "/a", "/b")


def test_a_damaged_meta_properties_is_one_clear_line() -> None:
    fs = FaultyFileSystem()
    fs.makedirs(DIRECTORY)
    fs.open(f"{DIRECTORY}/meta.properties", OpenMode.CREATE).append(b"version=1\nnode.id=1\n")
    with pytest.raises(
        DirectoryRefused, match=r"^data directory /data is refused.*cluster.id is missing: restore"
    ):
        manager_over(fs)


def test_an_unusable_directory_is_one_clear_line() -> None:
    fs = FaultyFileSystem()
    fs.before = lambda operation: errno.EACCES
    with pytest.raises(DirectoryRefused, match=r"^data directory /data cannot be used: Permission denied"):
        manager_over(fs)


# -- creating and loading --


def test_a_created_log_is_loaded_again_with_its_topic_id() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    log = manager.create_log(ORDERS, ID, CONFIG, 0)
    append(log)
    assert manager.close({}) == []
    seen = []
    again = manager_over(fs)
    report = again.load(lambda partition, topic_id: seen.append((partition, topic_id)) or CONFIG, 0)  # type: ignore[func-returns-value]
    assert seen == [(ORDERS, ID)]
    assert again.log(ORDERS).log_end_offset == 1
    assert again.log(ORDERS).topic_id == ID
    assert [recovery.clean for recovery in report.recoveries] == [True]
    assert (report.failed, report.warnings, report.plans) == ({}, [], [])


def test_the_first_flush_makes_directory_and_topic_id_durable() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    log = manager.create_log(ORDERS, ID, CONFIG, 0)
    append(log)
    assert not fs.crash(Loss.ALL).exists(f"{DIRECTORY}/{ORDERS}")
    flush(log)
    after = reopened(fs.crash(Loss.ALL))
    assert after.log(ORDERS).log_end_offset == 1
    assert after.log(ORDERS).topic_id == ID


def test_a_full_disk_refuses_a_new_log_and_leaves_nothing() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    fs.before = lambda operation: errno.ENOSPC if operation.kind is Kind.WRITE else None
    with pytest.raises(NoSpace):
        manager.create_log(ORDERS, ID, CONFIG, 0)
    fs.before = None
    assert not fs.exists(f"{DIRECTORY}/{ORDERS}")
    manager.create_log(ORDERS, ID, CONFIG, 0)


def test_logs_are_spread_over_the_directories() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs, "/a", "/b")
    for index in range(4):
        manager.create_log(TopicPartition("orders", index), ID, CONFIG, 0)
    assert sorted(fs.listdir("/a") + fs.listdir("/b"))[-4:] == [f"orders-{index}" for index in range(4)]
    assert sum(name.startswith("orders") for name in fs.listdir("/a")) == 2


def test_a_partition_in_two_directories_is_refused() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs, "/a", "/b")
    fs.makedirs("/a/orders-0")
    fs.makedirs("/b/orders-0")
    with pytest.raises(DirectoryRefused, match=r"orders-0 is in /a and in /b"):
        manager.load(lambda partition, topic_id: CONFIG, 0)


def test_what_is_not_ours_is_ignored_set_aside_or_removed() -> None:
    fs = FaultyFileSystem()
    for name in (
        "lost+found",
        "orders-x",
        "unknown-0",
        f"orders-1.{ID.hex()}-delete",
        f"old-0.{ID.hex()}-stray",
    ):
        fs.makedirs(f"{DIRECTORY}/{name}")
    manager = manager_over(fs)
    report = manager.load(lambda partition, topic_id: None, 0)
    assert sorted(report.warnings) == [
        "/data/lost+found is not the directory of a partition: ignored",
        "/data/orders-x is not the directory of a partition: ignored",
        f"/data/unknown-0 is of no topic known here: set aside as unknown-0.{(3).to_bytes(16, 'big').hex()}-stray",
    ]
    assert fs.exists(f"{DIRECTORY}/unknown-0.{(3).to_bytes(16, 'big').hex()}-stray")
    run(report.plans)
    assert not fs.exists(f"{DIRECTORY}/orders-1.{ID.hex()}-delete")
    assert fs.exists(f"{DIRECTORY}/old-0.{ID.hex()}-stray")
    assert manager.logs == {}


def test_a_damaged_topic_id_is_unknown_and_can_be_assigned() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    manager.create_log(ORDERS, ID, CONFIG, 0)
    manager.close({})
    fs.open(f"{DIRECTORY}/orders-0/partition.metadata", OpenMode.CREATE).append(bytes(44))
    manager = manager_over(fs)
    seen = []
    report = manager.load(lambda partition, topic_id: seen.append(topic_id) or CONFIG, 0)  # type: ignore[func-returns-value]
    assert seen == [None]
    assert "malformed" in report.warnings[0]
    manager.assign_topic_id(ORDERS, OTHER_ID)
    manager.close({})
    assert reopened(fs).log(ORDERS).topic_id == OTHER_ID


# -- checkpoints and the clean stop --


def test_a_clean_stop_writes_checkpoints_and_vouches_last() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    append(manager.create_log(ORDERS, ID, CONFIG, 0))
    order = []
    fs.after = lambda operation: order.append((operation.kind, operation.path))
    assert manager.close({ORDERS: 1}, broker_epoch=5) == []
    assert order[-2:] == [(Kind.RENAME, f"{DIRECTORY}/{CLEAN_SHUTDOWN}.tmp"), (Kind.SYNC_DIR, DIRECTORY)]
    after = fs.crash(Loss.ALL)
    assert read_offsets(after, f"{DIRECTORY}/{RECOVERY_POINTS}") == {ORDERS: 1}
    assert read_offsets(after, f"{DIRECTORY}/{HIGH_WATERMARKS}") == {ORDERS: 1}
    assert read_offsets(after, f"{DIRECTORY}/{LOG_START_OFFSETS}") == {}
    assert manager_over(after).high_watermarks == {ORDERS: 1}


def test_the_marker_is_taken_durably_before_anything_else() -> None:
    fs = FaultyFileSystem()
    manager_over(fs).close({})
    manager_over(fs)
    assert not fs.crash(Loss.ALL).exists(f"{DIRECTORY}/{CLEAN_SHUTDOWN}")


def test_a_log_that_cannot_be_closed_is_not_vouched_for() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    append(manager.create_log(ORDERS, ID, CONFIG, 0))
    fs.before = lambda operation: errno.EIO if operation.path.endswith(".log") else None
    failures = manager.close({})
    assert [type(failure) for failure in failures] == [StorageFailure]
    assert not fs.exists(f"{DIRECTORY}/{CLEAN_SHUTDOWN}")
    fs.before = None
    manager_over(fs)


def test_damaged_checkpoints_are_reported_and_not_believed() -> None:
    fs = FaultyFileSystem()
    fs.makedirs(DIRECTORY)
    for name in (RECOVERY_POINTS, HIGH_WATERMARKS):
        fs.open(f"{DIRECTORY}/{name}", OpenMode.CREATE).append(b"nonsense")
    manager = LogManager(fs, [DIRECTORY], node_id=1, unique_id=Ids())
    _, warnings = manager.open()
    assert len(warnings) == 2
    assert "recovery-point-offset-checkpoint is malformed" in warnings[0]


def test_a_partition_that_cannot_be_opened_keeps_its_recovery_point() -> None:
    """Rot below the recovery point must still be rot after the next crash, not a tail that may be cut."""
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    log = manager.create_log(ORDERS, ID, CONFIG, 0)
    other = TopicPartition("other", 0)
    append(manager.create_log(other, ID, CONFIG, 0))
    for _ in range(3):
        append(log)
    flush(log)
    run(manager.checkpoint_plans({}))
    fs.flip_bit(f"{DIRECTORY}/orders-0/00000000000000000000.log", 100)
    for _ in range(2):
        fs = fs.crash(Loss.SUBSET)
        manager = manager_over(fs)
        report = manager.load(lambda partition, topic_id: CONFIG, 0)
        assert set(report.failed) == {ORDERS}
        assert "checksum" in report.failed[ORDERS]
        assert manager.failure_of(ORDERS) is not None
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            manager.log(ORDERS)
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            manager.create_log(ORDERS, ID, CONFIG, 0)
        assert read_offsets(fs, f"{DIRECTORY}/{RECOVERY_POINTS}")[ORDERS] == 3
        assert manager.close({}) == []
        assert read_offsets(fs, f"{DIRECTORY}/{RECOVERY_POINTS}")[ORDERS] == 3
        assert not fs.exists(f"{DIRECTORY}/{CLEAN_SHUTDOWN}")


# -- deleting --


def test_a_deleted_log_is_out_of_the_way_at_once_and_removed_later() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    append(manager.create_log(ORDERS, ID, CONFIG, 0))
    checkpoints, removal = deleted(manager, ORDERS, 1000, {})
    assert (checkpoints.not_before_ms, removal.not_before_ms) == (0, 61_000)
    assert manager.logs == {}
    with pytest.raises(BrokerError) as caught:
        manager.log(ORDERS)
    assert caught.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert [name for name in fs.listdir(DIRECTORY) if set_aside_suffix(name)] != []
    manager.create_log(ORDERS, OTHER_ID, CONFIG, 0)
    removal.run()
    assert [name for name in fs.listdir(DIRECTORY) if name.startswith("orders")] == ["orders-0"]
    assert deleted(manager, TopicPartition("none", 0), 0, {}) == []


@pytest.mark.parametrize("was_written", [True, False])
@pytest.mark.parametrize("settle", [True, False])
def test_a_recovery_point_does_not_outlive_its_topic(was_written: bool, settle: bool) -> None:
    """A new log of the old name must not be judged by the old recovery point: its lost tail is no rot."""
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    log = manager.create_log(ORDERS, ID, CONFIG, 0)
    for _ in range(3):
        append(log)
    flush(log)
    if was_written:
        run(manager.checkpoint_plans({ORDERS: 3}))
    stale = manager.checkpoint_plans({ORDERS: 3})
    plans = deleted(manager, ORDERS, 0, {ORDERS: 3})
    if settle:
        plans[0].run()
    manager.create_log(ORDERS, OTHER_ID, CONFIG, 0)
    run(list(stale))  # late, behind newer ones
    after = fs.crash(Loss.ALL)
    assert read_offsets(after, f"{DIRECTORY}/{RECOVERY_POINTS}").get(ORDERS, 0) == 0
    assert read_offsets(after, f"{DIRECTORY}/{HIGH_WATERMARKS}") == {}


@pytest.mark.parametrize("settle", [True, False])
def test_that_a_log_was_compacted_does_not_outlive_its_topic(settle: bool) -> None:
    """In a new log of the old name a missing offset is a lost one."""
    fs = FaultyFileSystem()
    path = f"{DIRECTORY}/{CLEANER_OFFSETS}"
    kept = TopicPartition("kept", 0)
    manager = manager_over(fs)
    for each in (ORDERS, kept):
        manager.create_log(each, ID, CONFIG, 0)
    manager.close({})
    write_offsets(fs, path, {ORDERS: 7, kept: 5, TopicPartition("gone", 0): 1})

    manager = reopened(fs)
    plans = deleted(manager, ORDERS, 0, {})
    if settle:
        plans[0].run()
        assert read_offsets(fs, path) == {kept: 5}
    manager.create_log(ORDERS, OTHER_ID, CONFIG, 0)
    assert ORDERS not in read_offsets(fs, path)
    run(manager.checkpoint_plans({}))
    assert read_offsets(fs, path) == {kept: 5}
    manager.close({})
    assert read_offsets(fs, path) == {kept: 5}


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_checkpoint_of_the_cleaner_that_says_nothing_is_left_alone(content: bytes | None) -> None:
    fs = FaultyFileSystem()
    path = f"{DIRECTORY}/{CLEANER_OFFSETS}"
    fs.makedirs(DIRECTORY)
    if content is not None:
        fs.write_atomic(path, content)
    manager = reopened(fs)
    manager.create_log(ORDERS, ID, CONFIG, 0)
    run(deleted(manager, ORDERS, 0, {}))
    manager.create_log(ORDERS, ID, CONFIG, 0)
    manager.close({})
    assert (fs.read_file(path) if fs.exists(path) else None) == content


def test_a_partition_that_is_offline_can_be_deleted() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    manager.create_log(ORDERS, ID, CONFIG, 0)
    manager.fail_log(ORDERS, "rot")
    run(deleted(manager, ORDERS, 0, {}))
    assert manager.failure_of(ORDERS) is None
    manager.create_log(ORDERS, OTHER_ID, CONFIG, 0)


# -- failing disks --


def test_a_failing_disk_takes_its_directory_offline_and_no_other() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs, "/a", "/b")
    first = manager.create_log(TopicPartition("orders", 0), ID, CONFIG, 0)
    second = manager.create_log(TopicPartition("orders", 1), ID, CONFIG, 0)
    assert manager.fail(NoSpace(first.directory, "full")) == []
    assert manager.fail(StorageFailure(f"{first.directory}/x.log", "broken")) == [first.topic_partition]
    assert list(manager.logs.values()) == [second]
    assert "broken" in (manager.failure_of(first.topic_partition) or "")
    assert manager.create_log(TopicPartition("orders", 2), ID, CONFIG, 0).directory.startswith("/b/")
    assert [plan.path for plan in manager.checkpoint_plans({})] == ["/b"]
    assert manager.fail(StorageFailure("/b", "broken too")) != []
    with pytest.raises(BrokerError):
        manager.create_log(TopicPartition("orders", 3), ID, CONFIG, 0)
    assert manager.close({}) == []
    assert not fs.exists(f"/a/{CLEAN_SHUTDOWN}") and not fs.exists(f"/b/{CLEAN_SHUTDOWN}")


def test_a_plan_that_finds_its_partition_deleted_fails_nothing() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    log = manager.create_log(ORDERS, ID, CONFIG, 0)
    kept = manager.create_log(TopicPartition("kept", 0), ID, CONFIG, 0)
    append(log)
    plan = log.flush_plan()
    deleted(manager, ORDERS, 0, {})
    with pytest.raises(StorageFailure) as caught:
        plan.run()
    assert manager.fail(caught.value) == []
    assert list(manager.logs.values()) == [kept]


def test_a_disk_that_fails_while_loading_leaves_the_other_directory_serving() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs, "/a", "/b")
    append(manager.create_log(TopicPartition("orders", 0), ID, CONFIG, 0))
    append(manager.create_log(TopicPartition("orders", 1), ID, CONFIG, 0))
    manager.close({})
    manager = manager_over(fs, "/a", "/b")
    fs.before = lambda operation: errno.EIO if operation.path.startswith("/a/orders") else None
    manager.load(lambda partition, topic_id: CONFIG, 0)
    assert set(manager.logs) == {TopicPartition("orders", 1)}
    assert "Input/output error" in (manager.directories[0].failure or "") and manager.directories[1].is_online
    fs.before = lambda operation: errno.EIO if operation.path.startswith("/a") else None
    with pytest.raises(DirectoryRefused, match="no data directory works"):
        manager_over(fs.crash(Loss.ALL), "/a").fail(StorageFailure("/a", "broken"))
        broken = manager_over(fs.crash(Loss.ALL), "/a")
        broken.fail(StorageFailure("/a", "broken"))
        broken.load(lambda partition, topic_id: CONFIG, 0)


# -- housekeeping --


def test_flush_is_due_by_age_and_after_a_roll() -> None:
    manager = manager_over(FaultyFileSystem())
    log = manager.create_log(ORDERS, ID, LogConfig(flush_ms=1000), 0)
    assert manager.due_for_flush(0) == []
    append(log)
    assert manager.due_for_flush(0) == []
    assert manager.due_for_flush(999) == []
    assert manager.due_for_flush(1000) == [log]
    assert manager.due_for_flush(1001) == [], "asked for once"
    flush(log)
    assert manager.due_for_flush(9000) == []
    append(log)
    log.roll(0)
    assert manager.due_for_flush(9000) == [log]


def test_retention_is_applied_below_the_high_watermark() -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    log = manager.create_log(ORDERS, ID, LogConfig(retention_bytes=0), 0)
    append(log)
    log.roll(0)
    append(log)
    flush(log)
    assert manager.housekeeping(0, {}).plans == []
    result = manager.housekeeping(0, {ORDERS: 1})
    assert log.log_start_offset == 1
    run(result.plans)
    assert not fs.exists(f"{DIRECTORY}/orders-0/00000000000000000000.log.deleted")
    assert result.failures == []


# -- names --


@pytest.mark.parametrize(
    ("name", "partition"),
    [
        ("orders-0", ("orders", 0)),
        ("a-b-12", ("a-b", 12)),
        ("__consumer_offsets-49", ("__consumer_offsets", 49)),
        ("t" * 249 + "-0", ("t" * 249, 0)),
        ("t" * 250 + "-0", None),
        ("orders", None),
        ("-0", None),
        ("..-0", None),
        (".-0", None),
        ("orders-00", None),
        ("orders--1", ("orders-", 1)),
        ("orders-2147483648", None),
        ("ord ers-0", None),
        ("orders-٣", None),
    ],
)
def test_names_of_partition_directories(name: str, partition: tuple[str, int] | None) -> None:
    assert parse_partition_directory(name) == partition


def test_names_set_aside_fit_a_file_system_and_are_known_again() -> None:
    for suffix in ("-delete", "-stray"):
        name = set_aside_name(TopicPartition("t" * 249, 2147483647), ID, suffix)
        assert len(name) == 255
        assert set_aside_suffix(name) == suffix
        assert parse_partition_directory(name) is None
    assert set_aside_name(ORDERS, ID, "-delete") == f"orders-0.{ID.hex()}-delete"
    assert set_aside_suffix("orders-0") is None
    assert set_aside_suffix("orders.x-delete") is None


def test_many_logs_are_closed_side_by_side_and_a_failure_of_one_is_told() -> None:
    """One after the other, 2,000 small logs took a stop half a minute: longer than a service manager waits."""
    fs = FaultyFileSystem()
    manager = manager_over(fs)
    for number in range(100):
        append(manager.create_log(TopicPartition("orders", number), ID, CONFIG, 0))
    groups: list[int] = []

    def backwards(works: Sequence[Callable[[], None]]) -> Sequence[BaseException | None]:
        groups.append(len(works))
        return one_by_one(works[::-1])[::-1]

    fs.before = lambda operation: (
        errno.EIO if operation.path.endswith("orders-70/" + "0" * 20 + ".log") else None
    )
    failures = manager.close({}, run_all=backwards)
    assert [type(failure) for failure in failures] == [StorageFailure]
    assert "orders-70" in str(failures[0])
    assert sum(groups) >= 99
    assert 1 < max(groups) < 100
    assert not fs.exists(f"{DIRECTORY}/{CLEAN_SHUTDOWN}")


@pytest.mark.parametrize("loss", Loss)
def test_log_starts_alone_are_made_durable(loss: Loss) -> None:
    fs = FaultyFileSystem()
    manager = manager_over(fs, "/a", "/b")
    manager.load(lambda partition, topic_id: CONFIG, now_ms=0)
    logs = [manager.create_log(TopicPartition("t", index), ID, CONFIG, 0) for index in range(2)]
    for log in logs:
        append(log)
        append(log)
        plan = log.flush_plan()
        plan.run()
        log.flushed(plan)
        log.advance_log_start_offset(1)
    homes = [log.directory.rpartition("/")[0] for log in logs]
    assert sorted(homes) == ["/a", "/b"]
    (plan,) = manager.log_start_plans({homes[0]})
    plan.run()
    again = reopened(fs.crash(loss), "/a", "/b")
    assert [again.logs[log.topic_partition].log_start_offset for log in logs] == [1, 0]
