"""Goal: `logd dump` and Kafka's DumpLogSegments say the same of the same files, written by logd and by Kafka 4.3.1.

Method: both read every segment, index, transaction index and producer snapshot of a directory; what each says of
offsets, counts, producers, sequences and entries is put side by side. Besides, `--verify` finds nothing wrong with what
a real Kafka wrote: compacted topics, transactions, groups, while it runs and after.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from logd.dump.file_rows import file_rows
from logd.dump.finding import Finding, Report, Severity
from logd.dump.kinds import Kind, kind_of_file
from logd.dump.segment_rows import BatchSelection
from logd.dump.verify import verify
from logd.dump.verify_context import DirectoryState, VerifyOptions
from storage.fs.real import RealFileSystem
from tests.support import java
from tests.support.commits import commit
from tests.support.kafka_broker import KafkaBroker
from tests.support.producers import init_transactions
from tests.support.stopped_directory import write_stopped_directory

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

KEYS = 5
"""Of the compacted topic."""
Facts = dict[str, Any]
_NUMBERS = re.compile(r"(\w+): (-?\d+|true|false|[A-Z]\w*)")
# The name that Kafka's tool has for a field of a batch, and ours.
BATCH_FIELDS = {
    "baseOffset": "base_offset",
    "lastOffset": "last_offset",
    "count": "record_count",
    "baseSequence": "base_sequence",
    "lastSequence": "last_sequence",
    "producerId": "producer_id",
    "producerEpoch": "producer_epoch",
    "partitionLeaderEpoch": "leader_epoch",
    "isTransactional": "transactional",
    "isControl": "control",
    "position": "position",
    "size": "size_bytes",
    "crc": "crc",
}


def kafka_lines(paths: Iterable[Path]) -> dict[Path, list[Facts]]:
    """What the tool prints of each file: one dictionary for each line with numbers in it. One JVM reads them all."""
    files = ",".join(map(str, paths))
    output = java.KAFKA.run("org.apache.kafka.tools.DumpLogSegments", "--files", files).stdout
    found: dict[Path, list[Facts]] = {}
    for line in output.splitlines():
        if line.startswith("Dumping "):
            current = found[Path(line.removeprefix("Dumping "))] = []
        elif facts := _NUMBERS.findall(line):
            current.append({name: _value(text) for name, text in facts})
    return found


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def our_rows(path: Path) -> list[Facts]:
    return list(file_rows(RealFileSystem(), str(path), kind_of_file(path.name), BatchSelection()))


def batches_agree(path: Path, lines: list[Facts]) -> int:
    theirs = [line for line in lines if "baseOffset" in line]
    ours = our_rows(path)
    assert [row["kind"] for row in ours] == ["batch"] * len(theirs)
    for line, row in zip(theirs, ours, strict=True):
        assert {ours: line[theirs] for theirs, ours in BATCH_FIELDS.items()} == {
            ours: row[ours] for ours in BATCH_FIELDS.values()
        }
    return len(ours)


def entries_agree(path: Path, lines: list[Facts], fields: dict[str, str]) -> int:
    theirs = [tuple(line[name] for name in fields) for line in lines if set(fields) <= line.keys()]
    ours = [tuple(row[name] for name in fields.values()) for row in our_rows(path)]
    if kind_of_file(path.name) is Kind.TIME_INDEX and not ours:
        assert theirs in ([], [(-1, 0)])
        return 0
    assert theirs == ours, path
    return len(ours)


#: What is compared of a file of entries: the name that Kafka's tool has for a field, and ours.
ENTRY_FIELDS = {
    Kind.OFFSET_INDEX: {"offset": "offset", "position": "position"},
    Kind.TIME_INDEX: {"timestamp": "timestamp_ms", "offset": "offset"},
    Kind.TXN_INDEX: {
        "producerId": "producer_id",
        "firstOffset": "first_offset",
        "lastOffset": "last_offset",
        "lastStableOffset": "last_stable_offset",
    },
    Kind.PRODUCER_SNAPSHOT: {
        "producerId": "producer_id",
        "producerEpoch": "epoch",
        "lastTimestamp": "timestamp_ms",
        "coordinatorEpoch": "coordinator_epoch",
    },
}


def files_agree(directory: Path) -> Counter[Kind]:
    """How many batches and entries both tools agree on, by kind of file."""
    paths = [path for path in sorted(directory.iterdir()) if is_compared(path)]
    lines = kafka_lines(paths)
    agreed: Counter[Kind] = Counter()
    for path in paths:
        kind = kind_of_file(path.name)
        if kind is Kind.SEGMENT:
            agreed[kind] += batches_agree(path, lines[path])
        else:
            agreed[kind] += entries_agree(path, lines[path], ENTRY_FIELDS[kind])
    return agreed


def is_compared(path: Path) -> bool:
    kind = kind_of_file(path.name)
    if kind in (Kind.OFFSET_INDEX, Kind.TIME_INDEX):
        return path.stat().st_size > 0  # the tool stumbles over an empty one
    return kind is Kind.SEGMENT or kind in ENTRY_FIELDS


def findings_in(path: Path, **options: bool) -> tuple[list[Finding], Report, DirectoryState]:
    findings: list[Finding] = []
    report = Report(findings.append)
    state = verify(RealFileSystem(), str(path), report, VerifyOptions(**options))
    return findings, report, state


def test_both_read_the_same_from_what_logd_wrote(tmp_path: Path) -> None:
    write_stopped_directory(RealFileSystem(), str(tmp_path))
    agreed = files_agree(tmp_path / "orders-0")
    assert min(agreed[kind] for kind in (Kind.SEGMENT, Kind.OFFSET_INDEX, Kind.TIME_INDEX)) > 20
    assert min(agreed[kind] for kind in (Kind.TXN_INDEX, Kind.PRODUCER_SNAPSHOT)) > 3


@pytest.fixture(scope="module")
def kafka_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a Kafka that was stopped in order; verified once while it still ran."""
    directory = tmp_path_factory.mktemp("kafka")
    quick_cleaner = {"log.cleaner.backoff.ms": "200", "log.cleaner.min.cleanable.ratio": "0.01"}
    with KafkaBroker(directory, heap="512M", properties=quick_cleaner) as kafka:
        _write(kafka.bootstrap)
        findings, _, state = findings_in(kafka.data_dir)
        assert all(finding.severity is Severity.NOTE for finding in findings), findings
        assert state is DirectoryState.RUNNING
        _wait_for_the_cleaner(kafka.data_dir)
        kafka.stop()
    yield kafka.data_dir


def _wait_for_the_cleaner(data_dir: Path) -> None:
    """Until it has been over more records than there are keys."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            rows = (data_dir / "cleaner-offset-checkpoint").read_text().splitlines()
            if any(row.startswith("compacted 0 ") and int(row.split()[-1]) > 2 * KEYS for row in rows):
                return
        time.sleep(0.1)
    raise TimeoutError("nothing was compacted")


def _write(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    small = {"segment.bytes": "1048576", "index.interval.bytes": "1000"}
    compacted = {"cleanup.policy": "compact", "segment.ms": "300", "min.cleanable.dirty.ratio": "0.01"}
    topics = [NewTopic("plain", 1, config=small), NewTopic("compacted", 1, config=small | compacted)]
    for future in admin.create_topics(topics).values():
        future.result(30)
    plain = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 0})
    transactional = Producer({"bootstrap.servers": bootstrap, "transactional.id": "t"})
    init_transactions(transactional)
    for number in range(40):
        for _ in range(40):
            plain.produce("plain", b"v" * 1500, key=b"%d" % number)
        plain.flush(30)
        plain.produce("compacted", b"v%d" % number, key=b"%d" % (number % KEYS))
        plain.flush(30)
        if number % 8 == 0:
            transactional.begin_transaction()
            transactional.produce("plain", b"in a transaction")
            transactional.flush(30)
            end = transactional.abort_transaction if number % 16 else transactional.commit_transaction
            end(30)
            time.sleep(0.4)  # for segments to age and be cleaned
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "enable.auto.commit": False})
    commit(consumer, [TopicPartition("plain", 0, 7)])
    consumer.close()


@pytest.mark.parametrize("partition", ["plain-0", "compacted-0", "__cluster_metadata-0"])
def test_both_read_the_same_from_what_kafka_wrote(kafka_data: Path, partition: str) -> None:
    assert files_agree(kafka_data / partition)[Kind.SEGMENT] > 5


def test_nothing_is_wrong_with_what_kafka_wrote(kafka_data: Path) -> None:
    findings, report, state = findings_in(kafka_data)
    assert all(each.severity is Severity.NOTE and each.path.endswith(".deleted") for each in findings), (
        findings
    )
    assert state is DirectoryState.CLEAN
    assert report.partitions == 11  # 2 topics, 4 of offsets, 4 of transactions, the metadata
    assert report.records > 1600


def test_a_cleaner_was_at_work(kafka_data: Path) -> None:
    """So that the silence above says something of gaps, too."""
    logs = sorted((kafka_data / "compacted-0").glob("*.log"))
    rows = [row for log in logs for row in our_rows(log)]
    assert sum(row["record_count"] for row in rows) < rows[-1]["last_offset"] + 1


def test_records_of_internal_topics_say_what_they_are(kafka_data: Path) -> None:
    payloads = [
        row["payload"]
        for path in sorted(kafka_data.glob("__*-*/*.log")) + sorted(kafka_data.glob("*.checkpoint"))
        for row in file_rows(
            RealFileSystem(), str(path), kind_of_file(path.name), BatchSelection(records=True)
        )
        if row["kind"] == "record"
    ]
    assert not [payload for payload in payloads if "undecoded" in payload]
    kinds = {payload["type"] for payload in payloads}
    assert {
        "OffsetCommit",
        "TransactionLog",
        "TopicRecord",
        "PartitionRecord",
        "LEADER_CHANGE",
        "NoOpRecord",
    } <= kinds
    (commit,) = [payload for payload in payloads if payload["type"] == "OffsetCommit" and payload["data"]]
    assert commit["key"] == {"group": "g", "topic": "plain", "partition": 0}
    assert commit["data"]["offset"] == 7
    transactions = [payload for payload in payloads if payload["type"] == "TransactionLog"]
    assert {payload["key"]["transactionalId"] for payload in transactions} == {"t"}
