"""The metadata log of one node: order of durability, image, watchers and replies; groups; failures; snapshots.

Method: a store on a memory or faulty file system; the pool is a coroutine that lets others run around the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from logd.metadata.files import METADATA_DIRECTORY, read_quorum_epoch, read_recovery_point
from logd.metadata.log import MetadataLog
from logd.metadata.snapshot import snapshots_in
from protocol.errors import BrokerError, ErrorCode
from replication.metadata_commands import (
    AllocateProducerIds,
    CreateTopics,
    DeleteTopics,
    NewTopic,
    RaiseLeaderEpochs,
)
from replication.metadata_image import MetadataDelta, UnusableMetadata
from storage.errors import CorruptLog, NoSpace, StorageFailure
from storage.fs.faulty import FaultyFileSystem, Kind, Loss, Operation
from storage.fs.memory import MemoryFileSystem
from tests.support.metadata_store import NODE_ID, Clock, open_store, run_inline, start_store
from tests.support.metadata_world import registration, state_of

LOG = f"/data/{METADATA_DIRECTORY}/00000000000000000000.log"


async def create(store: MetadataLog, name: str, partitions: int = 1) -> ErrorCode:
    (creation,) = await store.submit(CreateTopics([NewTopic(name, partitions, 1)]))
    assert isinstance(creation.code, ErrorCode)
    return creation.code


def test_a_new_cluster_starts_at_our_feature_level_with_its_broker() -> None:
    async def scenario() -> None:
        store = await start_store(MemoryFileSystem())
        assert store.image.features == {
            "metadata.version": 30,
            "group.version": 1,
            "transaction.version": 2,
        }
        assert [broker.node_id for broker in store.image.live_brokers()] == [NODE_ID]
        assert store.epoch == 0
        await store.close()

    asyncio.run(scenario())


def test_what_was_answered_is_there_after_a_restart_and_each_start_is_a_new_epoch() -> None:
    async def scenario() -> None:
        fs = MemoryFileSystem()
        before: object = None
        for start in range(3):
            store = open_store(fs, seed=start, clean=start == 2)
            assert store.epoch == start
            if before is not None:
                assert state_of(store.image) == before
            store.register_broker(registration(NODE_ID))
            assert await create(store, f"t{start}", 2) is ErrorCode.NONE
            before = state_of(store.image)
            await store.close()
        assert read_quorum_epoch(fs, f"/data/{METADATA_DIRECTORY}") == 2

    asyncio.run(scenario())


def test_nothing_is_visible_or_answered_before_the_sync() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        async def slow(work: Callable[[], Any]) -> Any:
            await gate.wait()
            return work()

        store = open_store(MemoryFileSystem(), run_blocking=slow)
        store.register_broker(registration(NODE_ID))
        deltas: list[MetadataDelta] = []
        store.watch(deltas.append)
        task = asyncio.ensure_future(create(store, "t"))
        await asyncio.sleep(0.01)
        assert not task.done()
        assert not store.image.topics
        assert not deltas
        gate.set()
        assert await task is ErrorCode.NONE
        assert [topic.name for topic in deltas[0].created_topics] == ["t"]

    asyncio.run(scenario())


def test_watchers_have_acted_before_the_submitter_resumes() -> None:
    async def scenario() -> None:
        store = await start_store(MemoryFileSystem())
        opened: list[str] = []

        async def open_logs(delta: MetadataDelta) -> None:
            await asyncio.sleep(0.01)
            opened.extend(topic.name for topic in delta.created_topics)

        store.watch(open_logs)
        await create(store, "t")
        assert opened == ["t"]

    asyncio.run(scenario())


def test_a_watcher_that_fails_holds_nobody_up() -> None:
    async def scenario() -> None:
        store = await start_store(MemoryFileSystem())
        told: list[MetadataDelta] = []

        def broken(delta: MetadataDelta) -> None:
            raise RuntimeError("a bug")

        store.watch(broken)
        store.watch(told.append)
        assert await create(store, "t") is ErrorCode.NONE
        assert len(told) == 1

    asyncio.run(scenario())


def test_commands_that_wait_share_one_sync() -> None:
    async def scenario() -> None:
        syncs = 0

        async def counting(work: Callable[[], Any]) -> Any:
            nonlocal syncs
            syncs += 1
            return await run_inline(work)

        store = await start_store(MemoryFileSystem(), run_blocking=counting)
        syncs = 0
        codes = await asyncio.gather(*(create(store, f"t{number}") for number in range(50)))
        assert codes == [ErrorCode.NONE] * 50
        assert syncs == 1
        assert len(store.image.topics) == 50

    asyncio.run(scenario())


def test_commands_on_the_same_thing_are_decided_one_after_the_other() -> None:
    async def scenario() -> None:
        store = await start_store(MemoryFileSystem())
        codes = await asyncio.gather(*(create(store, name) for name in ("a.b", "a.b", "a_b", "c")))
        assert codes == [
            ErrorCode.NONE,
            ErrorCode.TOPIC_ALREADY_EXISTS,
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            ErrorCode.NONE,
        ]
        blocks = await asyncio.gather(*(store.submit(AllocateProducerIds(NODE_ID)) for _ in range(3)))
        assert sorted(block.first for block in blocks) == [0, 1000, 2000]
        topic_id = store.image.topics["c"].topic_id
        # A refusal rests on what it finds, so it waits too.
        results = await asyncio.gather(
            store.submit(DeleteTopics([topic_id])),
            store.submit(RaiseLeaderEpochs(NODE_ID)),
            store.submit(DeleteTopics([topic_id])),
            create(store, "c"),
        )
        assert results == [[ErrorCode.NONE], 1, [ErrorCode.UNKNOWN_TOPIC_ID], ErrorCode.NONE]

    asyncio.run(scenario())


def test_a_submitter_that_goes_away_does_not_stop_its_command() -> None:
    async def scenario() -> None:
        store = await start_store(MemoryFileSystem())
        task = asyncio.ensure_future(create(store, "t"))
        await asyncio.sleep(0)
        task.cancel()
        assert await create(store, "u") is ErrorCode.NONE
        assert set(store.image.topics) == {"t", "u"}

    asyncio.run(scenario())


def test_validation_alone_writes_nothing() -> None:
    async def scenario() -> None:
        fs = MemoryFileSystem()
        store = await start_store(fs)
        size = fs.size(LOG)
        (creation,) = await store.submit(CreateTopics([NewTopic("t")], validate_only=True))
        assert creation.code is ErrorCode.NONE
        assert fs.size(LOG) == size
        assert not store.image.topics

    asyncio.run(scenario())


def fail_on(fs: FaultyFileSystem, kind: Kind, failure: Callable[[str], StorageFailure]) -> None:
    def before(operation: Operation) -> int | None:
        if operation.kind is kind and operation.path == LOG:
            raise failure(operation.path)
        return None

    fs.before = before


def test_a_failed_sync_refuses_the_group_and_everything_after_it() -> None:
    async def scenario() -> None:
        fs = FaultyFileSystem()
        failures: list[Exception] = []
        store = await start_store(fs, failures=failures)
        await create(store, "old")
        state = state_of(store.image)
        fail_on(fs, Kind.SYNC, lambda path: StorageFailure(path, "input/output error"))
        outcomes = await asyncio.gather(create(store, "a"), create(store, "b"), return_exceptions=True)
        assert [outcome.code for outcome in outcomes if isinstance(outcome, BrokerError)] == [
            ErrorCode.KAFKA_STORAGE_ERROR
        ] * 2
        assert state_of(store.image) == state
        fs.before = None
        with pytest.raises(BrokerError) as refusal:
            await create(store, "c")
        assert refusal.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert len(failures) == 1
        # What needs no record is still answered.
        assert await create(store, "old") is ErrorCode.TOPIC_ALREADY_EXISTS
        await store.close()

    asyncio.run(scenario())


def test_a_full_disk_refuses_and_passes() -> None:
    async def scenario() -> None:
        fs = FaultyFileSystem()
        failures: list[Exception] = []
        store = await start_store(fs, failures=failures)
        fail_on(fs, Kind.WRITE, lambda path: NoSpace(path, "no space left on device"))
        with pytest.raises(BrokerError) as refusal:
            await create(store, "a")
        assert refusal.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        fs.before = None
        assert await create(store, "a") is ErrorCode.NONE
        assert not failures
        await store.close()
        again = open_store(fs, clean=True)
        assert set(again.image.topics) == {"a"}

    asyncio.run(scenario())


def test_the_first_command_makes_the_start_durable_too() -> None:
    async def scenario() -> None:
        fs = FaultyFileSystem()
        fs.makedirs("/data")
        fs.sync_dir("/")
        store = open_store(fs)
        store.register_broker(registration(NODE_ID))
        await create(store, "t")
        after = open_store(fs.crash(Loss.ALL))
        assert state_of(after.image) == state_of(store.image)

    asyncio.run(scenario())


def test_settling_leaves_one_sync_to_the_first_command() -> None:
    async def scenario() -> None:
        fs = FaultyFileSystem()
        store = open_store(fs)
        store.register_broker(registration(NODE_ID))
        store.settle()
        assert store._writer is not None
        await store._writer
        syncs: list[str] = []
        fs.after = lambda operation: (
            syncs.append(operation.path) if operation.kind in (Kind.SYNC, Kind.SYNC_DIR) else None
        )
        await create(store, "t")
        assert syncs == [LOG]
        await store.close()

    asyncio.run(scenario())


def test_a_snapshot_takes_the_place_of_the_log_before_it() -> None:
    async def scenario() -> None:
        fs = MemoryFileSystem()
        store = await start_store(fs, snapshot_after_bytes=20_000)
        for number in range(60):
            assert await create(store, f"t{number}", 4) is ErrorCode.NONE
        for number in range(0, 60, 3):
            await store.submit(DeleteTopics([store.image.topics[f"t{number}"].topic_id]))
        state = state_of(store.image)
        await store.close()
        directory = f"/data/{METADATA_DIRECTORY}"
        (snapshot,) = snapshots_in(fs, directory)
        assert snapshot.end_offset > 200
        logs = [name for name in fs.listdir(directory) if name.endswith(".log")]
        assert logs == [f"{snapshot.end_offset:020d}.log"]
        again = open_store(fs, clean=False, seed=1)
        assert state_of(again.image) == state
        assert again.epoch == 1
        again.register_broker(registration(NODE_ID))
        assert await create(again, "t0") is ErrorCode.NONE

    asyncio.run(scenario())


def test_a_log_that_ends_before_the_snapshot_goes_on_behind_it() -> None:
    async def scenario() -> None:
        fs = MemoryFileSystem()
        store = await start_store(fs, snapshot_after_bytes=2000)
        for number in range(12):
            await create(store, f"t{number}")
        state = state_of(store.image)
        snapshot_end = store.image.offset + 1
        await store.close()
        directory = f"/data/{METADATA_DIRECTORY}"
        (snapshot,) = snapshots_in(fs, directory)
        for name in fs.listdir(directory):
            if not name.endswith(".checkpoint"):
                fs.remove(f"{directory}/{name}")
        again = open_store(fs)
        assert set(again.image.topics) <= {f"t{number}" for number in range(12)}
        again.register_broker(registration(NODE_ID))
        assert again.image.brokers[NODE_ID].broker_epoch > snapshot.end_offset
        assert again.epoch == snapshot.epoch + 1
        if snapshot.end_offset == snapshot_end:
            assert state_of(again.image) == state

    asyncio.run(scenario())


def test_a_missing_snapshot_is_refused() -> None:
    async def scenario() -> None:
        fs = MemoryFileSystem()
        store = await start_store(fs, snapshot_after_bytes=2000)
        for number in range(12):
            await create(store, f"t{number}")
        await store.close()
        directory = f"/data/{METADATA_DIRECTORY}"
        (snapshot,) = snapshots_in(fs, directory)
        fs.remove(f"{directory}/{snapshot.file_name}")
        with pytest.raises(UnusableMetadata):
            open_store(fs, clean=True)

    asyncio.run(scenario())


def rot(fs: FaultyFileSystem) -> None:
    fs.flip_bit(LOG, fs.size(LOG) // 2)


@pytest.mark.parametrize("clean", [True, False])
def test_rot_below_the_recovery_point_is_refused_and_nothing_is_cut(clean: bool) -> None:
    async def scenario() -> None:
        fs = FaultyFileSystem()
        store = await start_store(fs)
        for number in range(9):
            await create(store, f"t{number}")
        await store.close()
        size = fs.size(LOG)
        rot(fs)
        with pytest.raises((CorruptLog, UnusableMetadata)):
            open_store(fs, clean=clean)
        assert fs.size(LOG) == size

    asyncio.run(scenario())


def test_the_recovery_point_is_put_down_once_a_minute() -> None:
    async def scenario() -> None:
        fs, clock = MemoryFileSystem(), Clock()
        directory = f"/data/{METADATA_DIRECTORY}"
        store = await start_store(fs, clock=clock)
        await create(store, "a")
        assert read_recovery_point(fs, directory) == 0
        clock.now_ms += 60_000
        await create(store, "b")
        point = read_recovery_point(fs, directory)
        assert point == store.image.offset + 1
        clock.now_ms += 59_000
        await create(store, "c")
        assert read_recovery_point(fs, directory) == point

    asyncio.run(scenario())


def test_a_bug_in_replay_stops_the_store_and_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        failures: list[Exception] = []
        store = await start_store(MemoryFileSystem(), failures=failures)

        def broken(*_: object) -> None:
            raise UnusableMetadata("a bug")

        monkeypatch.setattr(type(store.image), "replay", broken)
        outcomes = await asyncio.gather(create(store, "a"), create(store, "a"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [BrokerError] * 2
        assert [type(failure) for failure in failures] == [UnusableMetadata]

    asyncio.run(scenario())


def test_damaged_side_files_are_made_anew() -> None:
    async def scenario() -> None:
        fs = MemoryFileSystem()
        await (await start_store(fs)).close()
        directory = f"/data/{METADATA_DIRECTORY}"
        whole = {}
        for path in (
            f"{directory}/quorum-state",
            f"{directory}/partition.metadata",
            "/data/bootstrap.checkpoint",
        ):
            whole[path] = fs.read_file(path)
            fs.write_atomic(path, b"")
        again = open_store(fs)
        assert again.epoch == 1
        for path, content in whole.items():
            assert len(fs.read_file(path)) == len(content)

    asyncio.run(scenario())
