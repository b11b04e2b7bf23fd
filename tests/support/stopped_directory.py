"""A data directory as a stopped node leaves it, every kind of file in it, made by storage itself in any file system.

`orders-0` and `orders-1`: several small segments, three leader epochs, idempotent and transactional producers,
some transactions aborted, one left open. `__cluster_metadata-0`: a snapshot and the log behind it.
"""

from __future__ import annotations

import asyncio
import posixpath

from protocol.types import TopicPartition, uuid_to_str
from replication.metadata_commands import CreateTopics, DeleteTopics, NewTopic, RaiseLeaderEpochs
from storage.config import LogConfig
from storage.directories.manager import LogManager
from storage.directories.meta_properties import META_PROPERTIES, MetaProperties, write_meta_properties
from storage.fs import FileSystem
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from tests.support.logs import NOW_MS, append, append_marker, flush, make_batch
from tests.support.metadata_store import NODE_ID, start_store
from tests.support.metadata_world import registration

CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAABw"
TOPIC = "orders"
CONFIG = LogConfig(segment_bytes=1500, index_interval_bytes=150, retention_ms=-1)


def write_stopped_directory(fs: FileSystem, data_dir: str, *, clean: bool = True) -> None:
    """Afterwards nobody holds the directory; with `clean` it was stopped in order, else killed."""
    fs.mkdir(data_dir)
    directory_id = uuid_to_str(registration(NODE_ID).log_dirs[0])
    properties = MetaProperties(CLUSTER_ID, NODE_ID, directory_id)
    write_meta_properties(fs, posixpath.join(data_dir, META_PROPERTIES), properties)
    topic_id = asyncio.run(_write_metadata(fs, data_dir))
    manager = LogManager(fs, [data_dir], node_id=NODE_ID, reserved=("__cluster_metadata-0",))
    manager.open()
    for partition in range(2):
        log = manager.create_log(TopicPartition(TOPIC, partition), topic_id, CONFIG, NOW_MS)
        fill(log)
    ends = {partition: log.log_end_offset for partition, log in manager.logs.items()}
    if clean:
        assert manager.close(ends) == []
    else:
        for log in manager.logs.values():
            flush(log)
        for plan in manager.checkpoint_plans(ends):
            plan.run()
        for log in manager.logs.values():
            append(log, make_batch(2, timestamp_ms=NOW_MS + 99), leader_epoch=4)
        manager.release()


def fill(log: Log) -> None:
    """36 batches and their markers in 4 segments or more."""
    sequences = {1: 0, 2: 0, 3: 0}
    for number in range(36):
        producer = 1 + number % 3
        count = 1 + number % 4
        batch = make_batch(
            count,
            size=40,
            timestamp_ms=NOW_MS + number,
            producer_id=producer,
            producer_epoch=0,
            base_sequence=sequences[producer],
            transactional=producer != 3,
        )
        sequences[producer] += count
        append(log, batch, leader_epoch=2 * (number // 15))
        if number % 6 == 5 and number < 33:
            _mark(log, 1, committed=False, epoch=2 * (number // 15))
            _mark(log, 2, committed=True, epoch=2 * (number // 15))


def _mark(log: Log, producer_id: int, *, committed: bool, epoch: int) -> None:
    append_marker(log, producer_id, committed=committed, coordinator_epoch=3, leader_epoch=epoch)


async def _write_metadata(fs: FileSystem, data_dir: str) -> bytes:
    """Returns the id of the topic."""
    store = await start_store(fs, data_dir, snapshot_after_bytes=1200)
    await store.submit(CreateTopics([NewTopic(TOPIC, 2, 1)]))
    for number in range(6):
        await store.submit(CreateTopics([NewTopic(f"other-{number}", 1, 1)]))
        await store.submit(DeleteTopics([store.image.topics[f"other-{number}"].topic_id]))
    for _ in range(4):  # so that the partitions' leader epochs go up to 4
        await store.submit(RaiseLeaderEpochs(NODE_ID))
    await store.close()
    return store.image.topics[TOPIC].topic_id


def files_in(fs: MemoryFileSystem, directory: str) -> list[str]:
    """Every file below a directory, in order."""
    found: list[str] = []
    for name in fs.listdir(directory):
        path = f"{directory}/{name}"
        found += files_in(fs, path) if fs.is_dir(path) else [path]
    return found
