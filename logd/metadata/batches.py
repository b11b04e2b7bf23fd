"""Metadata records in batches, as the metadata log and its snapshots hold them.

A batch is one decision: all of it took effect or nothing. Control batches (who leads the log, where a snapshot begins
and ends) carry no metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from protocol.errors import BrokerError, ProtocolViolation
from protocol.record_builder import RecordBatchBuilder
from protocol.records import NO_LEADER_EPOCH, iter_records, read_header
from replication.metadata_image import UnusableMetadata
from replication.metadata_records import decode_record, encode_record

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from protocol.types import Buffer, LeaderEpoch, NodeId, Offset, TimestampMs


def metadata_batch(
    records: Iterable[Message],
    *,
    timestamp_ms: TimestampMs,
    base_offset: Offset = 0,
    leader_epoch: LeaderEpoch = NO_LEADER_EPOCH,
) -> bytearray:
    """Return one batch of `records`, of which there must be some."""
    builder = RecordBatchBuilder(base_offset=base_offset, leader_epoch=leader_epoch)
    for record in records:
        builder.append(encode_record(record), timestamp_ms=timestamp_ms)
    return builder.build()


def read_metadata_batch(batch: Buffer) -> Iterator[tuple[Offset, Message]]:
    """Yield the metadata records of one batch with their offsets; none of a control batch.

    Raises: UnusableMetadata when the batch holds what cannot be read.
    """
    header = read_header(batch)
    if header.is_control:
        return
    try:
        for offset, _, _, value, _ in iter_records(batch):
            yield offset, decode_record(value or b"")
    except BrokerError as error:
        raise UnusableMetadata(
            f"the metadata batch at offset {header.base_offset} is malformed: {error}"
        ) from error


def read_voters(batch: Buffer) -> tuple[NodeId, ...] | None:
    """Return who votes on the metadata, as a control batch has it; None when it does not say.

    Raises: UnusableMetadata when it is malformed.
    """
    from protocol.control_messages import voter_ids  # noqa: PLC0415 - for a take-over, not for every start

    try:
        return voter_ids(batch)
    except (BrokerError, ProtocolViolation) as error:
        raise UnusableMetadata(f"a control batch of the metadata log is malformed: {error}") from error
