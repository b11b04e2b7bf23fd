"""Kafka's DumpLogSegments reads what the batch builder, the codecs and the control records make.

Deep iteration decompresses and parses every record with Kafka's own code, so it is the oracle for codecs that
kafka-python lacks here. The files are written by hand: no broker, no storage code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.compression import Codec
from protocol.control_records import (
    Voter,
    control_batch,
    end_txn_marker,
    kraft_version,
    kraft_voters,
    leader_change,
    snapshot_footer,
    snapshot_header,
)
from protocol.record_builder import build_batch, recompress, rewrite_timestamps
from protocol.records import Record, read_header, set_crc
from tests.support import java
from tests.support.dump_check import assert_dump_clean, problems_in

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

NOW = 1_700_000_000_000


def write_log(directory: Path, batches: list[bytearray], suffix: str = ".log", start: int = 0) -> int:
    """Write `batches` as the log of one partition, offsets assigned in order; return the record count."""
    offset = start
    out = bytearray()
    for batch in batches:
        batch[:8] = offset.to_bytes(8, "big")
        batch[12:16] = (0).to_bytes(4, "big")
        offset = read_header(batch).last_offset + 1
        out += batch
    directory.mkdir(exist_ok=True)
    (directory / f"{start:020d}{suffix}").write_bytes(out)
    return offset - start


def records(count: int) -> list[Record]:
    return [
        Record(
            i,
            NOW + i,
            b"key-%d" % i if i % 4 else None,
            b"text %d " % i * (i % 90),
            (("h", b"1"), ("n", None)),
        )
        for i in range(count)
    ]


def test_every_codec_and_marker(tmp_path: Path) -> None:
    batches = [build_batch(records(n), codec=codec) for codec in Codec for n in (1, 2_000)]
    batches += [recompress(build_batch(records(2_000), codec=a), b) for a in Codec for b in Codec]
    for level in (1, 9, 17):
        batches.append(build_batch(records(500), codec=Codec.LZ4, level=level))
    stamped = build_batch(records(20), codec=Codec.SNAPPY)
    rewrite_timestamps(stamped, log_append_time=True, max_timestamp=NOW + 5_000)
    batches.append(stamped)
    for committed in (True, False):
        batches.append(
            build_batch(records(3), producer_id=7, producer_epoch=1, base_sequence=0, transactional=True)
        )
        batches.append(
            end_txn_marker(
                committed=committed, producer_id=7, producer_epoch=1, coordinator_epoch=2, timestamp_ms=NOW
            )
        )
    count = write_log(tmp_path / "topic-0", batches)
    report = assert_dump_clean([tmp_path])
    assert (report.batches, report.records) == (len(batches), count)


def test_metadata_log_and_snapshot(tmp_path: Path) -> None:
    """Control records of a metadata log, and a whole snapshot of none but control records."""
    voters = kraft_voters([Voter(1, bytes(range(16)), (("CONTROLLER", "127.0.0.1", 9093),), 0, 1)])
    log = [control_batch([leader_change(1, [1], [1])], timestamp_ms=NOW)]
    write_log(tmp_path / "__cluster_metadata-0", log)
    snapshot = [
        control_batch([snapshot_header(NOW), kraft_version(1), voters], timestamp_ms=NOW),
        control_batch([snapshot_footer()], timestamp_ms=NOW),
    ]
    write_log(tmp_path / "__cluster_metadata-0", snapshot, suffix="-0000000001.checkpoint")
    report = assert_dump_clean([tmp_path])
    assert (report.files, report.records) == (2, 2 * (1 + 4)), (
        "each is read deeply and with the metadata decoder"
    )


def test_the_oracle_sees_damage(tmp_path: Path) -> None:
    """A linked-block lz4 frame, which our own decoder reads and Java refuses, must not pass unnoticed."""
    cramjam = pytest.importorskip("cramjam")
    batch = build_batch(records(2_000), codec=Codec.LZ4)
    body = bytes(build_batch(records(2_000))[61:])
    batch[61:] = bytes(cramjam.lz4.compress(body))
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    set_crc(batch)
    write_log(tmp_path / "topic-0", [batch])
    assert problems_in([tmp_path]).problems
