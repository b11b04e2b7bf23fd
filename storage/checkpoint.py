"""The checkpoint files: small tables of offsets in Kafka's text format.

Layout, one item a line: version (0) | number of entries | entries, columns parted by one space.
- Offset checkpoints, one per data directory, each entry `topic partition offset`:
  recovery-point-offset-checkpoint (all below is on disk), log-start-offset-checkpoint (first offset a
  client may read), replication-offset-checkpoint (high watermark), cleaner-offset-checkpoint (first dirty
  offset).
- Leader epochs, one per partition, each entry `epoch start_offset`: leader-epoch-checkpoint.

Files are replaced atomically. Reading gives plain values; what it cannot read is `MalformedFile`, which
names the line. A missing file has no entries.
Source: apache/kafka server-common/…/CheckpointFile.java, storage/…/checkpoint/OffsetCheckpointFile.java,
LeaderEpochCheckpointFile.java.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from protocol.types import LeaderEpoch, Offset, TopicPartition
from storage.errors import MalformedFile
from storage.fs import has_content

if TYPE_CHECKING:
    from storage.fs import FileSystem

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_START_OFFSETS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
CLEANER_OFFSETS = "cleaner-offset-checkpoint"
LEADER_EPOCHS = "leader-epoch-checkpoint"

_VERSION = "0"


def read_offsets(fs: FileSystem, path: str) -> dict[TopicPartition, Offset]:
    """The entries of an offset checkpoint. Raises: MalformedFile, StorageFailure."""
    offsets: dict[TopicPartition, Offset] = {}
    for number, (topic, partition, offset) in _read_rows(fs, path, columns=3):
        key = TopicPartition(topic, _natural(path, number, partition))
        if key in offsets:
            raise MalformedFile(path, f"line {number} names {key} a second time")
        offsets[key] = _natural(path, number, offset)
    return offsets


def read_cleaned(fs: FileSystem, data_dir: str) -> frozenset[TopicPartition]:
    """The partitions that the cleaner's checkpoint names: they were compacted at some time.

    Raises: MalformedFile, StorageFailure.
    """
    path = f"{data_dir}/{CLEANER_OFFSETS}"
    return frozenset(read_offsets(fs, path)) if has_content(fs, path) else frozenset()


def write_offsets(fs: FileSystem, path: str, offsets: Mapping[TopicPartition, Offset]) -> None:
    """Replaces an offset checkpoint; blocks until it is durable. Raises: StorageFailure."""
    rows = (f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items())
    fs.write_atomic(path, _render(rows))


def read_leader_epochs(fs: FileSystem, path: str) -> list[tuple[LeaderEpoch, Offset]]:
    """The entries (epoch, start offset) in file order. Raises: MalformedFile, StorageFailure."""
    rows = _read_rows(fs, path, columns=2)
    return [(_natural(path, n, epoch), _natural(path, n, start)) for n, (epoch, start) in rows]


def write_leader_epochs(fs: FileSystem, path: str, entries: Iterable[tuple[LeaderEpoch, Offset]]) -> None:
    """Replaces a leader epoch checkpoint; blocks until it is durable. Raises: StorageFailure."""
    fs.write_atomic(path, _render(f"{epoch} {start_offset}" for epoch, start_offset in entries))


def _render(rows: Iterable[str]) -> bytes:
    lines = list(rows)
    return "".join(f"{line}\n" for line in (_VERSION, str(len(lines)), *lines)).encode("ascii")


def _read_rows(fs: FileSystem, path: str, columns: int) -> list[tuple[int, list[str]]]:
    """The entries as (line number from 1, columns)."""
    if not fs.exists(path):
        return []
    lines = read_ascii(fs, path).splitlines()
    if not lines or lines[0] != _VERSION:
        found = f"{lines[0][:20]!r}" if lines else "nothing"
        raise MalformedFile(path, f"line 1 must be version {_VERSION}, found {found}")
    if len(lines) < 2:
        raise MalformedFile(path, "line 2, the number of entries, is missing")
    announced = _natural(path, 2, lines[1])
    if announced != len(lines) - 2:
        raise MalformedFile(path, f"line 2 announces {announced} entries, {len(lines) - 2} follow")
    rows = []
    for number, line in enumerate(lines[2:], start=3):
        row = line.split(" ")
        if len(row) != columns:
            raise MalformedFile(path, f"line {number} has {len(row)} columns instead of {columns}")
        rows.append((number, row))
    return rows


def read_ascii(fs: FileSystem, path: str) -> str:
    """A small text file. Raises: MalformedFile for anything but ASCII, as a crash or a bad disk leaves it."""
    try:
        return fs.read_file(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedFile(path, f"byte {error.start} is not ASCII") from None


def _natural(path: str, number: int, text: str) -> int:
    """A decimal number from 0 up to what an int64 holds."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise MalformedFile(path, f"line {number}: {text[:30]!r} is not a number from 0 up")
    return int(text)
