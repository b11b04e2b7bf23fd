"""What a consumer takes from a fetched stretch of a partition: whole batches, without markers and aborted transactions.

A stretch starts with the batch that holds the offset asked for, so its first records may lie before it, and ends where
the size limit fell, so its last batch may be cut. Under read_committed the broker names the aborted transactions that
touch the stretch as (producer id, first offset); such a producer's transactional batches are dropped from that offset
on, until its ABORT marker. Under read_uncommitted it names none, and only the markers themselves are dropped.

Source: KIP-98. Checked against CompletedFetch.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from protocol.control_records import read_end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.records import BatchHeader, iter_batches, read_header, record_bytes, verify_crc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.types import Buffer, Offset, ProducerId


class FetchedBatch(NamedTuple):
    """A batch whose records a consumer may see."""

    header: BatchHeader
    batch: memoryview

    def body(self) -> bytes:
        """Return its records uncompressed.

        Raises: BrokerError INVALID_RECORD when they cannot be decompressed.
        """
        return bytes(record_bytes(self.batch, self.header))


class Fetched(NamedTuple):
    """The batches of one stretch, and where to read on."""

    batches: list[FetchedBatch]
    next_offset: Offset
    """Offset after the last whole batch, dropped ones included; the offset asked for when there is none."""


def readable_batches(
    records: Buffer | None, offset: Offset, aborted: Iterable[tuple[ProducerId, Offset]] = ()
) -> Fetched:
    """Sort out one partition's answer to a fetch from `offset` on.

    Raises: BrokerError CORRUPT_MESSAGE when a batch does not have the checksum it states, or is none.
    """
    to_come = sorted(
        aborted, key=lambda each: each[1], reverse=True
    )  # the first to begin is the last of the list
    aborting: set[ProducerId] = set()
    batches: list[FetchedBatch] = []
    next_offset = offset
    for batch in iter_batches(records or b""):
        header = read_header(batch)
        if header.last_offset < offset:
            continue
        if not verify_crc(batch):
            text = f"The batch at offset {header.base_offset} does not have the checksum that it states."
            raise BrokerError(ErrorCode.CORRUPT_MESSAGE, text)
        next_offset = header.last_offset + 1
        while to_come and to_come[-1][1] <= header.last_offset:
            aborting.add(to_come.pop()[0])
        if header.is_control:
            marker = read_end_txn_marker(batch)
            if marker is not None and not marker.committed:
                aborting.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in aborting):
            batches.append(FetchedBatch(header, batch))
    return Fetched(batches, next_offset)
