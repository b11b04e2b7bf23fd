"""The first look at a log: which of its dirty records are superseded by later ones.

It goes through the dirty batches until the offset map is full; where that is, this pass ends, and the next one begins.
Records of aborted transactions supersede nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from protocol.control_records import read_end_txn_marker
from protocol.record_keys import read_keys
from protocol.records import BatchHeader, record_bytes
from protocol.types import Offset
from storage.cleaning.job import CleaningJob
from storage.cleaning.source import Source
from storage.cleaning.transactions import CleanedTransactions
from storage.offset_map import OffsetMap


class Marked(NamedTuple):
    """What the first look found."""

    map: OffsetMap
    """With a mark for each record in a batch of data that reaches the first dirty offset and begins below `end`."""
    end: Offset
    """Where the pass ends: a batch begins here that the map does not know, or nothing that may be cleaned is left."""


def mark_superseded(job: CleaningJob, source: Source) -> Marked:
    """Reads what is dirty. Raises: CorruptLog, StorageFailure; BrokerError INVALID_RECORD."""
    offset_map = OffsetMap(job.memory_bytes, job.load_factor)
    transactions = CleanedTransactions(job.aborted)
    end = max(job.first_uncleanable_offset, job.first_dirty_offset)
    for header, batch in _dirty_batches(job, source):
        count = header.record_count
        if header.is_control:
            marker = read_end_txn_marker(batch)
            if marker is not None:
                transactions.on_marker(header, committed=marker.committed)
            continue
        is_aborted = transactions.on_data(header)
        if not offset_map.has_room(count):
            end = header.base_offset
            break
        if is_aborted:
            offset_map.skip(count)
        else:
            offset_map.add(*read_keys(bytes(record_bytes(batch, header)), count))
    offset_map.settle()
    return Marked(offset_map, end)


def _dirty_batches(job: CleaningJob, source: Source) -> Iterator[tuple[BatchHeader, memoryview]]:
    for segment, end in zip(job.segments, job.segment_ends, strict=True):
        if end > job.first_dirty_offset:
            for _, header, batch in source.batches(segment):
                if header.last_offset >= job.first_dirty_offset:
                    yield header, batch
