"""Kafka's DumpLogSegments on a metadata log and snapshot of ours: nothing is wrong, and it reads what we meant.

Method: a store on real files lives through restarts, deletions and a snapshot; then the tool decodes every record.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from logd.metadata.files import METADATA_DIRECTORY
from logd.metadata.log import MetadataLog
from protocol.types import uuid_to_str
from replication.metadata_commands import (
    AllocateProducerIds,
    CreateTopics,
    DeleteTopics,
    NewTopic,
    RaiseLeaderEpochs,
)
from storage.fs.real import RealFileSystem
from tests.support import java
from tests.support.dump_check import assert_dump_clean
from tests.support.metadata_store import NODE_ID, start_store

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]


async def live(data_dir: Path, *, snapshot_after_bytes: int) -> MetadataLog:
    """Three starts of a node; returns the store of the last, closed."""
    for start in range(3):
        store = await start_store(
            RealFileSystem(), str(data_dir), seed=start, snapshot_after_bytes=snapshot_after_bytes
        )
        await store.submit(RaiseLeaderEpochs(NODE_ID))
        for number in range(4):
            name = f"topic.{start}-{number}"
            topic = NewTopic(name, 3, 1, configs=(("retention.ms", "1000"), ("cleanup.policy", "delete")))
            await store.submit(CreateTopics([topic]))
        await store.submit(DeleteTopics([store.image.topics[f"topic.{start}-0"].topic_id]))
        await store.submit(AllocateProducerIds(NODE_ID))
        await store.close()
    return store


def dumped(path: Path) -> list[dict[str, Any]]:
    """Return the payload of every metadata record in a file, as Kafka reads it."""
    output = java.KAFKA.run(
        "org.apache.kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", str(path)
    ).stdout
    return [json.loads(line.split("payload: ", 1)[1]) for line in output.splitlines() if "payload: " in line]


def test_kafka_reads_log_and_bootstrap_file(tmp_path: Path) -> None:
    asyncio.run(live(tmp_path, snapshot_after_bytes=1 << 20))
    assert assert_dump_clean([tmp_path]).problems == ()
    records = dumped(tmp_path / METADATA_DIRECTORY / "00000000000000000000.log")
    kinds = Counter(record["type"] for record in records)
    assert kinds == {
        "FEATURE_LEVEL_RECORD": 3,
        "REGISTER_BROKER_RECORD": 3,
        "BROKER_REGISTRATION_CHANGE_RECORD": 3,
        "TOPIC_RECORD": 12,
        "CONFIG_RECORD": 24,
        "PARTITION_RECORD": 36,
        "PARTITION_CHANGE_RECORD": 9 + 18,
        "REMOVE_TOPIC_RECORD": 3,
        "PRODUCER_IDS_RECORD": 3,
    }
    change = next(record for record in records if record["type"] == "PARTITION_CHANGE_RECORD")
    assert change["data"]["leader"] == NODE_ID
    bootstrap = tmp_path / "00000000000000000000-0000000000.checkpoint"
    (tmp_path / "bootstrap.checkpoint").rename(bootstrap)  # the tool goes by the name
    assert [record["data"] for record in dumped(bootstrap)] == [
        {"name": "metadata.version", "featureLevel": 30}
    ]


def test_kafka_reads_a_snapshot_as_the_image_that_it_holds(tmp_path: Path) -> None:
    store = asyncio.run(live(tmp_path, snapshot_after_bytes=4000))
    assert assert_dump_clean([tmp_path]).problems == ()
    (snapshot,) = (tmp_path / METADATA_DIRECTORY).glob("*.checkpoint")
    (log,) = (tmp_path / METADATA_DIRECTORY).glob("*.log")
    topics: dict[str, str] = {}
    partitions: Counter[str] = Counter()
    for record in dumped(snapshot) + dumped(log):
        data = record["data"]
        match record["type"]:
            case "TOPIC_RECORD":
                topics[data["topicId"]] = data["name"]
            case "PARTITION_RECORD":
                partitions[data["topicId"]] += 1
            case "REMOVE_TOPIC_RECORD":
                del topics[data["topicId"]]
                del partitions[data["topicId"]]
    assert topics == {uuid_to_str(topic.topic_id): name for name, topic in store.image.topics.items()}
    assert set(partitions.values()) == {3}
    assert partitions.keys() == topics.keys()
