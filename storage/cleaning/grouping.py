"""Which neighbouring segments are cleaned into one: as many as would fit without cleaning, so that no log ends up in a
thousand small files.

Source: apache/kafka storage/…/log/Cleaner.java (groupSegmentsBySize).
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.types import Offset
from storage.cleaning.job import SourceSegment
from storage.segment import OFFSET_SPAN_MAX


def group_segments(
    segments: Sequence[SourceSegment],
    *,
    segment_bytes: int,
    segment_index_bytes: int,
    end_offset: Offset,
) -> list[list[SourceSegment]]:
    """Groups of consecutive segments within the limits of a single one; `end_offset` is where the last ends at most."""
    groups: list[list[SourceSegment]] = []
    size = offset_index = time_index = 0
    ends = [*(segment.base_offset for segment in segments), end_offset][1:]
    for segment, end in zip(segments, ends, strict=True):
        fits = (
            bool(groups)
            and size + segment.size_bytes <= segment_bytes
            and offset_index + segment.offset_index_bytes <= segment_index_bytes
            and time_index + segment.time_index_bytes <= segment_index_bytes
            and end - 1 - groups[-1][0].base_offset <= OFFSET_SPAN_MAX
        )
        if fits:
            groups[-1].append(segment)
        else:
            groups.append([segment])
            size = offset_index = time_index = 0
        size += segment.size_bytes
        offset_index += segment.offset_index_bytes
        time_index += segment.time_index_bytes
    return groups
