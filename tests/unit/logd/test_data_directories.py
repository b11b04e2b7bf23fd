"""Several data directories: spread, failing alone, coming back, and never made up for by empty ones.

Method: a node on a faulty disk with directories /a and /b; directories are renamed, removed and broken under it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from logd.errors import StartupError
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.metadata import MetadataRequest
from protocol.types import LOST_DIRECTORY, UNASSIGNED_DIRECTORY, TopicPartition
from replication.directories import directory_of
from replication.metadata_commands import CreateTopics, DeleteTopics, NewTopic
from storage.errors import StorageFailure
from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Kind, Loss
from storage.log import AppendOrigin
from tests.support.logs import NOW_MS, make_batch
from tests.support.node import TIMEOUT_S, Disk, Node, eventually

CODE = ErrorCode
METADATA = "__cluster_metadata-0"
PARTITIONS = 4


def play_on(
    directories: str,
    scenario: Callable[[Node], Coroutine[Any, Any, None]],
    fs: FaultyFileSystem | None = None,
) -> None:
    """Run `scenario` on a node with these data directories."""

    async def main() -> None:
        node = Node(FaultyFileSystem() if fs is None else fs, data_dir=directories)
        async with asyncio.timeout(TIMEOUT_S):
            await node.start()
            try:
                await scenario(node)
            finally:
                await node.stop()

    asyncio.run(main())


async def restart_with(node: Node, directories: str) -> None:
    """Start again with other log.dirs; a node that is stopped already is merely started."""
    node._properties[0] = f"log.dirs={directories}"
    await node.start()


async def create(node: Node, name: str = "t", partitions: int = PARTITIONS) -> bytes:
    ((creation),) = await node.broker.metadata.submit(CreateTopics([NewTopic(name, partitions, 1)]))
    assert creation.code is CODE.NONE
    topic_id: bytes = creation.topic_id
    return topic_id


def write(node: Node, name: str, index: int, count: int = 3) -> None:
    node.partition(name, index).append(
        memoryview(make_batch(count)), acks=1, now_ms=NOW_MS, origin=AppendOrigin.CLIENT
    )


def write_all(node: Node, name: str = "t") -> None:
    for index in node.broker.metadata.image.topics[name].partitions:
        write(node, name, index)


def ends(node: Node, name: str = "t") -> list[int | None]:
    """The log end of each partition, None for those that are offline."""
    found: list[int | None] = []
    for index in node.broker.metadata.image.topics[name].partitions:
        try:
            found.append(node.partition(name, index).log.log_end_offset)
        except BrokerError as error:
            assert error.code is CODE.KAFKA_STORAGE_ERROR
            found.append(None)
    return found


def homes(node: Node, name: str = "t") -> list[str]:
    """The data directory of each partition that is online."""
    return [
        partition.log.directory.rpartition("/")[0]
        for partition in node.broker.replicas
        if partition.topic_partition.topic == name
    ]


def leaders(node: Node, name: str = "t") -> list[int]:
    return [state.leader_id for state in node.broker.metadata.image.topics[name].partitions.values()]


def told_directories(node: Node, name: str = "t") -> list[bytes]:
    states = node.broker.metadata.image.topics[name].partitions.values()
    return [directory_of(state, node.broker.node_id) for state in states]


def ids(node: Node) -> dict[str, bytes]:
    return {directory.path: directory.directory_id for directory in node.broker._manager.directories}


async def told(node: Node, name: str = "t") -> list[tuple[int, int, list[int]]]:
    """What Metadata says of each partition: code, leader, offline replicas."""
    client = await node.client()
    question = MetadataRequest.MetadataRequestTopic(name=name)
    response = await client.call(MetadataRequest(topics=[question], allow_auto_topic_creation=False))
    return [
        (partition.error_code, partition.leader_id, list(partition.offline_replicas))
        for partition in response.topics[0].partitions
    ]


def break_directory(node: Node, path: str) -> None:
    node.broker.replicas.disk_failed(StorageFailure(f"{path}/recovery-point-offset-checkpoint", "planted"))


# -- while it runs ------------------------------------------------------------------------------------------------


def test_partitions_are_spread_and_the_metadata_says_where_each_is() -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        await create(node, "u", 2)
        assert sorted(homes(node)) == ["/a", "/a", "/b", "/b"] and sorted(homes(node, "u")) == ["/a", "/b"]
        assert told_directories(node) == [ids(node)[home] for home in homes(node)]
        assert node.broker.metadata.image.brokers[node.broker.node_id].log_dirs == tuple(ids(node).values())

    play_on("/a,/b", scenario)


def test_a_directory_that_fails_goes_offline_alone() -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        where = homes(node)
        break_directory(node, "/b")
        assert ends(node) == [3 if home == "/a" else None for home in where]
        await eventually(lambda: -1 in leaders(node))
        assert leaders(node) == [1 if home == "/a" else -1 for home in where]
        assert await told(node) == [
            (CODE.NONE, 1, []) if home == "/a" else (CODE.LEADER_NOT_AVAILABLE, -1, [1]) for home in where
        ]
        assert node.broker.metadata.image.brokers[1].log_dirs == (ids(node)["/a"],)
        await create(node, "later")
        assert homes(node, "later") == ["/a"] * PARTITIONS
        write_all(node, "later")
        assert not node.broker.stopped.is_set()

    play_on("/a,/b", scenario)


def test_metadata_tells_of_a_failure_before_it_is_taken_down() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        await create(node)
        await asyncio.sleep(0.05)  # what the start left to be synced
        disk.hold_syncs(METADATA)
        break_directory(node, "/b")
        answers = await told(node)
        disk.let_go()
        assert sorted(leader for _, leader, _ in answers) == [-1, -1, 1, 1]

    play_on("/a,/b", scenario, disk.fs)


@pytest.mark.parametrize("paths", [["/a"], ["/b", "/a"]], ids=["that with the metadata", "all"])
def test_a_failure_that_the_node_cannot_go_on_with_ends_it(paths: list[str]) -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        for path in paths:
            assert not node.broker.stopped.is_set()
            break_directory(node, path)
        assert node.broker.stopped.is_set()
        await node.stop()
        assert node.broker.failure.startswith(
            "no data directory works"
            if "/b" in paths
            else "the data directory with the metadata log failed: /a"
        )
        assert node.fs.exists("/b/.kafka_cleanshutdown") == ("/b" not in paths)
        assert not node.fs.exists("/a/.kafka_cleanshutdown")
        await node.start()
        assert ends(node) == [3] * PARTITIONS

    play_on("/a,/b", scenario)


def test_a_directory_removed_under_the_node_is_not_made_again() -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        node.fs.remove_tree("/b")
        await create(node, "later")
        assert not node.fs.exists("/b")
        assert [home for home in homes(node) if home == "/b"] == []
        assert {told_leader for _, told_leader, _ in await told(node, "later")} == {-1, 1}

    play_on("/a,/b", scenario)


def test_a_stop_says_that_the_directory_is_gone() -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        node.fs.remove_tree("/b")
        await node.stop()
        assert node.broker.failure == (
            "not closed cleanly: /b: the data directory was removed while the broker ran"
        )
        assert not node.fs.exists("/b")
        node.fs.makedirs("/b")
        await node.start()

    play_on("/a,/b", scenario)


# -- over restarts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_failed_directory_comes_back_with_all_its_data(how: str) -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        epochs = [node.partition("t", index).leader_epoch for index in range(PARTITIONS)]
        break_directory(node, "/b")
        await eventually(lambda: -1 in leaders(node))
        if how == "stop":
            await node.restart()
        else:
            await node.crash(Loss.NONE)
        assert ends(node) == [3] * PARTITIONS and leaders(node) == [1] * PARTITIONS
        for index in range(PARTITIONS):
            assert node.partition("t", index).leader_epoch > epochs[index]
        write_all(node)

    play_on("/a,/b", scenario)


def test_a_directory_that_fails_at_the_start_is_offline_alone_and_comes_back() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        where = homes(node)
        await node.stop()
        disk.fail(Kind.REMOVE, "/b/", errno.EROFS)
        await node.start()
        assert ends(node) == [3 if home == "/a" else None for home in where]
        with pytest.raises(BrokerError, match="Read-only file system"):
            node.partition("t", where.index("/b"))
        assert {leader for _, leader, _ in await told(node)} == {1, -1}
        await create(node, "later")
        assert set(homes(node, "later")) == {"/a"}
        await node.stop()
        disk.heal()
        await node.start()
        assert ends(node) == [3] * PARTITIONS and leaders(node) == [1] * PARTITIONS

    play_on("/a,/b", scenario, disk.fs)


@pytest.mark.parametrize("how", ["missing", "replaced"])
@pytest.mark.parametrize("starts", [1, 3])
def test_partitions_of_a_directory_that_is_not_there_are_not_made_anew(how: str, starts: int) -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        where = homes(node)
        await node.stop()
        node.fs.rename("/b", "/elsewhere")
        for _ in range(starts):
            await restart_with(node, "/a" if how == "missing" else "/a,/b")
            assert ends(node) == [3 if home == "/a" else None for home in where]
            with pytest.raises(BrokerError, match=r"directory.id=.* is not among those of log.dirs"):
                node.partition("t", where.index("/b"))
            await node.stop()
        node.fs.remove_tree("/b")
        node.fs.rename("/elsewhere", "/b")
        await restart_with(node, "/a,/b")
        assert ends(node) == [3] * PARTITIONS

    play_on("/a,/b", scenario)


def test_a_topic_of_a_directory_that_is_gone_can_be_deleted_and_made_again() -> None:
    async def scenario(node: Node) -> None:
        topic_id = await create(node)
        write_all(node)
        await node.stop()
        node.fs.rename("/b", "/elsewhere")
        await restart_with(node, "/a")
        assert await node.broker.metadata.submit(DeleteTopics([topic_id])) == [CODE.NONE]
        await create(node)
        assert ends(node) == [0] * PARTITIONS
        await node.stop()
        node.fs.rename("/elsewhere", "/b")
        await restart_with(node, "/a,/b")
        assert ends(node) == [0] * PARTITIONS
        left = [name for name in node.fs.listdir("/b") if name.startswith("t-")]
        assert len(left) == 2 and all(name.endswith("-delete") for name in left)

    play_on("/a,/b", scenario)


@pytest.mark.parametrize("directories", ["/b,/a", "/b,/moved", "/moved,/b"])
def test_directories_are_known_by_their_ids_wherever_they_are(directories: str) -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        await node.stop()
        if "/moved" in directories:
            node.fs.rename("/a", "/moved")
        await restart_with(node, directories)
        assert ends(node) == [3] * PARTITIONS and leaders(node) == [1] * PARTITIONS
        holder = "/moved" if "/moved" in directories else "/a"
        assert node.fs.is_dir(f"{holder}/{METADATA}") and not node.fs.exists(f"/b/{METADATA}")

    play_on("/a,/b", scenario)


@pytest.mark.parametrize("loss", POWER_LOSSES)
def test_a_partition_moved_to_another_directory_is_found_there(loss: Loss) -> None:
    fs = FaultyFileSystem()

    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        index = homes(node).index("/b")
        await node.stop()
        source, target = f"/b/t-{index}", f"/a/t-{index}"
        node.fs.makedirs(target)
        for name in node.fs.listdir(source):
            node.fs.write_atomic(f"{target}/{name}", node.fs.read_file(f"{source}/{name}"))
        node.fs.remove_tree(source)
        node.fs.sync_dir("/a")
        node.fs.sync_dir("/b")
        await node.start()
        assert ends(node) == [3] * PARTITIONS
        assert told_directories(node)[index] == ids(node)["/a"]
        await node.crash(loss)
        assert ends(node) == [3] * PARTITIONS
        assert told_directories(node)[index] == ids(node)["/a"]

    play_on("/a,/b", scenario, fs)


def test_replicas_of_which_nobody_knew_where_they_are_are_taken_down_where_they_are_found() -> None:
    """As a metadata log of a Kafka node may have them."""

    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        topic = node.broker.metadata.image.topics["t"]
        where = homes(node)
        for index in (0, 1):
            topic.partitions[index] = topic.partitions[index]._replace(directories=(UNASSIGNED_DIRECTORY,))
        assert len(node.broker.replicas.places.assignments()) == 2
        manager = node.broker._manager
        manager._table.forget(TopicPartition("t", 1))
        assert len(node.broker.replicas.places.assignments()) == 1  # one that waits for room, say
        manager._table.add_lost(TopicPartition("t", 1), None, "planted", 0)
        assert sorted(a.directory_id for a in node.broker.replicas.places.assignments()) == sorted(
            [ids(node)[where[0]], LOST_DIRECTORY]
        )

    play_on("/a,/b", scenario)


# -- one partition, and the metadata --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_partition_that_vanished_is_offline_and_said(how: str) -> None:
    async def scenario(node: Node) -> None:
        topic_id = await create(node)
        write_all(node)
        for partition in node.broker.replicas:
            plan = partition.log.flush_plan()
            plan.run()
            partition.log.flushed(plan)
        for checkpoint in node.broker._manager.checkpoint_plans({}):
            checkpoint.run()
        if how == "stop":
            await node.stop()
        else:
            crashed = node.fs
            assert isinstance(crashed, FaultyFileSystem)
            after = crashed.crash(Loss.ALL)
            await node.stop()
            node.fs = after
        node.fs.remove_tree("/a/t-0")
        for _ in range(3):
            await node.start()
            assert ends(node) == [None, 3, 3, 3]
            with pytest.raises(BrokerError, match=r"up to offset 3 on disk, and /a/t-0 is gone: restore"):
                node.partition("t", 0)
            assert (await told(node))[0] == (CODE.LEADER_NOT_AVAILABLE, -1, [1])
            await node.stop()
        await node.start()
        assert await node.broker.metadata.submit(DeleteTopics([topic_id])) == [CODE.NONE]
        await create(node)
        assert ends(node) == [0] * PARTITIONS

    play_on("/a", scenario)


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("point", range(0, 40, 3))
def test_a_topic_made_again_is_not_taken_for_one_that_vanished(loss: Loss, point: int) -> None:
    """A crash at any moment of a deletion and a creation of the same name, with the old checkpoints still there."""
    fs = FaultyFileSystem(point)
    left: list[FaultyFileSystem] = []

    async def scenario(node: Node) -> None:
        topic_id = await create(node, "t", 2)
        write_all(node)
        await node.restart()  # the checkpoints have the old topic's offsets now
        start = fs.operations

        def crash(operation: object) -> None:
            if fs.operations == start + point:
                left.append(fs.crash(loss))

        fs.after = crash
        await node.broker.metadata.submit(DeleteTopics([topic_id]))
        await create(node, "t", 2)
        fs.after = None
        after = left[0] if left else fs.crash(loss)
        await node.stop()
        node.fs = after
        await node.start()
        if "t" in node.broker.metadata.image.topics:
            found = ends(node)
            is_old = node.broker.metadata.image.topics["t"].topic_id == topic_id
            assert found == ([3, 3] if is_old else [0, 0])
        else:
            await create(node, "t", 2)
            assert ends(node) == [0, 0]

    play_on("/a,/b", scenario, fs)


def test_without_its_metadata_log_nothing_is_started() -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        write_all(node)
        await node.stop()
        node.fs.rename(f"/a/{METADATA}", "/a/aside")
        for directories in ("/a,/b", "/b", "/new,/b"):
            with pytest.raises(StartupError, match=r"there is no metadata log \(.*\) in "):
                await restart_with(node, directories)
        node.fs.rename("/a/aside", f"/a/{METADATA}")
        await restart_with(node, "/a,/b")
        assert ends(node) == [3] * PARTITIONS

    play_on("/a,/b", scenario)


def test_two_metadata_logs_are_refused() -> None:
    async def scenario(node: Node) -> None:
        await create(node)
        await node.stop()
        node.fs.makedirs(f"/b/{METADATA}")
        with pytest.raises(StartupError, match="both hold a metadata log"):
            await node.start()
        node.fs.remove_tree(f"/b/{METADATA}")
        await node.start()

    play_on("/a,/b", scenario)


def test_a_directory_that_may_hold_the_metadata_log_must_work() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        await create(node)
        await node.stop()
        disk.fail(Kind.REMOVE, "/a/", errno.EIO)
        with pytest.raises(
            StartupError, match="no working data directory holds the metadata log, and /a may"
        ):
            await node.start()
        disk.heal()
        await node.start()

    play_on("/a,/b", scenario, disk.fs)


@pytest.mark.parametrize("loss", POWER_LOSSES)
@pytest.mark.parametrize("point", range(1, 40))
def test_a_first_start_cut_short_starts_again(loss: Loss, point: int) -> None:
    fs = FaultyFileSystem()
    left: list[FaultyFileSystem] = []

    def crash(operation: Any) -> None:
        if operation.number == point:
            left.append(fs.crash(loss))

    fs.after = crash

    async def scenario(node: Node) -> None:
        await node.stop()
        if left:
            node.fs = left[0]
        await node.start()
        await create(node)
        assert ends(node) == [0] * PARTITIONS

    play_on("/a,/b", scenario, fs)


def test_one_directory_copied_is_refused() -> None:
    async def scenario(node: Node) -> None:
        await node.stop()
        node.fs.write_atomic("/b/meta.properties", node.fs.read_file("/a/meta.properties"))
        with pytest.raises(StartupError, match=r"/a and /b have the same directory.id"):
            await node.start()
        node.fs.remove("/b/meta.properties")
        await node.start()

    play_on("/a,/b", scenario)
