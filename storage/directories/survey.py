"""Looking over a stopped broker's data directory without changing anything in it.

For a directory that another program wrote: whether each partition in it can be opened as a clean stop left it. Not
here: what the cluster's metadata says about them, and opening.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.records import HEADER_SIZE, MAGIC, MAGIC_POSITION
from storage.checkpoint import (
    HIGH_WATERMARKS,
    LEADER_EPOCHS,
    LOG_START_OFFSETS,
    RECOVERY_POINTS,
    read_cleaned,
    read_leader_epochs,
    read_offsets,
)
from storage.directories.clean_shutdown import read_clean_shutdown
from storage.directories.directory_names import parse_partition_directory
from storage.errors import DirectoryRefused, MalformedFile
from storage.fs import OpenMode, has_content
from storage.partition_metadata import PARTITION_METADATA, read_topic_id
from storage.recovery.leftovers import base_offset_of
from storage.segment import DELETED_SUFFIX, LOG_SUFFIX

if TYPE_CHECKING:
    from protocol.types import LeaderEpoch, Offset, TopicPartition
    from storage.fs import FileSystem

_MOVING: Final = re.compile(r"(.+-[0-9]+)\.[0-9a-f]{32}-future", re.ASCII)
"""A replica on its way from one data directory to another (Kafka: UnifiedLog.FutureDirPattern)."""


class FoundPartition(NamedTuple):
    """A partition's directory, as it was found."""

    topic_partition: TopicPartition
    topic_id: bytes | None
    """None where no file tells."""
    latest_epoch: LeaderEpoch
    """Of the last leader that wrote to it; -1 where none did."""
    size_bytes: int
    """Of its segments, without indexes."""


class Survey(NamedTuple):
    """What is in one data directory."""

    partitions: list[FoundPartition]
    checkpointed: dict[TopicPartition, Offset]
    """Recovery point of each partition that the directory should hold."""
    broker_epoch: int
    """Of the broker that stopped cleanly; -1 where it is not said."""
    set_aside: list[str]
    """Paths of files that left their logs already and wait to be removed."""


def survey_directory(fs: FileSystem, path: str, reserved: Collection[str]) -> Survey:
    """Look over the data directory `path`; `reserved` are names in it that are no partitions.

    Raises: DirectoryRefused for what a clean stop cannot have left, or cannot be read here; StorageFailure.
    """
    try:
        broker_epoch = read_clean_shutdown(fs, path)
        if broker_epoch is None:
            raise DirectoryRefused(
                f"data directory {path} was not stopped cleanly by Kafka, or Kafka still runs: start Kafka on it, "
                "wait until it has recovered, and stop it with SIGTERM"
            )
        recovery_points = read_offsets(fs, f"{path}/{RECOVERY_POINTS}")
        for checkpoint in (LOG_START_OFFSETS, HIGH_WATERMARKS):
            read_offsets(fs, f"{path}/{checkpoint}")
        read_cleaned(fs, path)
        partitions = [
            _look_at(fs, f"{path}/{name}", topic_partition)
            for name, topic_partition in _partition_directories(fs, path, reserved)
        ]
    except MalformedFile as error:
        raise DirectoryRefused(f"{error}: start Kafka on it and stop it cleanly") from error
    return Survey(partitions, recovery_points, broker_epoch, _set_aside(fs, path, partitions))


def has_partitions(fs: FileSystem, path: str, reserved: Collection[str]) -> bool:
    """Whether any partition is in the data directory `path`. Raises: DirectoryRefused, StorageFailure."""
    return bool(_partition_directories(fs, path, reserved))


def _set_aside(fs: FileSystem, path: str, partitions: Iterable[FoundPartition]) -> list[str]:
    directories = [f"{path}/{found.topic_partition}" for found in partitions]
    return [
        f"{directory}/{name}"
        for directory in directories
        for name in fs.listdir(directory)
        if name.endswith(DELETED_SUFFIX)
    ]


def _partition_directories(
    fs: FileSystem, path: str, reserved: Collection[str]
) -> list[tuple[str, TopicPartition]]:
    found = []
    for name in fs.listdir(path):
        if name in reserved or not fs.is_dir(f"{path}/{name}"):
            continue
        moving = _MOVING.fullmatch(name)
        if moving is not None:
            raise DirectoryRefused(
                f"partition {moving[1]} is being moved to data directory {path}: start Kafka, wait until "
                "kafka-reassign-partitions --verify says that it is done, and stop it cleanly"
            )
        topic_partition = parse_partition_directory(name)
        if topic_partition is not None:
            found.append((name, topic_partition))
    return found


def _look_at(fs: FileSystem, path: str, topic_partition: TopicPartition) -> FoundPartition:
    """Raises: DirectoryRefused, MalformedFile, StorageFailure."""
    size_bytes = 0
    for name in fs.listdir(path):
        if name.endswith(LOG_SUFFIX) and base_offset_of(name) is not None:
            size_bytes += _check_segment(fs, f"{path}/{name}")
    epochs_path = f"{path}/{LEADER_EPOCHS}"
    epochs = read_leader_epochs(fs, epochs_path) if has_content(fs, epochs_path) else []
    return FoundPartition(
        topic_partition,
        read_topic_id(fs, f"{path}/{PARTITION_METADATA}"),
        epochs[-1][0] if epochs else -1,
        size_bytes,
    )


def _check_segment(fs: FileSystem, path: str) -> int:
    """Return the size of a segment whose first batch has the format that is read here. Old formats stand before new
    ones, so a segment that begins with this one holds no other. Raises: DirectoryRefused, StorageFailure.
    """
    size = fs.size(path)
    if size:
        file = fs.open(path, OpenMode.READ)
        start = file.read_at(0, HEADER_SIZE)
        file.close()
        if len(start) > MAGIC_POSITION and start[MAGIC_POSITION] < MAGIC:
            raise DirectoryRefused(
                f"{path} holds records in format v{start[MAGIC_POSITION]} of Kafka before 0.11, which is not read "
                "here: let retention or compaction remove them, or copy the topic with a client"
            )
    return size
