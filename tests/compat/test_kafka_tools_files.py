"""kafka-dump-log on the files of a broker that was stopped in an orderly way: logs, indexes, metadata, snapshots.

Method: a broker is told known things; when it has stopped the tool, which is Kafka's and unchanged, prints what is in
the files. Whether files are clean everywhere else, test_dump_log_segments.py
and the end of every test session ask.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.compat.conftest import start_target
from tests.compat.scenarios import T0
from tests.support import java
from tests.support.clients.confluent import ConfluentClient
from tests.support.clients.port import Message
from tests.support.kafka_tools import KafkaTools
from tests.support.patience import wait_until

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

TOPIC = "history"
DELETED = "gone"
BATCHES = 20
PER_BATCH = 30
IDEMPOTENT = 3
"""So many of the first batches, each by a producer of its own."""
OFTEN = {"metadata.log.max.record.bytes.between.snapshots": "2000"}
_FIRST = "00000000000000000000"
_RECORD = re.compile(
    r"\| offset: (\d+) CreateTime: (\d+) keySize: (-?\d+) valueSize: (-?\d+) sequence: (-?\d+) .*"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, written: list[Path]) -> Path:
    """The data directory that a stopped broker left."""
    with start_target(tmp_path_factory.mktemp("files")) as running:
        client = ConfluentClient(running.bootstrap)
        client.create_topic(TOPIC, configs={"index.interval.bytes": "1000"})
        for batch in range(BATCHES):
            sent = [
                Message(b"k%d" % number, b"v" * 100, T0 + batch * 1000 + number, (("h", b"1"),))
                for number in range(PER_BATCH)
            ]
            client.produce(TOPIC, sent, codec="zstd" if batch % 2 else "none", idempotent=batch < IDEMPOTENT)
        client.create_topic(DELETED, partitions=3)
        client.delete_topic(DELETED)
    written.append(running.data_dir)
    return running.data_dir


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory, written: list[Path]) -> Path:
    """The last snapshot of a broker that takes one for every few topics."""
    directory = tmp_path_factory.mktemp("snapshot")
    with start_target(directory, properties=OFTEN) as running:
        metadata = running.data_dir / "__cluster_metadata-0"
        client = ConfluentClient(running.bootstrap)
        client.create_topic(DELETED, partitions=30)
        client.delete_topic(DELETED)
        client.create_topic(TOPIC, partitions=30, configs={"index.interval.bytes": "1000"})
        wait_until(lambda: len(metadata_snapshots(metadata)) > 0)
        before = metadata_snapshots(metadata)
        client.create_topic(f"{TOPIC}.2", partitions=30)
        wait_until(lambda: metadata_snapshots(metadata) != before)
        # As it is now: before it lets a broker stop, Kafka takes its leaders from it.
        copied = Path(shutil.copy(metadata_snapshots(metadata)[-1], directory))
    written.append(running.data_dir)
    return copied


def metadata_snapshots(directory: Path) -> list[Path]:
    """Return those of the broker's life; Kafka begins with one that holds its first records."""
    return [each for each in sorted(directory.glob("*.checkpoint")) if not each.name.startswith(_FIRST)]


def dump(tool: KafkaTools, *arguments: str | Path) -> list[str]:
    ran = tool("kafka-dump-log", *map(str, arguments))
    assert ran.stderr == ""
    return ran.lines


def test_records(tool: KafkaTools, data: Path) -> None:
    """Every record, inside compressed batches, too."""
    lines = dump(
        tool, "--deep-iteration", "--print-data-log", "--files", data / f"{TOPIC}-0" / f"{_FIRST}.log"
    )
    assert lines[1] == "Log starting offset: 0"
    batches = [line for line in lines if line.startswith("baseOffset: ")]
    assert all(" isvalid: true" in line for line in batches)
    assert {line.split("compresscodec: ")[1].split()[0] for line in batches} == {"none", "zstd"}
    records = [line for line in lines if line.startswith("| offset: ")]
    assert len(records) == BATCHES * PER_BATCH
    for offset, line in enumerate(records):
        batch, number = divmod(offset, PER_BATCH)
        match = _RECORD.fullmatch(line)
        assert match is not None, line
        assert match.groups()[:2] == (str(offset), str(T0 + batch * 1000 + number))
        assert f"headerKeys: [h] key: k{number} payload: {'v' * 100}" in line


@pytest.mark.parametrize("check", ["--index-sanity-check", "--verify-index-only", "--print-data-log"])
def test_indexes(tool: KafkaTools, data: Path, check: str) -> None:
    """The tool complains of entries that point nowhere, of times out of order, of sizes that are wrong."""
    partition = data / f"{TOPIC}-0"
    for name in (f"{_FIRST}.index", f"{_FIRST}.timeindex"):
        lines = dump(tool, check, "--files", partition / name)
        text = "\n".join(lines)
        assert not re.search("mismatch|out of order|not found|exceeds|corrupt", text, re.IGNORECASE), text
        if check == "--index-sanity-check":
            assert f"{partition / name} passed sanity check." in lines


def test_index_entries(tool: KafkaTools, data: Path) -> None:
    """Both indexes have an entry for nearly every batch, in order."""
    partition = data / f"{TOPIC}-0"
    offsets = numbers(r"offset: (\d+) position: (\d+)", dump(tool, "--files", partition / f"{_FIRST}.index"))
    assert len(offsets) >= BATCHES // 2
    assert offsets == sorted(offsets)
    times = numbers(
        r"timestamp: (\d+) offset: (\d+)", dump(tool, "--files", partition / f"{_FIRST}.timeindex")
    )
    assert len(times) >= BATCHES // 2
    assert times == sorted(times)
    assert times[-1] == (T0 + (BATCHES - 1) * 1000 + PER_BATCH - 1, BATCHES * PER_BATCH - 1)


def test_producer_snapshot(tool: KafkaTools, data: Path) -> None:
    """Each producer with the last sequence that it wrote."""
    (snapshot,) = (data / f"{TOPIC}-0").glob("*.snapshot")
    lines = [line for line in dump(tool, "--files", snapshot) if line.startswith("producerId: ")]
    assert len(lines) == IDEMPOTENT
    for line in lines:
        assert f"lastSequence: {PER_BATCH - 1} " in line
        assert " producerEpoch: 0 " in line


def test_metadata_log(tool: KafkaTools, data: Path) -> None:
    """Kafka's decoder knows every record, and the topics come and go in it as they did."""
    records = metadata(tool, data / "__cluster_metadata-0" / f"{_FIRST}.log")
    kinds = Counter(record["type"] for record in records)
    assert kinds["REGISTER_BROKER_RECORD"] == 1
    topics = {r["data"]["name"]: r["data"]["topicId"] for r in records if r["type"] == "TOPIC_RECORD"}
    assert {TOPIC, DELETED} <= topics.keys()
    removed = [r["data"]["topicId"] for r in records if r["type"] == "REMOVE_TOPIC_RECORD"]
    assert removed == [topics[DELETED]]
    partitions = Counter(r["data"]["topicId"] for r in records if r["type"] == "PARTITION_RECORD")
    assert (partitions[topics[TOPIC]], partitions[topics[DELETED]]) == (1, 3)
    (config,) = (r["data"] for r in records if r["data"].get("resourceName") == TOPIC)
    assert (config["name"], config["value"]) == ("index.interval.bytes", "1000")
    assert kinds["PRODUCER_IDS_RECORD"] >= 1


def test_metadata_snapshot(tool: KafkaTools, snapshot: Path) -> None:
    """A snapshot holds what is left: of the topic that was deleted nothing."""
    records = metadata(tool, snapshot)
    topics = {r["data"]["name"]: r["data"]["topicId"] for r in records if r["type"] == "TOPIC_RECORD"}
    assert TOPIC in topics
    assert DELETED not in topics
    partitions = [
        r["data"]
        for r in records
        if r["type"] == "PARTITION_RECORD" and r["data"]["topicId"] == topics[TOPIC]
    ]
    assert [each["partitionId"] for each in partitions] == list(range(30))
    assert all((each["replicas"], each["isr"], each["leader"]) == ([1], [1], 1) for each in partitions)
    (config,) = (r["data"] for r in records if r["data"].get("resourceName") == TOPIC)
    assert (config["name"], config["value"]) == ("index.interval.bytes", "1000")


def metadata(tool: KafkaTools, path: Path) -> list[dict[str, Any]]:
    lines = dump(tool, "--cluster-metadata-decoder", "--skip-record-metadata", "--files", path)
    assert not any("Error" in line or "could not" in line.lower() for line in lines)
    return [json.loads(line[line.index("{") :]) for line in lines if '"type":"' in line]


def numbers(pattern: str, lines: list[str]) -> list[tuple[int, int]]:
    found = (re.fullmatch(pattern, line) for line in lines)
    return [(int(match.group(1)), int(match.group(2))) for match in found if match]
