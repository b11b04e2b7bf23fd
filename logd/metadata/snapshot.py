"""Snapshots of the metadata: files that stand in for the log up to an offset.

Name: end offset, 20 digits, `-`, epoch of the last record in it, 10 digits, `.checkpoint`. The end offset is
exclusive: the log goes on there. Content: batches whose offsets count from 0, first a control batch SNAPSHOT_HEADER,
then records that build the image up, last a control batch SNAPSHOT_FOOTER, without which a snapshot is not whole.
Source: KIP-630, Kafka snapshot/Snapshots.java, RecordsSnapshotWriter.java.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from logd.metadata.batches import metadata_batch, read_metadata_batch, read_voters
from protocol.control_records import (
    ControlType,
    control_batch,
    control_type,
    snapshot_footer,
    snapshot_header,
)
from protocol.errors import BrokerError
from protocol.records import iter_batches, iter_records, read_header, verify_crc
from storage.errors import CorruptLog

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from protocol.types import LeaderEpoch, NodeId, Offset, TimestampMs
    from storage.fs import FileSystem

_NAME: Final = re.compile(r"(\d{20})-(\d{10})\.checkpoint")
_RECORDS_PER_BATCH: Final = 1000


class SnapshotId(NamedTuple):
    """What a snapshot covers; ascends with it."""

    end_offset: Offset
    """First offset of the log that is not in the snapshot."""
    epoch: LeaderEpoch
    """Epoch of the last record that is."""

    @property
    def file_name(self) -> str:
        return f"{self.end_offset:020d}-{self.epoch:010d}.checkpoint"


def parse_snapshot_name(name: str) -> SnapshotId | None:
    """Return what a file's name says of the snapshot in it; None for any other name."""
    match = _NAME.fullmatch(name)
    return None if match is None else SnapshotId(int(match[1]), int(match[2]))


def snapshots_in(fs: FileSystem, directory: str) -> list[SnapshotId]:
    """Return the snapshots in a directory, oldest first."""
    parsed = (parse_snapshot_name(name) for name in fs.listdir(directory))
    return sorted(snapshot for snapshot in parsed if snapshot is not None)


def snapshot_batches(
    records: Iterable[Message], *, epoch: LeaderEpoch, now_ms: TimestampMs, last_timestamp: TimestampMs
) -> Iterator[bytearray]:
    """Yield a snapshot piece by piece; `last_timestamp` is the append time of the last batch it covers."""
    yield control_batch([snapshot_header(last_timestamp)], timestamp_ms=now_ms, leader_epoch=epoch)
    offset = 1
    source = iter(records)
    while batch := list(islice(source, _RECORDS_PER_BATCH)):
        yield metadata_batch(batch, timestamp_ms=now_ms, base_offset=offset, leader_epoch=epoch)
        offset += len(batch)
    yield control_batch([snapshot_footer()], timestamp_ms=now_ms, base_offset=offset, leader_epoch=epoch)


def read_snapshot(fs: FileSystem, path: str) -> Iterator[Message]:
    """Yield the metadata records of a snapshot, after checking that all of it is there.

    Raises: CorruptLog when it is not; UnusableMetadata for a record that cannot be read.
    """
    data = fs.read_file(path)
    batches = _checked_batches(path, data)
    for batch in batches:
        for _, record in read_metadata_batch(batch):
            yield record


def read_snapshot_voters(fs: FileSystem, path: str) -> tuple[NodeId, ...] | None:
    """Return who votes on the metadata, as a snapshot has it from kraft.version 1 on; None where it does not say.

    Raises: CorruptLog when the snapshot is not whole, UnusableMetadata when that record is malformed.
    """
    return read_voters(_checked_batches(path, fs.read_file(path))[0])


def _checked_batches(path: str, data: bytes) -> list[memoryview]:
    batches: list[memoryview] = []
    position = 0
    try:
        for batch in iter_batches(data):
            if not verify_crc(batch):
                raise CorruptLog(path, position, "a batch of the snapshot does not match its checksum")
            batches.append(batch)
            position += len(batch)
    except BrokerError as error:
        raise CorruptLog(path, position, error.text) from error
    if not batches or _control_type(batches[0]) is not ControlType.SNAPSHOT_HEADER:
        raise CorruptLog(path, 0, "the snapshot does not begin with a header")
    if _control_type(batches[-1]) is not ControlType.SNAPSHOT_FOOTER:
        raise CorruptLog(path, position, "the snapshot does not end with a footer")
    return batches


def _control_type(batch: memoryview) -> ControlType | None:
    """Return the kind of the first record of a control batch."""
    if not read_header(batch).is_control:
        return None
    key = next(iter_records(batch)).key
    return None if key is None else control_type(key)
