"""File image of a partition's producer state (`<end offset, 20 digits>.snapshot`).

A snapshot says what `ProducerStateManager` knew when the log ended (exclusively) at the offset in its name, so
that opening a log replays only what came after. It keeps the *last* batch of each producer, not all five. Of a
compacted log it knows more than the batches that are left.

Invariant: one that is sound, and not above the log's end, speaks of the records that the log holds or held until
compaction. So what cuts a log removes those above its new end, durably, before anything is appended.

Layout, big-endian: int16 version (1) | uint32 crc | int32 count | count × entry. The CRC-32C covers everything
behind it, the count included. Entry, 46 bytes: int64 producer id | int16 epoch | int32 last sequence |
int64 last offset | int32 last offset - first offset of that batch | int64 timestamp ms |
int32 coordinator epoch | int64 first offset of the open transaction. -1 stands for none throughout, and the
offset delta is then 0.
Source: KIP-98; apache/kafka storage/…/log/ProducerStateManager.java, resources/message/ProducerSnapshot.json.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct
from typing import NamedTuple

from protocol.crc import crc32c
from protocol.types import Offset, ProducerEpoch, ProducerId, TimestampMs

SUFFIX = ".snapshot"
VERSION = 1

_HEADER = Struct(">hIi")
_ENTRY = Struct(">qhiqiqiq")
_CRC_COVERS_FROM = 6


class CorruptSnapshot(Exception):
    """The bytes are no producer snapshot, or a damaged one; the state must come from elsewhere."""


class SnapshotEntry(NamedTuple):
    """What a snapshot keeps of one producer; -1 stands for none."""

    producer_id: ProducerId
    epoch: ProducerEpoch
    last_sequence: int
    last_offset: Offset
    offset_delta: int
    timestamp_ms: TimestampMs
    coordinator_epoch: int
    txn_first_offset: Offset


def file_name(end_offset: Offset) -> str:
    """Return the name of the snapshot taken when the log ended (exclusively) at `end_offset`."""
    return f"{end_offset:020d}{SUFFIX}"


def end_offset_of(name: str) -> Offset | None:
    """Return the offset in a snapshot's file name; None for the name of any other file."""
    stem, dot, _ = name.rpartition(SUFFIX)
    if dot and len(name) == 20 + len(SUFFIX) and stem.isascii() and stem.isdigit():
        return int(stem)
    return None


def encode(entries: Collection[SnapshotEntry]) -> bytes:
    """Return the file image of `entries`."""
    out = bytearray(_HEADER.pack(VERSION, 0, len(entries)))
    for entry in entries:
        out += _ENTRY.pack(*entry)
    _HEADER.pack_into(out, 0, VERSION, crc32c(memoryview(out)[_CRC_COVERS_FROM:], 0), len(entries))
    return bytes(out)


def decode(data: bytes) -> list[SnapshotEntry]:
    """Return the entries of a file image.

    Raises: CorruptSnapshot for anything that `encode` cannot have written, torn and empty files included.
    """
    if len(data) < _HEADER.size:
        raise CorruptSnapshot(f"{len(data)} bytes are too few")
    version, crc, count = _HEADER.unpack_from(data)
    if version != VERSION:
        raise CorruptSnapshot(f"unknown version {version}")
    if len(data) != _HEADER.size + count * _ENTRY.size:
        raise CorruptSnapshot(f"{count} entries do not fit {len(data)} bytes")
    if crc32c(memoryview(data)[_CRC_COVERS_FROM:], 0) != crc:
        raise CorruptSnapshot("checksum mismatch")
    return [SnapshotEntry._make(fields) for fields in _ENTRY.iter_unpack(memoryview(data)[_HEADER.size :])]
