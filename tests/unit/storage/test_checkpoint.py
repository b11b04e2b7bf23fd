"""Goal: Kafka's small text files are written as Kafka reads them, and a damaged one is one clear line."""

import pytest

from protocol.types import TopicPartition, uuid_from_str
from storage.checkpoint import read_leader_epochs, read_offsets, write_leader_epochs, write_offsets
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN, take_clean_shutdown, write_clean_shutdown
from storage.directories.meta_properties import (
    MetaProperties,
    check_meta_properties,
    read_meta_properties,
    write_meta_properties,
)
from storage.errors import DirectoryRefused, MalformedFile
from storage.fs import OpenMode
from storage.fs.faulty import FaultyFileSystem, Loss
from storage.fs.memory import MemoryFileSystem
from storage.partition_metadata import read_topic_id, render_topic_id


def with_file(content: bytes) -> MemoryFileSystem:
    fs = MemoryFileSystem()
    fs.open("/f", OpenMode.CREATE).append(content)
    return fs


def test_an_offset_checkpoint_is_version_count_and_rows() -> None:
    fs = MemoryFileSystem()
    offsets = {TopicPartition("orders", 0): 42, TopicPartition("a.b_c-d", 17): 0}
    write_offsets(fs, "/f", offsets)
    assert fs.read_file("/f") == b"0\n2\norders 0 42\na.b_c-d 17 0\n"
    assert read_offsets(fs, "/f") == offsets
    write_offsets(fs, "/f", {})
    assert fs.read_file("/f") == b"0\n0\n"
    assert read_offsets(fs, "/f") == {}


def test_a_leader_epoch_checkpoint_is_version_count_and_rows() -> None:
    fs = MemoryFileSystem()
    write_leader_epochs(fs, "/f", [(0, 0), (3, 17)])
    assert fs.read_file("/f") == b"0\n2\n0 0\n3 17\n"
    assert read_leader_epochs(fs, "/f") == [(0, 0), (3, 17)]


def test_a_missing_checkpoint_has_no_entries() -> None:
    assert read_offsets(MemoryFileSystem(), "/f") == {}
    assert read_leader_epochs(MemoryFileSystem(), "/f") == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1 must be version 0, found nothing"),
        (b"1\n0\n", "line 1 must be version 0, found '1'"),
        (b"0\n", "line 2, the number of entries, is missing"),
        (b"0\nx\n", "line 2: 'x' is not a number"),
        (b"0\n-1\n", "line 2: '-1' is not a number"),
        (b"0\n2\na 0 1\n", "announces 2 entries, 1 follow"),
        (b"0\n1\na 0 1\nb 0 1\n", "announces 1 entries, 2 follow"),
        (b"0\n1\na 0\n", "line 3 has 2 columns instead of 3"),
        (b"0\n1\na 0 -5\n", "line 3: '-5' is not a number"),
        (b"0\n1\na 0 " + b"9" * 40 + b"\n", "line 3: '9"),
        (b"0\n2\na 0 1\na 0 2\n", "line 4 names a-0 a second time"),
        (b"0\n1\na 0 \xff\n", "byte 8 is not ASCII"),
        (b"\0\0\0\0", "line 1 must be version 0"),
    ],
)
def test_a_damaged_offset_checkpoint_names_the_line(content: bytes, reason: str) -> None:
    with pytest.raises(MalformedFile, match=r"^/f is malformed: ") as caught:
        read_offsets(with_file(content), "/f")
    assert reason in caught.value.reason


def test_partition_metadata_is_kafkas() -> None:
    topic_id = uuid_from_str("JVvbNeyhRwKi0nP7vcDFcQ")
    content = b"version: 0\ntopic_id: JVvbNeyhRwKi0nP7vcDFcQ"
    assert render_topic_id(topic_id) == content
    assert read_topic_id(with_file(content), "/f") == topic_id
    assert read_topic_id(with_file(content + b"\n"), "/f") == topic_id
    assert read_topic_id(MemoryFileSystem(), "/f") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version: 0",
        b"version: 1\ntopic_id: JVvbNeyhRwKi0nP7vcDFcQ",
        b"version: 0\ntopic_id: x",
        b"\0" * 44,
    ],
)
def test_damaged_partition_metadata_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedFile):
        read_topic_id(with_file(content), "/f")


def test_meta_properties_round_trip() -> None:
    fs = MemoryFileSystem()
    properties = MetaProperties("Some=Cluster:1", 7, "JVvbNeyhRwKi0nP7vcDFcQ")
    write_meta_properties(fs, "/f", properties)
    assert fs.read_file("/f") == (
        b"version=1\ncluster.id=Some\\=Cluster\\:1\nnode.id=7\ndirectory.id=JVvbNeyhRwKi0nP7vcDFcQ\n"
    )
    assert read_meta_properties(fs, "/f") == properties
    assert read_meta_properties(fs, "/none") is None


def test_meta_properties_as_kafka_writes_them() -> None:
    content = (
        b"#\n#Thu Jan 01 00:00:00 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\ndirectory.id=JVvbNeyhRwKi0nP7vcDFcQ\n"
        b"node.id=1\nversion=1\n"
    )
    expected = MetaProperties("MkU3OEVBNTcwNTJENDM2Qg", 1, "JVvbNeyhRwKi0nP7vcDFcQ")
    assert read_meta_properties(with_file(content), "/f") == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "version is None"),
        (b"version=0\nbroker.id=1\ncluster.id=x\n", "ZooKeeper"),
        (b"version=1\ncluster.id=x\n", "node.id is ''"),
        (b"version=1\ncluster.id=x\nnode.id=-1\n", "node.id is '-1'"),
        (b"version=1\nnode.id=1\n", "cluster.id is missing"),
        (b"\xff", "not ASCII"),
    ],
)
def test_damaged_meta_properties_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        read_meta_properties(with_file(content), "/f")
    assert reason in caught.value.reason


def test_a_foreign_directory_is_refused_with_what_to_do() -> None:
    found = MetaProperties("theirs", 1)
    check_meta_properties(found, "/d", cluster_id=None, node_id=1)
    with pytest.raises(DirectoryRefused, match=r"/d belongs to cluster theirs.*configure cluster\.id=theirs"):
        check_meta_properties(found, "/d", cluster_id="ours", node_id=1)
    with pytest.raises(DirectoryRefused, match=r"/d belongs to node 1.*configure node\.id=1"):
        check_meta_properties(found, "/d", cluster_id="theirs", node_id=2)


def test_a_clean_shutdown_marker_is_taken_once_and_stays_away_after_a_crash() -> None:
    fs = FaultyFileSystem()
    write_clean_shutdown(fs, "/", broker_epoch=5)
    assert fs.read_file(f"/{CLEAN_SHUTDOWN}") == b'{"version":0,"brokerEpoch":5}'
    assert take_clean_shutdown(fs.crash(Loss.ALL), "/")
    assert take_clean_shutdown(fs, "/")
    assert not take_clean_shutdown(fs, "/")
    assert not take_clean_shutdown(fs.crash(Loss.ALL), "/")
