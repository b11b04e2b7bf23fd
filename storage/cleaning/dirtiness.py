"""How much of a log is dirty, what of it may be cleaned, and whether that is worth a pass: decisions only.

Cleaned is nothing above the last stable offset, nor the active segment, nor what is not on disk yet, nor a segment with
a record younger than min.compaction.lag.ms. Worth it is what has more dirty bytes in it than min.cleanable.dirty.ratio,
or a dirty record older than max.compaction.lag.ms.
Source: KIP-58, KIP-354. Checked against LogCleanerManager.java (cleanableOffsets) and LogToClean.java; that everything
is on disk is our own condition: what recovery may look at again stays as it was written.
"""

from __future__ import annotations

from typing import NamedTuple

from protocol.types import Offset, TimestampMs
from storage.cleaning.job import CleaningJob, LastRecord, SourceSegment
from storage.config import NO_LIMIT
from storage.log import Log
from storage.offset_index import OffsetIndex
from storage.time_index import TimeIndex


class Dirtiness(NamedTuple):
    """What a look at a log's segments says."""

    first_dirty_offset: Offset
    first_uncleanable_offset: Offset
    """Where a segment begins; not below the segment of the first dirty offset."""
    clean_bytes: int
    cleanable_bytes: int
    """Dirty, and may be cleaned."""
    is_overdue: bool
    """Whether max.compaction.lag.ms asks for a pass."""

    @property
    def ratio(self) -> float:
        """Dirty share of what may be cleaned, 0 to 1."""
        total = self.clean_bytes + self.cleanable_bytes
        return self.cleanable_bytes / total if total else 0.0

    def is_worth_a_pass(self, log: Log) -> bool:
        """Whether a pass is due by the log's settings."""
        if not self.cleanable_bytes:
            return False
        return self.is_overdue or self.ratio > log.config.min_cleanable_dirty_ratio


def look_at(
    log: Log, cleaned_to: Offset | None, last_stable_offset: Offset, now_ms: TimestampMs
) -> Dirtiness:
    """`cleaned_to` is the first dirty offset as it was after the last pass, None before the first one.

    May read the head of some segments. Raises: CorruptLog, StorageFailure.
    """
    first_dirty = log.log_start_offset if cleaned_to is None else cleaned_to
    if not log.log_start_offset <= first_dirty <= log.log_end_offset:
        # Below: retention went on. Above: the log lost its end. Either way all of it may be dirty.
        first_dirty = log.log_start_offset
    bound = min(last_stable_offset, log.durable_end, log.segments[-1].base_offset)
    segments = log.segments[:-1]
    ends = [segment.base_offset for segment in log.segments[1:]]
    youngest_ms = now_ms - log.config.min_compaction_lag_ms
    clean = cleanable = 0
    uncleanable = log.segments[0].base_offset
    oldest_ms = NO_LIMIT
    for segment, end in zip(segments, ends, strict=True):
        is_dirty = end > first_dirty
        if end > bound or (
            is_dirty and log.config.min_compaction_lag_ms > 0 and segment.largest_timestamp() > youngest_ms
        ):
            break
        uncleanable = end
        # One in which the last pass ended counts as both.
        clean += segment.size_bytes if segment.base_offset < first_dirty else 0
        cleanable += segment.size_bytes if is_dirty else 0
        if is_dirty and log.config.max_compaction_lag_ms != NO_LIMIT and segment.size_bytes:
            first_ms = segment.first_batch_timestamp()
            if first_ms > 0:
                oldest_ms = min(oldest_ms, first_ms)
    is_overdue = oldest_ms < now_ms - log.config.max_compaction_lag_ms
    return Dirtiness(first_dirty, uncleanable, clean, cleanable, is_overdue)


def job_for(
    log: Log, dirtiness: Dirtiness, now_ms: TimestampMs, *, memory_bytes: int, load_factor: float
) -> CleaningJob:
    """A pass over what may be cleaned. Raises: CorruptLog, StorageFailure."""
    config = log.config
    return CleaningJob(
        directory=log.directory,
        segments=tuple(
            SourceSegment(
                segment.base_offset,
                segment.size_bytes,
                segment.offset_index.entries * OffsetIndex.ENTRY.size,
                segment.time_index.entries * TimeIndex.ENTRY.size,
            )
            for segment in log.segments
            if segment.base_offset < dirtiness.first_uncleanable_offset
        ),
        first_dirty_offset=dirtiness.first_dirty_offset,
        first_uncleanable_offset=dirtiness.first_uncleanable_offset,
        aborted=tuple(
            txn
            for segment in log.segments
            for txn in segment.txn_index.entries
            if txn.first_offset < dirtiness.first_uncleanable_offset
        ),
        last_records={
            producer_id: LastRecord(state.batches[-1][3] if state.batches else -1, state.epoch)
            for producer_id, state in log.producers.producers.items()
        },
        now_ms=now_ms,
        delete_retention_ms=config.delete_retention_ms,
        segment_bytes=config.segment_bytes,
        segment_index_bytes=config.segment_index_bytes,
        index_interval_bytes=config.index_interval_bytes,
        memory_bytes=memory_bytes,
        load_factor=load_factor,
    )
