"""Kafka's DumpLogSegments reads from producer snapshots and transaction indexes what was meant.

The log is written directly: transactions that overlap each other and several segments, some committed, some
aborted, one left open, beside a producer that is only idempotent.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from storage import producer_snapshot
from storage.config import LogConfig
from storage.fs.real import RealFileSystem
from storage.log import Log
from tests.support import java
from tests.support.dump_check import assert_dump_clean
from tests.support.logs import append, append_marker, make_batch, open_log

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

BATCH = 3
ROUNDS = 12
IDEMPOTENT_ONLY = 4


def write(log: Log) -> None:
    """Per round: a batch of each producer; then 1 aborts and 2 commits, and 3 aborts every fourth time."""
    for round_number in range(ROUNDS):
        for producer in (1, 2, 3, IDEMPOTENT_ONLY):
            append(
                log,
                make_batch(
                    BATCH,
                    size=100,
                    producer_id=producer,
                    producer_epoch=0,
                    base_sequence=round_number * BATCH,
                    transactional=producer != IDEMPOTENT_ONLY,
                ),
                leader_epoch=5,
            )
        if round_number < ROUNDS - 1:
            mark(log, 1, committed=False)
            mark(log, 2, committed=True)
        if round_number % 4 == 3:
            mark(log, 3, committed=False)


def mark(log: Log, producer_id: int, *, committed: bool) -> None:
    append_marker(log, producer_id, committed=committed, coordinator_epoch=9, leader_epoch=5)


@pytest.fixture(scope="module")
def partition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data") / "t-0"
    log, _ = open_log(RealFileSystem(), LogConfig(segment_bytes=4096), directory=str(directory))
    write(log)
    log.close()
    return directory


def dump(*paths: Path) -> list[dict[str, str]]:
    """The fields of each line that the tool prints about an entry."""
    output = java.KAFKA.run(
        "org.apache.kafka.tools.DumpLogSegments", "--files", ",".join(map(str, paths))
    ).stdout
    return [dict(re.findall(r"(\w+): (\S+)", line)) for line in output.splitlines() if "producerId" in line]


def test_every_file_is_clean(partition: Path) -> None:
    assert len(list(partition.glob("*.txnindex"))) > 2
    report = assert_dump_clean([partition.parent])
    assert report.batches == 4 * ROUNDS + 2 * (ROUNDS - 1) + 3


def test_the_tool_reads_every_field_of_a_snapshot(partition: Path) -> None:
    newest = sorted(partition.glob("*.snapshot"))[-1]
    entries = producer_snapshot.decode(newest.read_bytes())
    assert len(entries) == 4
    assert dump(newest) == [
        {
            "producerId": str(entry.producer_id),
            "producerEpoch": str(entry.epoch),
            "coordinatorEpoch": str(entry.coordinator_epoch),
            "currentTxnFirstOffset": "OptionalLong.empty"
            if entry.txn_first_offset < 0
            else f"OptionalLong[{entry.txn_first_offset}]",
            "lastTimestamp": str(entry.timestamp_ms),
            "firstSequence": str(entry.last_sequence - BATCH + 1),
            "lastSequence": str(entry.last_sequence),
            "lastOffset": str(entry.last_offset),
            "offsetDelta": str(entry.offset_delta),
            "timestamp": str(entry.timestamp_ms),
        }
        for entry in entries
    ]
    assert [entry.txn_first_offset >= 0 for entry in entries] == [True, True, False, False]


def test_the_tool_reads_the_aborted_transactions_that_the_log_tells_of(partition: Path) -> None:
    listed = dump(*sorted(partition.glob("*.txnindex")))
    log, _ = open_log(RealFileSystem(), directory=str(partition))
    told = log.aborted_transactions(0, log.log_end_offset)
    log.release()
    assert len(told) == ROUNDS - 1 + 3
    assert [(int(entry["producerId"]), int(entry["firstOffset"])) for entry in listed] == told
