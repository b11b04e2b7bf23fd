"""The small files beside the metadata log that are there for Kafka's tools, and the log's recovery point.

    quorum-state                       who leads the log, in which epoch: one line of JSON as Kafka writes it for a
                                       quorum of fixed voters (data_version 0), here of one node that votes for itself
    partition.metadata                 the reserved topic id
    bootstrap.checkpoint               in the data directory: the first records of the cluster, as a snapshot
    recovery-point-offset-checkpoint   offset below which all was durable when it was written; ours alone (Kafka keeps
                                       it in the data directory's file of that name, among those of the partitions)

The first three are written without waiting for the disk: what they say stands in the log too, so a power failure
that damages one costs nothing, and they are made anew.
Source: Kafka raft/FileQuorumStateStore.java, QuorumStateData.json, metadata/bootstrap/BootstrapDirectory.java.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from protocol.types import TopicPartition
from replication.topic_names import METADATA_TOPIC
from storage.checkpoint import RECOVERY_POINTS, read_offsets, write_offsets
from storage.errors import MalformedFile
from storage.fs import ATOMIC_SUFFIX, OpenMode, has_content
from storage.partition_metadata import PARTITION_METADATA, render_topic_id

if TYPE_CHECKING:
    from protocol.types import Buffer, LeaderEpoch, NodeId, Offset
    from storage.fs import FileSystem

METADATA_PARTITION: Final = TopicPartition(METADATA_TOPIC, 0)
METADATA_DIRECTORY: Final = str(METADATA_PARTITION)
METADATA_TOPIC_ID: Final = bytes(15) + b"\x01"
"""Reserved by Kafka (Uuid.METADATA_TOPIC_ID)."""

BOOTSTRAP_FILE: Final = "bootstrap.checkpoint"
QUORUM_STATE: Final = "quorum-state"
_EPOCH: Final = re.compile(rb'"leaderEpoch"\s*:\s*(\d+)')  # importing json would cost the start milliseconds


def read_quorum_epoch(fs: FileSystem, directory: str) -> LeaderEpoch:
    """Return the epoch that quorum-state names; -1 when it is missing or says nothing. Raises: StorageFailure."""
    path = f"{directory}/{QUORUM_STATE}"
    match = _EPOCH.search(fs.read_file(path)) if fs.exists(path) else None
    return -1 if match is None else int(match[1])


def write_quorum_state(fs: FileSystem, directory: str, node_id: NodeId, epoch: LeaderEpoch) -> None:
    """Say that `node_id` leads in `epoch`. Raises: StorageFailure."""
    text = (
        f'{{"clusterId":"","leaderId":{node_id},"leaderEpoch":{epoch},"votedId":-1,"appliedOffset":0,'
        f'"currentVoters":[{{"voterId":{node_id}}}],"data_version":0}}'
    )
    _replace(fs, f"{directory}/{QUORUM_STATE}", (text.encode(),))


def ensure_topic_id(fs: FileSystem, directory: str) -> None:
    """Make partition.metadata where it is missing. Raises: StorageFailure."""
    path = f"{directory}/{PARTITION_METADATA}"
    if not has_content(fs, path):
        _replace(fs, path, (render_topic_id(METADATA_TOPIC_ID),))


def ensure_bootstrap(fs: FileSystem, data_dir: str, batches: Iterable[Buffer]) -> None:
    """Make bootstrap.checkpoint of the batches of a snapshot, where it is missing. Raises: StorageFailure."""
    path = f"{data_dir}/{BOOTSTRAP_FILE}"
    if not has_content(fs, path):
        _replace(fs, path, batches)


def read_recovery_point(fs: FileSystem, directory: str) -> Offset:
    """Return the recovery point put down last; 0 when there is none. Raises: StorageFailure."""
    try:
        return read_offsets(fs, f"{directory}/{RECOVERY_POINTS}").get(METADATA_PARTITION, 0)
    except MalformedFile:
        return 0


def write_recovery_point(fs: FileSystem, directory: str, offset: Offset) -> None:
    """Put down that all below `offset` is durable. Blocks. Raises: StorageFailure."""
    write_offsets(fs, f"{directory}/{RECOVERY_POINTS}", {METADATA_PARTITION: offset})


def _replace(fs: FileSystem, path: str, parts: Iterable[Buffer]) -> None:
    file = fs.open(path + ATOMIC_SUFFIX, OpenMode.CREATE)
    file.append(b"".join(parts))
    file.close()
    fs.rename(path + ATOMIC_SUFFIX, path)
