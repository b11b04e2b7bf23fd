"""The batches of a segment or of a metadata snapshot, and the records in them, as rows.

A batch is shown after its checksum was found right. Where the bytes are no sound batch, a row of kind `damage` says so
and the file ends there: what follows cannot be trusted to begin at any place (`--verify` looks for more).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from logd.dump.kinds import partition_of
from logd.dump.payloads import decode_control_record, decoder_for
from protocol.compression import Codec
from protocol.errors import BrokerError
from protocol.records import iter_records
from storage.batch_scan import iter_checked, iter_spans
from storage.errors import CorruptLog, StorageFailure
from storage.fs import OpenMode
from storage.offset_index import SUFFIX as OFFSET_INDEX_SUFFIX
from storage.offset_index import OffsetIndex
from storage.recovery.leftovers import base_offset_of
from storage.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from protocol.records import BatchHeader, Record
    from protocol.types import Offset, Position
    from storage.fs import File, FileSystem

Row = dict[str, Any]

_CODECS = {int(codec): codec.name.lower() for codec in Codec}


class BatchSelection(NamedTuple):
    """Which batches to show, and how deep; both ends of the offsets inclusive."""

    first_offset: Offset = 0
    last_offset: Offset = (1 << 63) - 1
    records: bool = False
    decode: bool = True
    """Records of Kafka's own topics as what they say instead of their bytes."""


def segment_rows(fs: FileSystem, path: str, selection: BatchSelection) -> Iterator[Row]:
    """Yields rows `batch`, `record` and at most one `damage`, the last. Raises: StorageFailure."""
    file = fs.open(path, OpenMode.READ)
    partition = partition_of(posixpath.dirname(path))
    topic = "__cluster_metadata" if not path.endswith(LOG_SUFFIX) else partition and partition.topic
    decode = decoder_for(topic) if selection.decode else None
    size = file.size()
    try:
        start = _first_position(fs, file, path, selection.first_offset, size)
        for position, header, batch in iter_checked(file, start, size, due=None, gaps=True):
            if header.last_offset < selection.first_offset:
                continue
            if header.base_offset > selection.last_offset:
                return
            yield batch_row(path, position, header)
            if selection.records:
                yield from _record_rows(path, position, header, batch, selection, decode)
    except CorruptLog as damage:
        yield {"kind": "damage", "file": path, "position": damage.position, "problem": damage.reason}


def batch_row(path: str, position: Position, header: BatchHeader) -> Row:
    """One batch whose checksum was right."""
    return {
        "kind": "batch",
        "file": path,
        "position": position,
        "size_bytes": header.size_bytes,
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "record_count": header.record_count,
        "leader_epoch": header.leader_epoch,
        "crc": header.crc,
        "codec": _CODECS.get(header.attributes & 7, f"unknown codec {header.attributes & 7}"),
        "timestamp_type": "LogAppendTime" if header.is_log_append_time else "CreateTime",
        "base_timestamp_ms": header.base_timestamp,
        "max_timestamp_ms": header.max_timestamp,
        "delete_horizon_ms": header.delete_horizon,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence,
        "transactional": header.is_transactional,
        "control": header.is_control,
    }


def _first_position(fs: FileSystem, file: File, path: str, offset: Offset, size: int) -> Position:
    """Where to begin reading for `offset`: by the offset index as far as that tells the truth, then by headers."""
    if offset <= 0:
        return 0
    start = _indexed_position(fs, file, path, offset, size)
    for span in iter_spans(file, start, size):
        if span.last_offset >= offset:
            return span.position
    return size


def _indexed_position(fs: FileSystem, file: File, path: str, offset: Offset, size: int) -> Position:
    base_offset = base_offset_of(posixpath.basename(path))
    index_path = path.removesuffix(LOG_SUFFIX) + OFFSET_INDEX_SUFFIX
    if base_offset is None or not path.endswith(LOG_SUFFIX) or not fs.exists(index_path):
        return 0
    try:
        indexed, position, _ = OffsetIndex.open(fs, index_path, base_offset).lookup(offset)
        if 0 < position < size and next(iter_spans(file, position, size)).last_offset == indexed <= offset:
            return position
    except (CorruptLog, StorageFailure):
        pass
    return 0


def _record_rows(
    path: str,
    position: Position,
    header: BatchHeader,
    batch: memoryview,
    selection: BatchSelection,
    decode: Callable[[Record], Row] | None,
) -> Iterator[Row]:
    if header.is_control:
        decode = decode_control_record
    sequence = header.base_sequence
    base_offset = header.base_offset
    try:
        for record in iter_records(batch):
            if not selection.first_offset <= record.offset <= selection.last_offset:
                continue
            row: Row = {"kind": "record", "offset": record.offset, "timestamp_ms": record.timestamp_ms}
            if sequence >= 0:
                row["sequence"] = (sequence + record.offset - base_offset) & 0x7FFFFFFF
            decoded = decode(record) if decode is not None else None
            if decoded is None or "undecoded" in decoded:
                row |= _bytes_field("key", record.key) | _bytes_field("value", record.value)
            if decoded is not None:
                row["payload"] = decoded
            if record.headers:
                row["headers"] = [
                    {"name": name} | _bytes_field("value", value) for name, value in record.headers
                ]
            yield row
    except BrokerError as error:
        yield {"kind": "damage", "file": path, "position": position, "problem": error.message}


def _bytes_field(name: str, value: bytes | None) -> Row:
    """Text as it is, other bytes as base64 under the name with `_base64` behind it."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        import base64  # noqa: PLC0415 - most logs hold text

        return {f"{name}_base64": base64.b64encode(value).decode("ascii")}
