"""A data directory in memory that looks as if Kafka had written it and stopped cleanly, and its like with flaws.

It is written by a node of ours, and then given what Kafka leaves: features of parts that are not here, partitions
without a leader since the broker was fenced, no owner in meta.properties. Whether Kafka's own directories are taken
over is for the compatibility tests; this is for every way in which one can be unfit, and for every crash.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable

from logd.errors import StartupError
from logd.metadata.batches import metadata_batch
from logd.metadata.survey import survey_metadata
from protocol.control_records import ControlRecord, control_batch
from protocol.messages.message import Message
from protocol.messages.records_metadata import (
    AbortTransactionRecord,
    BeginTransactionRecord,
    BrokerRegistrationChangeRecord,
    EndTransactionRecord,
    FeatureLevelRecord,
    NoOpRecord,
    PartitionChangeRecord,
)
from protocol.records import iter_batches, read_header
from protocol.types import Buffer
from storage.directories.clean_shutdown import write_clean_shutdown
from storage.directories.meta_properties import read_meta_properties, write_meta_properties
from storage.fs import FileSystem, OpenMode
from storage.fs.faulty import FaultyFileSystem
from storage.fs.memory import MemoryFileSystem
from tests.support.logs import make_batch
from tests.support.node import TIMEOUT_S, Node

DIRECTORIES = ("/data", "/more")
METADATA = "/data/__cluster_metadata-0"
LOG = f"{METADATA}/{0:020d}.log"
PROPERTIES = (f"log.dirs={','.join(DIRECTORIES)}",)
KAFKA_FEATURES = {"group.version": 1, "transaction.version": 2, "eligible.leader.replicas.version": 1}
PRODUCER_ID = 7
BATCHES = 4
TOPICS = {"t": 3, "kept": 1}


def make_kafka_like(fs: FileSystem) -> None:
    """Write it into /data, which holds the metadata log, and /more."""

    async def write() -> None:
        node = Node(fs, *PROPERTIES)
        async with asyncio.timeout(TIMEOUT_S):
            await node.start()
            client = await node.client()
            for topic, partitions in TOPICS.items():
                configs = {"cleanup.policy": "compact"} if topic == "kept" else {}
                await client.create_topic(topic, partitions=partitions, configs=configs)
                for index in range(partitions):
                    for number in range(BATCHES):
                        await client.produce(topic, index, batch(number))
            await node.stop()

    asyncio.run(write())
    _disguise(fs)


def batch(number: int) -> bytearray:
    """The idempotent producer's batch number `number`, of two records."""
    return make_batch(2, producer_id=PRODUCER_ID, producer_epoch=0, base_sequence=2 * number)


def _disguise(fs: FileSystem) -> None:
    image = survey_metadata(fs, "/data").image
    epoch = image.brokers[1].broker_epoch
    append(fs, [BeginTransactionRecord(), FeatureLevelRecord(name="unknown", feature_level=9)])
    append(fs, [AbortTransactionRecord(reason="never happened")])
    features = [FeatureLevelRecord(name=name, feature_level=level) for name, level in KAFKA_FEATURES.items()]
    append(fs, [BeginTransactionRecord(), *features, EndTransactionRecord(), NoOpRecord()])
    append(
        fs,
        [
            PartitionChangeRecord(
                topic_id=topic.topic_id,
                partition_id=index,
                leader=-1,
                isr=[],
                eligible_leader_replicas=[1],
                last_known_elr=[1],
            )
            for topic in image.topics.values()
            for index in topic.partitions
        ],
    )
    append(fs, [BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=epoch, fenced=1)])
    fs.remove(f"{METADATA}/recovery-point-offset-checkpoint")
    fs.write_atomic(f"/data/t-0/{0:020d}.log.deleted", b"what a cleaner replaced")
    for directory in DIRECTORIES:
        path = f"{directory}/meta.properties"
        properties = read_meta_properties(fs, path)
        assert properties is not None
        write_meta_properties(fs, path, dataclasses.replace(properties, owner=""))
        write_clean_shutdown(fs, directory, epoch)
        fs.write_atomic(f"{directory}/cleaner-offset-checkpoint", b"")


def append(fs: FileSystem, records: Iterable[Message]) -> None:
    """Append one batch of records to the metadata log."""
    base_offset, epoch = _end(fs)
    _write(fs, metadata_batch(records, timestamp_ms=0, base_offset=base_offset, leader_epoch=epoch))


def append_control(fs: FileSystem, record: ControlRecord) -> None:
    base_offset, epoch = _end(fs)
    _write(fs, control_batch([record], timestamp_ms=0, base_offset=base_offset, leader_epoch=epoch))


def _end(fs: FileSystem) -> tuple[int, int]:
    """Log end offset and last epoch of the metadata log."""
    *_, last = map(read_header, iter_batches(fs.read_file(LOG)))
    return last.last_offset + 1, last.leader_epoch


def _write(fs: FileSystem, data: Buffer) -> None:
    file = fs.open(LOG, OpenMode.APPEND)
    file.append(data)
    file.sync()
    file.close()


def files_of(fs: FileSystem) -> dict[str, bytes]:
    """Every file with its content."""
    return {path: fs.read_file(path) for directory in DIRECTORIES for path in _walk(fs, directory)}


def _walk(fs: FileSystem, path: str) -> Iterable[str]:
    for name in fs.listdir(path):
        child = f"{path}/{name}"
        if fs.is_dir(child):
            yield from _walk(fs, child)
        else:
            yield child


def copy_of(files: dict[str, bytes]) -> MemoryFileSystem:
    fs = MemoryFileSystem()
    fill(fs, files)
    return fs


def fill(fs: MemoryFileSystem | FaultyFileSystem, files: dict[str, bytes]) -> None:
    """Put files there, durably."""
    for directory in DIRECTORIES:
        _make(fs, directory)
    for path, content in files.items():
        _make(fs, path.rpartition("/")[0])
        fs.write_atomic(path, content)


def _make(fs: FileSystem, path: str) -> None:
    """Make a directory with those above it, durably."""
    parent = path.rpartition("/")[0]
    if parent:
        _make(fs, parent)
    fs.mkdir(path)
    fs.sync_dir(parent or "/")


def refusal(fs: FileSystem, *properties: str) -> str | None:
    """Start a node and stop it; return why it would not start, None when it did."""

    async def start() -> str | None:
        node = Node(fs, *(properties or PROPERTIES))
        async with asyncio.timeout(TIMEOUT_S):
            try:
                await node.start()
            except StartupError as error:
                return str(error)
            await node.stop()
        return None

    return asyncio.run(start())
