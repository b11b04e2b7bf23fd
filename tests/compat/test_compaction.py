"""The same dirty directory, compacted by Kafka and by logd, keeps the same records, and Kafka serves what logd left.

Kafka writes: keys over and over, tombstones, transactions that commit and abort, every codec, an idempotent producer.
It is stopped before it compacts; a copy of its partition is compacted by logd, the original by Kafka. Then again, with
more written, once the delete horizons of the first pass have passed. In the end logd's files take the place of Kafka's,
and Kafka is asked for the records.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from protocol.records import Record, iter_batches, iter_records, read_header
from storage.checkpoint import CLEANER_OFFSETS, RECOVERY_POINTS, read_offsets
from storage.config import LogConfig
from storage.fs import has_content
from storage.fs.real import RealFileSystem
from storage.log import Log
from tests.support import java
from tests.support.clients.port import CODECS
from tests.support.compaction import clean_once
from tests.support.dump_check import problems_in
from tests.support.kafka_broker import KafkaBroker
from tests.support.logs import open_log
from tests.support.producers import init_transactions

pytestmark = [
    pytest.mark.java,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

TOPIC = "table"
SEGMENT_BYTES = 1 << 20
SETTINGS = {
    "cleanup.policy": "compact",
    "segment.bytes": str(SEGMENT_BYTES),
    "min.cleanable.dirty.ratio": "1",
    "delete.retention.ms": "1",
}
BROKER = {"log.cleaner.backoff.ms": "100", "transaction.state.log.min.isr": "1"}
FS = RealFileSystem()
_EXPECTED = re.compile(
    r"Non-consecutive offsets|is followed by|timeindex: Found timestamp mismatch|log timestamp: -1"
)
_PATIENCE_S = 180
"""With Kafka, on a machine that has other things to do."""


class BatchFacts(NamedTuple):
    """What a compacted batch must have in common, whoever compacted it."""

    base_offset: int
    last_offset: int
    leader_epoch: int
    attributes: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: tuple[Record, ...]


def kafka(tmp_path: Path) -> KafkaBroker:
    """Kafka on its directory."""
    return KafkaBroker(tmp_path / "kafka", properties=BROKER, start_timeout_s=_PATIENCE_S)


def write(bootstrap: str, choose: random.Random, table: dict[bytes, bytes | None]) -> None:
    """Several segments of everything; `table` is kept up with what was committed."""
    for number in range(6):
        for codec in CODECS:
            settings = {"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 5}
            if number % 3 == 0:
                _produce(Producer(settings), choose, table)
            elif number % 3 == 1:
                _produce(Producer({**settings, "enable.idempotence": True}), choose, table)
            else:
                _transactions(Producer({**settings, "transactional.id": f"t-{codec}"}), choose, table)


def _produce(producer: Any, choose: random.Random, table: dict[bytes, bytes | None]) -> None:
    for _ in range(300):
        key = b"key %d" % choose.randrange(150)
        value = None if choose.random() < 0.1 else choose.randbytes(choose.choice((10, 300, 900)))
        producer.produce(TOPIC, value, key, headers=[("h", b"1")] if choose.random() < 0.1 else None)
        table[key] = value
    producer.flush()


def _transactions(producer: Any, choose: random.Random, table: dict[bytes, bytes | None]) -> None:
    init_transactions(producer)
    for outcome in ("commit", "abort", "commit", "abort"):
        producer.begin_transaction()
        inside: dict[bytes, bytes | None] = {}
        _produce(producer, choose, inside)
        if outcome == "commit":
            producer.commit_transaction()
            table.update(inside)
        else:
            producer.abort_transaction()


def compact_by_kafka(running: KafkaBroker) -> int:
    """Has Kafka compact the topic; returns the first dirty offset afterwards."""
    partition = running.data_dir / f"{TOPIC}-0"
    active = max(int(path.stem) for path in partition.glob("*.log"))
    _set_ratio(running.bootstrap, "0.001")
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        path = str(running.data_dir / CLEANER_OFFSETS)
        offsets = read_offsets(FS, path) if has_content(FS, path) else {}
        for (topic, _), offset in offsets.items():
            if topic == TOPIC and offset >= active:
                _set_ratio(running.bootstrap, "1")
                return offset
        time.sleep(0.1)
    raise TimeoutError(f"Kafka does not compact\n{running.output()[-2000:]}")


def _set_ratio(bootstrap: str, ratio: str) -> None:
    entry = ConfigEntry("min.cleanable.dirty.ratio", ratio, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 1000 * _PATIENCE_S})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(_PATIENCE_S)


def compact_by_logd(source: Path, target: Path, first_dirty: int | None) -> Log:
    """A pass over a copy of a stopped Kafka's partition, as the settings of the topic want it."""
    shutil.copytree(source, target)
    recovery_points = read_offsets(FS, str(source.parent / RECOVERY_POINTS))
    (end,) = (offset for (topic, _), offset in recovery_points.items() if topic == TOPIC)
    config = LogConfig(
        cleanup_policy=frozenset({"compact"}), segment_bytes=SEGMENT_BYTES, delete_retention_ms=1
    )
    log, _ = open_log(FS, config, recovery_point=end, directory=str(target))
    _, removals = clean_once(FS, log, first_dirty, log.log_end_offset, time.time_ns() // 1_000_000)
    for removal in removals:
        removal.run()
    log.close()
    return log


def facts(partition: Path) -> list[BatchFacts]:
    """All batches of a partition, but for the time of delete horizons, which is the clock's."""
    found = []
    for path in sorted(partition.glob("*.log")):
        for batch in iter_batches(path.read_bytes()):
            header = read_header(batch)
            found.append(
                BatchFacts(
                    header.base_offset,
                    header.last_offset,
                    header.leader_epoch,
                    header.attributes,
                    header.max_timestamp,
                    header.producer_id,
                    header.producer_epoch,
                    header.base_sequence,
                    tuple(iter_records(batch)),
                )
            )
    return found


def _check_files(ours: Path, kafkas: Path) -> None:
    """DumpLogSegments says of logd's files what it says of Kafka's: that offsets are missing, and that a batch to which
    a time index points has no records any more.
    """
    of_ours, of_kafkas = (problems_in([path.parent]).problems for path in (ours, kafkas))
    for problems in (of_ours, of_kafkas):
        assert any("is followed by" in problem for problem in problems)
    assert [problem for problem in of_ours if not _EXPECTED.search(problem)] == []


def consume(bootstrap: str) -> dict[bytes, bytes | None]:
    """The table that a consumer of committed records builds."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "compaction",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([Place(TOPIC, 0, 0)])
    table = {}
    while (message := consumer.poll(_PATIENCE_S)) is not None and message.error() is None:
        table[message.key()] = message.value()
    assert message is not None, "no end in sight"
    consumer.close()
    return table


def rows(table: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    return {key: value for key, value in table.items() if value is not None}


def test_logd_and_kafka_keep_the_same(tmp_path: Path) -> None:
    choose = random.Random(11)
    table: dict[bytes, bytes | None] = {}
    original = tmp_path / "kafka" / "data" / f"{TOPIC}-0"
    first_dirty: int | None = None
    with kafka(tmp_path) as running:
        admin = AdminClient({"bootstrap.servers": running.bootstrap})
        admin.create_topics([NewTopic(TOPIC, 1, 1, config=SETTINGS)])[TOPIC].result(_PATIENCE_S)
        write(running.bootstrap, choose, table)
    for number in range(2):
        ours = tmp_path / f"logd-{number}" / f"{TOPIC}-0"
        before = facts(original)
        log = compact_by_logd(original, ours, first_dirty)
        with kafka(tmp_path) as running:
            first_dirty = compact_by_kafka(running)
            if number == 0:
                time.sleep(0.1)  # beyond the delete horizons
                rest = facts(original)
                write(running.bootstrap, choose, table)
            else:
                rest = facts(original)
        active = log.segments[-1].base_offset
        cleaned = [batch for batch in facts(ours) if batch.base_offset < active]
        assert len(cleaned) < len(before)
        assert cleaned == [batch for batch in rest if batch.base_offset < active]
        _check_files(ours, original)

    # Kafka on logd's files.
    shutil.rmtree(original)
    shutil.copytree(ours, original)
    with kafka(tmp_path) as running:
        assert rows(consume(running.bootstrap)) == rows(table)
