"""Feeding batches that are in a log already to the producer state, as their append did.

Used when a log is opened, after a truncation, and for what a follower copies: nothing is refused here, the
leader has judged it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from protocol.control_records import read_end_txn_marker
from protocol.records import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader
from protocol.types import Buffer, Offset
from storage.batch_scan import iter_checked
from storage.producer_state import ProducerStateManager
from storage.txn_index import AbortedTxn

if TYPE_CHECKING:
    from storage.segment import Segment


def replay_batch(producers: ProducerStateManager, header: BatchHeader, batch: Buffer) -> AbortedTxn | None:
    """Takes note of one batch in the log; returns what its segment's transaction index must hold of it."""
    if header.producer_id < 0:
        return None
    if not header.attributes & CONTROL_BIT:
        producers.update(
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.last_sequence,
            header.base_offset,
            header.last_offset,
            header.max_timestamp,
            header.attributes & TRANSACTIONAL_BIT != 0,
        )
        return None
    # A cleaner leaves the batch of a marker empty when nothing of its transaction is left.
    marker = read_end_txn_marker(batch) if header.record_count else None
    if marker is None:
        return None
    return producers.update_marker(
        header.producer_id,
        header.producer_epoch,
        marker.coordinator_epoch,
        header.base_offset,
        header.max_timestamp,
        committed=marker.committed,
    )


def replay_segments(
    producers: ProducerStateManager,
    segments: Iterable[Segment],
    start: Offset,
    end: Offset,
    *,
    gaps: bool,
) -> None:
    """Takes note of the batches in `segments` that begin in [start, end). Their transaction indexes are believed.

    Raises: CorruptLog, StorageFailure.
    """
    for segment in segments:
        if segment.base_offset >= end:
            break
        batches = iter_checked(segment.file, 0, segment.size_bytes, due=segment.base_offset, gaps=gaps)
        for _, header, batch in batches:
            if start <= header.base_offset < end:
                replay_batch(producers, header, batch)
