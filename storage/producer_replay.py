"""Feeding batches that are in a log already to the producer state, as their append did.

Used when a log is opened, after a truncation, and for what a follower copies: nothing is refused here, the
leader has judged it.
"""

from __future__ import annotations

from protocol.control_records import read_end_txn_marker
from protocol.records import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader
from protocol.types import Buffer
from storage.producer_state import ProducerStateManager
from storage.txn_index import AbortedTxn


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
