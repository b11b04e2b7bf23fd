"""When the active segment is to take no more.

Not here: making the next one (segment_files.py), and the comparison itself, which every append makes by itself: with
the segment's `roll_above_timestamp`, `roll_above_now` and `offset_max`, which are set here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.crc import crc32c
from storage.errors import StorageFailure

if TYPE_CHECKING:
    from storage.config import LogConfig
    from storage.segment import Segment


def set_roll_time(segment: Segment, config: LogConfig) -> None:
    """Sets when a segment that holds a batch has reached its age; one that does not has no age."""
    if segment.size_bytes:
        segment_ms = config.segment_ms_max
        jitter_max = min(config.segment_jitter_ms, segment_ms)
        # Spread by name instead of by chance, so that a simulation replays.
        jitter = crc32c(segment.path.encode(), 0) % jitter_max if jitter_max > 0 else 0
        segment.set_roll_time(segment_ms - jitter)


def note_index_growth(segment: Segment, config: LogConfig) -> None:
    """Sees to indexes that grew: full ones end the segment, entries in memory are written out from time to time."""
    bytes_max = config.segment_index_bytes
    offset_index, time_index = segment.offset_index, segment.time_index
    if (
        offset_index.entries >= bytes_max // offset_index.ENTRY.size
        or time_index.entries >= bytes_max // time_index.ENTRY.size - 1  # one is kept for rolling
    ):
        segment.offset_max = -1
    if segment.indexes_need_writing:
        write_indexes(segment)


def write_indexes(segment: Segment) -> None:
    """Moves index entries to their files, if the disk has room. Raises: StorageFailure."""
    try:
        segment.write_indexes()
    except StorageFailure as failure:
        if failure.fatal:  # a full disk only means that the entries wait in memory a while longer
            raise
