"""Metadata batches, snapshots and side files against files that Apache Kafka 4.3.1 wrote.

`kafka_files` comes from one node: `kafka-storage format`, a start, topic alpha (3 partitions, retention.ms
1000) and topic beta created, an idempotent producer, beta deleted, a stop.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.metadata.batches import metadata_batch, read_metadata_batch
from logd.metadata.files import (
    ensure_bootstrap,
    read_quorum_epoch,
    read_recovery_point,
    write_quorum_state,
    write_recovery_point,
)
from logd.metadata.snapshot import SnapshotId, read_snapshot, snapshot_batches, snapshots_in
from protocol.control_records import control_batch, leader_change
from protocol.messages.records_metadata import (
    BeginTransactionRecord,
    EndTransactionRecord,
    FeatureLevelRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    TopicRecord,
)
from protocol.records import iter_batches, iter_records, read_header
from replication.features import bootstrap_records
from replication.metadata_image import MetadataDelta, MetadataImage, UnusableMetadata
from replication.metadata_records import decode_record, encode_record
from storage.errors import CorruptLog
from storage.fs.memory import MemoryFileSystem

FILES = Path(__file__).parent / "kafka_files"
KAFKA_LOG = (FILES / "kafka-4.3.1.log").read_bytes()
KAFKA_BOOTSTRAP = (FILES / "kafka-4.3.1-bootstrap.checkpoint").read_bytes()


def kafka_batches() -> list[memoryview]:
    return list(iter_batches(KAFKA_LOG))


def test_every_record_that_kafka_wrote_is_read_and_written_as_kafka_wrote_it() -> None:
    kinds = set()
    for batch in kafka_batches():
        if read_header(batch).is_control:
            continue
        for record in iter_records(batch):
            assert record.value is not None
            decoded = decode_record(record.value)
            kinds.add(type(decoded))
            version = record.value[2]  # frame version, type and version are one byte each
            written = encode_record(decoded)
            if written[2] == version:
                assert written == record.value
            assert decode_record(written) == decoded
    assert kinds >= {
        FeatureLevelRecord,
        RegisterBrokerRecord,
        TopicRecord,
        PartitionRecord,
        PartitionChangeRecord,
        ProducerIdsRecord,
    }


def test_written_versions_are_those_that_kafka_writes_at_our_feature_level() -> None:
    for batch in kafka_batches():
        if not read_header(batch).is_control:
            for record in iter_records(batch):
                assert record.value is not None
                decoded = decode_record(record.value)
                if isinstance(
                    decoded, RegisterBrokerRecord | PartitionRecord | PartitionChangeRecord | TopicRecord
                ):
                    assert encode_record(decoded)[:3] == record.value[:3]


def test_the_leader_change_is_kafkas_byte_for_byte() -> None:
    first = kafka_batches()[0]
    header = read_header(first)
    ours = control_batch(
        [leader_change(1, [1], [1])],
        timestamp_ms=header.base_timestamp,
        base_offset=0,
        leader_epoch=header.leader_epoch,
    )
    assert ours == first


def test_a_metadata_batch_is_kafkas_byte_for_byte() -> None:
    (created,) = (
        batch
        for batch in kafka_batches()
        if any(
            isinstance(record, TopicRecord) and record.name == "alpha"
            for _, record in read_metadata_batch(batch)
        )
    )
    header = read_header(created)
    ours = metadata_batch(
        [record for _, record in read_metadata_batch(created)],
        timestamp_ms=header.base_timestamp,
        base_offset=header.base_offset,
        leader_epoch=header.leader_epoch,
    )
    assert ours == created


def test_kafkas_log_gives_the_topic_that_was_left() -> None:
    image = MetadataImage()
    for batch in kafka_batches():
        for offset, record in read_metadata_batch(batch):
            if not isinstance(record, BeginTransactionRecord | EndTransactionRecord):
                image.replay(offset, record, MetadataDelta())
    assert set(image.topics) == {"alpha"}
    assert dict(image.topic_configs("alpha")) == {"retention.ms": "1000"}
    assert len(image.topics["alpha"].partitions) == 3
    assert image.next_producer_id == 1000
    assert image.features["metadata.version"] == 30
    # Kafka takes the leader away when it stops.
    assert {state.leader_id for state in image.topics["alpha"].partitions.values()} == {-1}
    assert {state.leader_epoch for state in image.topics["alpha"].partitions.values()} == {1}


def test_kafkas_bootstrap_file_is_a_snapshot_that_we_read() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    fs.write_atomic("/d/b", KAFKA_BOOTSTRAP)
    features = {
        record.name: record.feature_level
        for record in read_snapshot(fs, "/d/b")
        if isinstance(record, FeatureLevelRecord)
    }
    assert features["metadata.version"] == 30
    assert len(features) == 6


def test_our_bootstrap_file_has_kafkas_frame() -> None:
    """Same header and footer; of the features between, ours has the one that we work at."""
    times = [read_header(batch).base_timestamp for batch in iter_batches(KAFKA_BOOTSTRAP)]
    kafka = list(iter_batches(KAFKA_BOOTSTRAP))
    ours = list(snapshot_batches(bootstrap_records(), epoch=0, now_ms=times[0], last_timestamp=0))
    assert ours[0] == kafka[0]
    assert len(ours) == len(kafka)
    footer = next(iter_records(kafka[-1]))
    assert next(iter_records(ours[-1]))[2:4] == footer[2:4]  # key and value
    assert read_header(kafka[-1]).base_offset == 7
    assert read_header(ours[-1]).base_offset == 2


def write_snapshot(fs: MemoryFileSystem, path: str, count: int) -> list[FeatureLevelRecord]:
    records = [FeatureLevelRecord(name=f"feature-{number}", feature_level=number) for number in range(count)]
    fs.write_atomic(path, b"".join(snapshot_batches(records, epoch=3, now_ms=5, last_timestamp=4)))
    return records


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_snapshots_of_any_size_come_back(count: int) -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    records = write_snapshot(fs, "/d/s", count)
    assert list(read_snapshot(fs, "/d/s")) == records
    offset = 0
    for batch in iter_batches(fs.read_file("/d/s")):
        header = read_header(batch)
        assert (header.base_offset, header.leader_epoch) == (offset, 3)
        offset = header.last_offset + 1


def test_a_snapshot_that_is_cut_or_changed_anywhere_is_refused() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    write_snapshot(fs, "/d/s", 3)
    whole = fs.read_file("/d/s")
    for size in range(len(whole)):
        fs.write_atomic("/d/s", whole[:size])
        with pytest.raises(CorruptLog):
            list(read_snapshot(fs, "/d/s"))
    outside_crc = {*range(8), *range(12, 16)}  # base offset and leader epoch
    starts = []
    start = 0
    for batch in iter_batches(whole):
        starts.append(start)
        start += len(batch)
    for place in range(len(whole)):
        base = max(start for start in starts if start <= place)
        if place - base in outside_crc:
            continue
        fs.write_atomic("/d/s", whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CorruptLog):
            list(read_snapshot(fs, "/d/s"))


def test_snapshots_are_found_by_name_oldest_first() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    assert SnapshotId(44, 2).file_name == "00000000000000000044-0000000002.checkpoint"
    for name in (
        SnapshotId(100, 3).file_name,
        SnapshotId(44, 2).file_name,
        SnapshotId(100, 4).file_name,
        "bootstrap.checkpoint",
        SnapshotId(200, 4).file_name + ".tmp",
        "leader-epoch-checkpoint",
        "00000000000000000044.snapshot",
    ):
        fs.write_atomic(f"/d/{name}", b"x")
    assert snapshots_in(fs, "/d") == [SnapshotId(44, 2), SnapshotId(100, 3), SnapshotId(100, 4)]


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00\x02\x00", b"\x02\x02\x00", b"\x01\x7f\x00", b"\x01\x02\x09", b"\x01\x02\x00\x05ab", b"\x01"],
)
def test_a_record_that_cannot_be_read_is_named_so(value: bytes) -> None:
    with pytest.raises(UnusableMetadata):
        decode_record(value)


def test_quorum_state_is_kafkas_line() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    assert read_quorum_epoch(fs, "/d") == -1
    write_quorum_state(fs, "/d", 1, 1)
    assert fs.read_file("/d/quorum-state") == (
        b'{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,'
        b'"currentVoters":[{"voterId":1}],"data_version":0}'
    )
    write_quorum_state(fs, "/d", 1, 70)
    assert read_quorum_epoch(fs, "/d") == 70
    fs.write_atomic("/d/quorum-state", b'{"leaderId":-1, "leaderEpoch": 12, "votedId":1,"data_version":1}')
    assert read_quorum_epoch(fs, "/d") == 12
    fs.write_atomic("/d/quorum-state", b"")
    assert read_quorum_epoch(fs, "/d") == -1


def test_a_damaged_recovery_point_counts_as_none() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    assert read_recovery_point(fs, "/d") == 0
    write_recovery_point(fs, "/d", 77)
    assert read_recovery_point(fs, "/d") == 77
    fs.write_atomic("/d/recovery-point-offset-checkpoint", b"0\nrubbish")
    assert read_recovery_point(fs, "/d") == 0


def test_the_bootstrap_file_is_made_once() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/d")
    ensure_bootstrap(fs, "/d", [b"first"])
    ensure_bootstrap(fs, "/d", [b"second"])
    assert fs.read_file("/d/bootstrap.checkpoint") == b"first"
