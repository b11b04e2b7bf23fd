"""Which segments of a log have outlived their retention: what counts, and the decision.

Segments go from the oldest on, never one that reaches above the high watermark. Kafka's three reasons, in its
order: all of the segment lies below the log start offset; the log is larger than retention.bytes even without
it; its largest timestamp is older than retention.ms. Without the delete policy only the first counts.
Source: apache/kafka core/…/log/UnifiedLog.scala (deleteOldSegments).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from protocol.types import Offset, TimestampMs
from storage.config import LogConfig

if TYPE_CHECKING:
    from storage.segment_list import SegmentList


class SegmentFacts(NamedTuple):
    """What retention needs to know of a segment."""

    end_offset: Offset
    """Where the next segment begins; the log end offset for the active one."""
    size_bytes: int
    largest_timestamp: TimestampMs
    """Of its records, or the time of its last write where they have none."""
    is_active: bool


def facts_of(
    segments: SegmentList, log_end_offset: Offset, mtime_ms: Callable[[str], TimestampMs]
) -> list[SegmentFacts]:
    """What retention needs to know of a log's segments; `mtime_ms` tells when a file was last written.

    Raises: StorageFailure.
    """
    ends = [*segments.base_offsets[1:], log_end_offset]
    facts: list[SegmentFacts] = []
    for segment, end in zip(reversed(segments), reversed(ends), strict=True):
        largest = segment.largest_timestamp()
        if facts and not segment.size_bytes:
            # Compaction took all of it. Its own time says when that was, and would hold back what follows.
            largest = facts[-1].largest_timestamp
        elif largest < 0:
            largest = segment.created_ms if not segment.size_bytes else mtime_ms(segment.path)
        facts.append(SegmentFacts(end, segment.size_bytes, largest, is_active=not facts))
    return facts[::-1]


def count_expired(
    segments: Sequence[SegmentFacts],
    config: LogConfig,
    *,
    now_ms: TimestampMs,
    log_start_offset: Offset,
    high_watermark: Offset,
) -> int:
    """How many of `segments`, all of the log from the oldest on, may go. Counting the active one means that it
    is to be rolled first; it is never counted while empty.
    """
    candidates = _count_while(
        segments, lambda s: s.end_offset <= high_watermark and not (s.is_active and not s.size_bytes)
    )
    below_start = _count_while(
        segments[:candidates], lambda s: not s.is_active and s.end_offset <= log_start_offset
    )
    if not config.deletes:
        return below_start
    rest = segments[below_start:candidates]
    oversize = _count_oversize(
        rest, sum(s.size_bytes for s in segments[below_start:]), config.retention_bytes
    )
    rest = rest[oversize:]
    too_old = 0
    if config.retention_ms >= 0:
        too_old = _count_while(rest, lambda s: now_ms - s.largest_timestamp > config.retention_ms)
    return below_start + oversize + too_old


def _count_while(segments: Sequence[SegmentFacts], condition: Callable[[SegmentFacts], bool]) -> int:
    return sum(1 for _ in takewhile(condition, segments))


def _count_oversize(segments: Sequence[SegmentFacts], log_bytes: int, retention_bytes: int) -> int:
    if retention_bytes < 0:
        return 0
    excess = log_bytes - retention_bytes
    count = 0
    for segment in segments:
        if excess < segment.size_bytes:
            break
        excess -= segment.size_bytes
        count += 1
    return count
