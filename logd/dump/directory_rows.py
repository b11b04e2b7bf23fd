"""Summaries: a partition's directory in one row and one for each segment, a data directory in one row a partition.

Headers and file sizes only; nothing is checked beyond what a walk over the headers of the last segment needs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from logd.dump.data_directory_facts import read_data_directory
from logd.dump.kinds import Kind, kind_of, kind_of_file, partition_of
from logd.dump.segment_rows import Row
from protocol.records import HEADER_SIZE, read_header
from protocol.types import uuid_to_str
from storage import checkpoint, producer_snapshot
from storage.batch_scan import iter_spans
from storage.errors import CorruptLog, MalformedFile
from storage.fs import OpenMode
from storage.offset_index import SUFFIX as OFFSET_INDEX_SUFFIX
from storage.offset_index import OffsetIndex
from storage.partition_metadata import PARTITION_METADATA, read_topic_id
from storage.recovery.leftovers import base_offset_of
from storage.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.types import Offset
    from storage.fs import File, FileSystem


def partition_rows(fs: FileSystem, path: str) -> Iterator[Row]:
    """Yields a row `partition`, then rows `segment`, `leader epoch`, `producer`, `leftover`. Raises: StorageFailure."""
    segments = segment_summaries(fs, path)
    yield partition_row(fs, path, segments)
    yield from segments
    names = fs.listdir(path)
    if checkpoint.LEADER_EPOCHS in names:
        try:
            for epoch, start in checkpoint.read_leader_epochs(fs, f"{path}/{checkpoint.LEADER_EPOCHS}"):
                yield {"kind": "leader epoch", "leader_epoch": epoch, "start_offset": start}
        except MalformedFile as error:
            yield {"kind": "damage", "file": error.path, "position": -1, "problem": error.reason}
    yield from _producer_rows(fs, path, names)
    for name in names:
        if kind_of_file(name) in (Kind.LEFTOVER, Kind.CUT, Kind.UNKNOWN):
            yield {"kind": "leftover", "file": f"{path}/{name}", "size_bytes": fs.size(f"{path}/{name}")}


def data_directory_rows(fs: FileSystem, path: str) -> Iterator[Row]:
    """Yields a row `data directory`, then a row `partition` for each, with its checkpointed offsets.

    Raises: StorageFailure.
    """
    facts = read_data_directory(fs, path)
    identity = facts.properties
    yield {
        "kind": "data directory",
        "path": path,
        "state": facts.state.value,
        "cluster_id": identity and identity.cluster_id,
        "node_id": identity and identity.node_id,
        "directory_id": identity and (identity.directory_id or None),
        "topics": len(facts.cluster.topic_ids),
    }
    for error in facts.malformed:
        yield {"kind": "damage", "file": error.path, "position": -1, "problem": error.reason}
    for name in fs.listdir(path):
        inner = f"{path}/{name}"
        if not fs.is_dir(inner):
            continue
        kind = kind_of(fs, inner)
        if kind is Kind.PARTITION:
            yield partition_row(fs, inner, segment_summaries(fs, inner))
        elif kind is Kind.SET_ASIDE:
            yield {"kind": "leftover", "file": inner, "size_bytes": None}


def partition_row(fs: FileSystem, path: str, segments: list[Row]) -> Row:
    """One partition, summed up from its segments."""
    partition = partition_of(path)
    row: dict[str, Any] = {
        "kind": "partition",
        "path": path,
        "topic": partition and partition.topic,
        "partition": partition and partition.partition,
        "topic_id": _topic_id(fs, path),
        "segments": len(segments),
        "size_bytes": sum(segment["size_bytes"] for segment in segments),
        "first_offset": segments[0]["base_offset"] if segments else 0,
        "log_end_offset": segments[-1]["end_offset"] if segments else 0,
        "gaps": sum(
            before["end_offset"] is not None and before["end_offset"] != after["base_offset"]
            for before, after in pairwise(segments)
        ),
    }
    return row


def segment_summaries(fs: FileSystem, path: str) -> list[Row]:
    """The segments of a partition in order, each with where it ends as far as headers tell. Raises: StorageFailure."""
    rows: list[Row] = []
    for name in fs.listdir(path):
        base_offset = base_offset_of(name)
        if base_offset is None or kind_of_file(name) is not Kind.SEGMENT:
            continue
        file_path = f"{path}/{name}"
        size = fs.size(file_path)
        rows.append(
            {
                "kind": "segment",
                "file": file_path,
                "base_offset": base_offset,
                "end_offset": _end_offset(fs, file_path, base_offset, size),
                "size_bytes": size,
                "first_leader_epoch": _first_epoch(fs, file_path),
                "written_ms": fs.mtime_ms(file_path),
            }
        )
    return rows


def _end_offset(fs: FileSystem, path: str, base_offset: Offset, size: int) -> Offset | None:
    """Where the headers behind the last index entry end; None when they cannot be read."""
    index_path = path.removesuffix(LOG_SUFFIX) + OFFSET_INDEX_SUFFIX
    file = fs.open(path, OpenMode.READ)
    start = 0
    try:
        if fs.exists(index_path):
            _, start, _ = OffsetIndex.open(fs, index_path, base_offset).lookup((1 << 63) - 1)
        return _walk_end(file, start if start < size else 0, size, base_offset)
    except CorruptLog:
        pass
    try:
        return _walk_end(file, 0, size, base_offset) if start else None
    except CorruptLog:
        return None


def _walk_end(file: File, start: int, size: int, base_offset: Offset) -> Offset:
    end = base_offset
    for span in iter_spans(file, start, size):
        end = span.last_offset + 1
    return end


def _first_epoch(fs: FileSystem, path: str) -> int | None:
    data = fs.open(path, OpenMode.READ).read_at(0, HEADER_SIZE)
    return read_header(data).leader_epoch if len(data) == HEADER_SIZE else None


def _topic_id(fs: FileSystem, path: str) -> str | None:
    try:
        topic_id = read_topic_id(fs, f"{path}/{PARTITION_METADATA}")
    except MalformedFile:
        return None
    return None if topic_id is None else uuid_to_str(topic_id)


def _producer_rows(fs: FileSystem, path: str, names: list[str]) -> Iterator[Row]:
    """The producers as the newest snapshot has them."""
    offsets = [offset for name in names if (offset := producer_snapshot.end_offset_of(name)) is not None]
    if not offsets:
        return
    name = producer_snapshot.file_name(max(offsets))
    try:
        entries = producer_snapshot.decode(fs.read_file(f"{path}/{name}"))
    except producer_snapshot.CorruptSnapshot as error:
        yield {"kind": "damage", "file": f"{path}/{name}", "position": -1, "problem": str(error)}
        return
    for entry in entries:
        yield {"kind": "producer", **entry._asdict()}
