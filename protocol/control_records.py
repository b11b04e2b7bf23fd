"""Control batches: what brokers write between the records of clients, and consumers skip.

A control record has the key int16 version (0) | int16 type. Two families:
  transaction markers   one COMMIT or ABORT in a batch of its own, transactional, with the producer's id and epoch,
                        without sequence; value int16 version (0) | int32 coordinator_epoch.
  metadata log          LEADER_CHANGE opens each epoch; a snapshot starts with a SNAPSHOT_HEADER batch (which also
                        holds KRAFT_VERSION and KRAFT_VOTERS from kraft.version 1 on) and ends with SNAPSHOT_FOOTER.
                        Values are flexible structs whose first field is their version.

Source: KIP-98, KIP-595, KIP-630, KIP-853. Checked against EndTransactionMarker.java, ControlRecordUtils.java and
RecordsSnapshotWriter.java.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from protocol.errors import BrokerError, ErrorCode
from protocol.primitives import (
    write_compact_string,
    write_int16,
    write_int32,
    write_int64,
    write_uint16,
    write_uuid,
    write_uvarint,
)
from protocol.record_builder import RecordBatchBuilder
from protocol.records import ATTRIBUTES_POSITION, CODEC_MASK, HEADER_SIZE, NO_LEADER_EPOCH, iter_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.types import Buffer, LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TimestampMs

_KEY = Struct(">hh")
_KEY_VERSION = 0
_MARKER = Struct(">hi")
_MARKER_VERSION = 0

#: The one record of a marker as all brokers write it: length, attributes, two deltas and key length; key; value length
#: and version; coordinator epoch; header count. Lengths are zigzag varints: of 16 bytes, 4 and 6.
_USUAL_RECORD = Struct(">5s4s3siB")
_USUAL_SIZE = HEADER_SIZE + _USUAL_RECORD.size
_USUAL_START = bytes((32, 0, 0, 0, 8))
_USUAL_VALUE_START = bytes((12, 0, _MARKER_VERSION))


class ControlType(IntEnum):
    """Second half of a control record's key."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


_ABORT_KEY = _KEY.pack(_KEY_VERSION, ControlType.ABORT)
_COMMIT_KEY = _KEY.pack(_KEY_VERSION, ControlType.COMMIT)

ControlRecord = tuple[ControlType, bytes]
"""A control record as type and value."""


class EndTxnMarker(NamedTuple):
    """What a transaction marker says."""

    committed: bool
    coordinator_epoch: int


class Voter(NamedTuple):
    """One member of the metadata quorum: `endpoints` are (listener name, host, port)."""

    voter_id: NodeId
    directory_id: bytes
    endpoints: tuple[tuple[str, str, int], ...]
    kraft_version_min: int
    kraft_version_max: int


def end_txn_marker(
    *,
    committed: bool,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    coordinator_epoch: int,
    timestamp_ms: TimestampMs,
) -> bytearray:
    """Return the batch that ends a transaction on one partition."""
    builder = RecordBatchBuilder(
        producer_id=producer_id, producer_epoch=producer_epoch, transactional=True, control=True
    )
    kind = ControlType.COMMIT if committed else ControlType.ABORT
    value = _MARKER.pack(_MARKER_VERSION, coordinator_epoch)
    builder.append(value, key=_KEY.pack(_KEY_VERSION, kind), timestamp_ms=timestamp_ms)
    return builder.build()


def read_end_txn_marker(batch: Buffer) -> EndTxnMarker | None:
    """Return what a control batch says of a transaction, None when it is no transaction marker, or one of which
    compaction left only who wrote it.

    Raises: BrokerError INVALID_RECORD when the record is cut short or of a version below 0.
    """
    usual = _read_usual(batch) if len(batch) == _USUAL_SIZE else None
    if usual is not None:
        return usual
    record = next(iter_records(batch), None)
    if record is None:
        return None
    if record.key is None or len(record.key) < _KEY.size:
        raise BrokerError(ErrorCode.INVALID_RECORD, "A control batch needs a record with a control key.")
    kind = control_type(record.key)
    if kind not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    if record.value is None or len(record.value) < _MARKER.size:
        raise BrokerError(ErrorCode.INVALID_RECORD, "A transaction marker is cut short.")
    version, coordinator_epoch = _MARKER.unpack_from(record.value)
    if version < _MARKER_VERSION:
        raise BrokerError(ErrorCode.INVALID_RECORD, f"A transaction marker has version {version}.")
    return EndTxnMarker(kind == ControlType.COMMIT, coordinator_epoch)


def _read_usual(batch: Buffer) -> EndTxnMarker | None:
    """Return what a marker in the usual bytes says, None for any other; each transaction has several of these read."""
    if batch[ATTRIBUTES_POSITION + 1] & CODEC_MASK:
        return None
    start, key, value_start, coordinator_epoch, headers = _USUAL_RECORD.unpack_from(batch, HEADER_SIZE)
    if start != _USUAL_START or value_start != _USUAL_VALUE_START or headers:
        return None
    if key == _COMMIT_KEY:
        return EndTxnMarker(True, coordinator_epoch)
    return EndTxnMarker(False, coordinator_epoch) if key == _ABORT_KEY else None


def control_type(key: Buffer) -> ControlType | None:
    """Return what kind of control record has this key of at least four bytes, None for a kind not known here."""
    version, kind = _KEY.unpack_from(key)
    known = version >= _KEY_VERSION and 0 <= kind <= ControlType.KRAFT_VOTERS
    return ControlType(kind) if known else None


def control_batch(
    records: Sequence[ControlRecord],
    *,
    timestamp_ms: TimestampMs,
    base_offset: Offset = 0,
    leader_epoch: LeaderEpoch = NO_LEADER_EPOCH,
) -> bytearray:
    """Return one control batch of the metadata log."""
    builder = RecordBatchBuilder(base_offset=base_offset, leader_epoch=leader_epoch, control=True)
    for kind, value in records:
        builder.append(value, key=_KEY.pack(_KEY_VERSION, kind), timestamp_ms=timestamp_ms)
    return builder.build()


def leader_change(
    leader_id: NodeId, voters: Sequence[NodeId], granting_voters: Sequence[NodeId]
) -> ControlRecord:
    """Return the record that opens an epoch of the metadata log, in the version of kraft.version 0."""
    out = bytearray()
    write_int16(out, 0)
    write_int32(out, leader_id)
    for voter_ids in (voters, granting_voters):
        write_uvarint(out, len(voter_ids) + 1)
        for voter_id in voter_ids:
            write_int32(out, voter_id)
            write_uvarint(out, 0)
    write_uvarint(out, 0)
    return ControlType.LEADER_CHANGE, bytes(out)


def snapshot_header(last_contained_log_timestamp: TimestampMs) -> ControlRecord:
    """Return the first record of a snapshot: the append time of the last batch that went into it."""
    out = bytearray()
    write_int16(out, 0)
    write_int64(out, last_contained_log_timestamp)
    write_uvarint(out, 0)
    return ControlType.SNAPSHOT_HEADER, bytes(out)


def snapshot_footer() -> ControlRecord:
    """Return the last record of a snapshot; one without it is not whole."""
    return ControlType.SNAPSHOT_FOOTER, b"\x00\x00\x00"


def kraft_version(level: int) -> ControlRecord:
    """Return the record of the finalised level of the feature kraft.version."""
    out = bytearray()
    write_int16(out, 0)
    write_int16(out, level)
    write_uvarint(out, 0)
    return ControlType.KRAFT_VERSION, bytes(out)


def kraft_voters(voters: Sequence[Voter]) -> ControlRecord:
    """Return the record of the quorum's members, of kraft.version 1 on."""
    out = bytearray()
    write_int16(out, 0)
    write_uvarint(out, len(voters) + 1)
    for voter in voters:
        write_int32(out, voter.voter_id)
        write_uuid(out, voter.directory_id)
        write_uvarint(out, len(voter.endpoints) + 1)
        for name, host, port in voter.endpoints:
            write_compact_string(out, name)
            write_compact_string(out, host)
            write_uint16(out, port)
            write_uvarint(out, 0)
        write_int16(out, voter.kraft_version_min)
        write_int16(out, voter.kraft_version_max)
        write_uvarint(out, 0)  # of the version range
        write_uvarint(out, 0)  # of the voter
    write_uvarint(out, 0)
    return ControlType.KRAFT_VOTERS, bytes(out)
