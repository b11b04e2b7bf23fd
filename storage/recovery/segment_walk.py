"""Where a segment ends, told from batch headers and indexes without reading all of it.

Nothing here checks a checksum: it is for segments that are believed.
"""

from __future__ import annotations

from protocol.types import Offset
from storage.batch_scan import iter_spans
from storage.errors import CorruptLog
from storage.segment import Segment

_UNINDEXED_BYTES_MAX = 16 << 20
"""More than this behind the last index entry means that entries were lost. A batch may be large, and a follower
of Kafka's makes one entry per fetch, so a little says nothing."""


def walk_from_indexes(segment: Segment, bytes_max: int) -> Offset | None:
    """Where the segment ends, by the headers from the largest timestamp on, or from the last place in the offset
    index if that comes first; None when either index cannot be right.

    More than `bytes_max` between the two are skipped: then a later timestamp in between goes unseen.
    """
    try:
        if not (segment.offset_index.is_whole() and segment.time_index.is_whole()):
            return None
        return _walk_from_last_entries(segment, bytes_max)
    except CorruptLog:
        return None


def _walk_from_last_entries(segment: Segment, bytes_max: int) -> Offset | None:
    size, base_offset = segment.size_bytes, segment.base_offset
    largest, largest_at = segment.time_index.last_entry()
    start = segment.offset_index.lookup(largest_at)
    last = segment.offset_index.lookup(segment.offset_max)
    if not 0 <= start[1] <= last[1] <= max(size - 1, 0) or size - last[1] > _UNINDEXED_BYTES_MAX:
        return None
    skips = last[1] - start[1] > bytes_max
    found, end = largest < 0, base_offset
    for indexed, position, _ in (start, last) if skips else (start,):
        for span in iter_spans(segment.file, position, size):
            if span.position == position and indexed >= base_offset and span.last_offset != indexed:
                return None
            if span.max_timestamp > largest:
                return None
            found |= span.last_offset == largest_at and span.max_timestamp == largest
            if span.last_offset >= largest_at and not found:
                return None
            end = span.last_offset + 1
            if skips and found and position == start[1]:
                break
    return end if found else None
