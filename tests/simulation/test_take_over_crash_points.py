"""A take-over that is interrupted behind any of its file operations leaves a Kafka directory or one of ours.

A node starts on what looks like Kafka's directories, on a disk of which every state is kept that a crash could leave.
Each of them is either still Kafka's, stopped cleanly and as it was, or ours; and the next start makes it ours, with
every record.
"""

from __future__ import annotations

import logging

import pytest

from logd.metadata.survey import survey_metadata
from replication.metadata_image import MetadataImage
from storage.directories.meta_properties import OWNER_LOGD, OWNER_TAKING_OVER, read_meta_properties
from storage.fs import FileSystem
from storage.fs.faulty import FaultyFileSystem, Loss, Operation
from storage.fs.memory import MemoryFileSystem
from tests.support.kafka_like import DIRECTORIES, files_of, fill, make_kafka_like, refusal

OURS_TO_CHANGE = ("meta.properties", ".lock", ".deleted", ".tmp")
"""Ends of names that a take-over touches in a directory that is Kafka's still."""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    fs = MemoryFileSystem()
    make_kafka_like(fs)
    return files_of(fs)


@pytest.mark.parametrize("loss", Loss)
def test_every_crash_point(files: dict[str, bytes], loss: Loss, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    fs = FaultyFileSystem(seed=3)
    fill(fs, files)
    before = survey_metadata(fs, "/data").image
    left: list[tuple[Operation, FaultyFileSystem]] = []
    fs.after = lambda operation: left.append((operation, fs.crash(loss)))
    assert refusal(fs) is None
    assert len(left) > 60
    kafkas = [is_kafkas(disk, files, operation) for operation, disk in left]
    assert kafkas == sorted(kafkas, reverse=True), "it was ours, and became Kafka's again"
    assert True in kafkas and False in kafkas
    for operation, disk in left:
        assert refusal(disk) is None, f"after {operation}"
        check_taken_over(disk, files, before)


def is_kafkas(disk: FileSystem, files: dict[str, bytes], operation: Operation) -> bool:
    """Whether it is still Kafka's; it must be ours otherwise."""
    identity = read_meta_properties(disk, "/data/meta.properties")
    assert identity is not None
    clean = all(disk.exists(f"{directory}/.kafka_cleanshutdown") for directory in DIRECTORIES)
    if identity.owner == OWNER_LOGD or not clean:
        assert identity.owner in (OWNER_LOGD, OWNER_TAKING_OVER), f"nobody's after {operation}"
        return False
    now = files_of(disk)
    assert {path: content for path, content in now.items() if not path.endswith(OURS_TO_CHANGE)} == {
        path: content for path, content in files.items() if not path.endswith(OURS_TO_CHANGE)
    }, f"Kafka's and changed after {operation}"
    return True


def check_taken_over(disk: FileSystem, files: dict[str, bytes], before: MetadataImage) -> None:
    identity = read_meta_properties(disk, "/data/meta.properties")
    assert identity is not None and identity.owner == OWNER_LOGD
    after = survey_metadata(disk, "/data").image
    assert after.features == {"metadata.version": 30, "group.version": 1, "transaction.version": 2}
    for name, topic in before.topics.items():
        assert after.topics[name].topic_id == topic.topic_id
        assert after.topic_configs(name) == before.topic_configs(name)
        for index, former in topic.partitions.items():
            state = after.topics[name].partitions[index]
            assert state.leader_id == 1
            assert state.leader_epoch > former.leader_epoch
    now = files_of(disk)
    for path, content in files.items():
        if path.endswith(".log") and "__cluster_metadata" not in path:
            assert now[path] == content
    assert not [path for path in now if path.endswith(".deleted")]
    # Of the metadata log, what was not yet durable may have been torn.
    assert not [path for path in now if path.endswith(".cut") and "__cluster_metadata" not in path]
