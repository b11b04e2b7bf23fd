"""Every other file of a data directory as rows: indexes, snapshots of producers, checkpoints, identities, markers.

Each reader is storage's own; what it refuses is left to the caller as its exception.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from logd.dump.kinds import Kind
from logd.dump.segment_rows import BatchSelection, Row, segment_rows
from protocol.types import uuid_to_str
from storage import checkpoint, producer_snapshot
from storage.directories.clean_shutdown import read_clean_shutdown
from storage.directories.meta_properties import read_meta_properties
from storage.errors import MalformedFile
from storage.fs import has_content
from storage.offset_index import OffsetIndex
from storage.partition_metadata import read_topic_id
from storage.recovery.leftovers import base_offset_of
from storage.time_index import TimeIndex
from storage.txn_index import TxnIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.fs import FileSystem


_QUORUM_STATE_FIELDS = frozenset(
    {
        "clusterId",
        "leaderId",
        "leaderEpoch",
        "votedId",
        "votedDirectoryId",
        "appliedOffset",
        "currentVoters",
        "data_version",
    }
)
"""Versions 0 and 1; Kafka's QuorumStateData.json."""


def file_rows(fs: FileSystem, path: str, kind: Kind, selection: BatchSelection) -> Iterator[Row]:
    """Yields what a file holds. Raises: CorruptLog, MalformedFile, CorruptSnapshot, StorageFailure."""
    if kind in (Kind.SEGMENT, Kind.METADATA_SNAPSHOT):
        yield from segment_rows(fs, path, selection)
        return
    reader = _READERS.get(kind)
    if reader is None:
        yield {"kind": "file", "file": path, "what": kind.value, "size_bytes": fs.size(path)}
    else:
        yield from reader(fs, path)


def _offset_index(fs: FileSystem, path: str) -> Iterator[Row]:
    index = OffsetIndex.open(fs, path, _base_offset(path))
    for number, (relative, position) in enumerate(index.iter_rows()):
        yield {
            "kind": "offset index entry",
            "entry": number,
            "offset": index.base_offset + relative,
            "position": position,
        }


def _time_index(fs: FileSystem, path: str) -> Iterator[Row]:
    index = TimeIndex.open(fs, path, _base_offset(path))
    for number, (timestamp_ms, relative) in enumerate(index.iter_rows()):
        yield {
            "kind": "time index entry",
            "entry": number,
            "timestamp_ms": timestamp_ms,
            "offset": index.base_offset + relative,
        }


def _txn_index(fs: FileSystem, path: str) -> Iterator[Row]:
    for txn in TxnIndex(fs, path, _base_offset(path)).entries:
        yield {"kind": "aborted transaction", **txn._asdict()}


def _producer_snapshot(fs: FileSystem, path: str) -> Iterator[Row]:
    for entry in producer_snapshot.decode(fs.read_file(path)):
        yield {"kind": "producer", **entry._asdict()}


def _offset_checkpoint(fs: FileSystem, path: str) -> Iterator[Row]:
    if not has_content(fs, path):
        return
    for (topic, partition), offset in checkpoint.read_offsets(fs, path).items():
        yield {"kind": "checkpoint", "topic": topic, "partition": partition, "offset": offset}


def _leader_epochs(fs: FileSystem, path: str) -> Iterator[Row]:
    if not has_content(fs, path):
        return
    for epoch, start_offset in checkpoint.read_leader_epochs(fs, path):
        yield {"kind": "leader epoch", "leader_epoch": epoch, "start_offset": start_offset}


def _partition_metadata(fs: FileSystem, path: str) -> Iterator[Row]:
    topic_id = read_topic_id(fs, path)
    yield {"kind": "topic id", "topic_id": uuid_to_str(topic_id) if topic_id is not None else None}


def _meta_properties(fs: FileSystem, path: str) -> Iterator[Row]:
    properties = read_meta_properties(fs, path)
    assert properties is not None
    yield {
        "kind": "meta properties",
        "cluster_id": properties.cluster_id,
        "node_id": properties.node_id,
        "directory_id": properties.directory_id or None,
    }


def _clean_shutdown(fs: FileSystem, path: str) -> Iterator[Row]:
    yield {"kind": "clean shutdown", "broker_epoch": read_clean_shutdown(fs, posixpath.dirname(path))}


def _quorum_state(fs: FileSystem, path: str) -> Iterator[Row]:
    yield {"kind": "quorum state", **read_quorum_state(fs, path)}


def read_quorum_state(fs: FileSystem, path: str) -> dict[str, Any]:
    """The JSON object that Kafka's Raft keeps there. Raises: MalformedFile, StorageFailure."""
    import json  # noqa: PLC0415 - for this one file

    text = checkpoint.read_ascii(fs, path)
    try:
        state = json.loads(text)
    except ValueError as error:
        raise MalformedFile(path, f"it is not JSON: {error}") from None
    if not isinstance(state, dict) or not isinstance(state.get("leaderEpoch"), int):
        raise MalformedFile(path, "it has no leaderEpoch")
    unknown = state.keys() - _QUORUM_STATE_FIELDS
    if unknown:
        raise MalformedFile(path, f"it has a field {min(unknown)!r}")
    return state


def _base_offset(path: str) -> int:
    return base_offset_of(posixpath.basename(path)) or 0


_READERS: dict[Kind, Callable[[FileSystem, str], Iterator[Row]]] = {
    Kind.OFFSET_INDEX: _offset_index,
    Kind.TIME_INDEX: _time_index,
    Kind.TXN_INDEX: _txn_index,
    Kind.PRODUCER_SNAPSHOT: _producer_snapshot,
    Kind.OFFSET_CHECKPOINT: _offset_checkpoint,
    Kind.LEADER_EPOCHS: _leader_epochs,
    Kind.PARTITION_METADATA: _partition_metadata,
    Kind.META_PROPERTIES: _meta_properties,
    Kind.CLEAN_SHUTDOWN: _clean_shutdown,
    Kind.QUORUM_STATE: _quorum_state,
}
