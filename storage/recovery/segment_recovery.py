"""Reading a segment from its first byte to its last: checks every batch, makes the indexes anew.

What is damaged is only found here, with its place; what to do about it is the loader's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from protocol.errors import BrokerError
from protocol.records import BatchHeader
from protocol.types import Offset, Position
from storage.batch_scan import iter_checked
from storage.errors import CorruptLog
from storage.segment import Segment


class SegmentScan(NamedTuple):
    """What a scan found: sound batches up to a position, and perhaps damage there."""

    next_offset: Offset
    """Offset behind the last sound batch; the one that was due at first where there is none."""
    end: Position
    """Where the last sound batch ends."""
    damage: CorruptLog | None


def rebuild_segment(
    segment: Segment,
    *,
    due: Offset,
    gaps: bool,
    index_interval_bytes: int,
    on_batch: Callable[[Segment, BatchHeader, memoryview], None] | None,
) -> SegmentScan:
    """Checks every batch, passes it to `on_batch`, and makes offset and time index anew from the sound ones.

    `due` is the offset that it begins with, `gaps` says whether a cleaner may have taken some out. Afterwards
    `segment.size_bytes` ends with the last sound batch, and all below counts as checked; the file itself is not
    changed. Raises: StorageFailure.
    """
    next_offset = due
    file = segment.file
    size = segment.size_bytes
    segment.offset_index.reset()
    segment.time_index.reset()
    segment.forget()
    damage: CorruptLog | None = None
    try:
        for position, header, batch in iter_checked(file, 0, size, due=due, gaps=gaps):
            if header.last_offset > segment.offset_max:
                raise CorruptLog(file.name, position, f"offset {header.last_offset} is too far up")
            if on_batch is not None:
                on_batch(segment, header, batch)
            next_offset = header.last_offset + 1
            segment.note_append(
                position, len(batch), header.last_offset, header.max_timestamp, index_interval_bytes
            )
            if segment.indexes_need_writing:
                segment.write_indexes()
    except CorruptLog as error:
        damage = error
    except BrokerError as error:  # a transaction marker that says nothing
        damage = CorruptLog(file.name, segment.size_bytes, str(error))
    segment.finish_time_index()
    segment.write_indexes()
    segment.checked.add(0, segment.size_bytes)
    return SegmentScan(next_offset, segment.size_bytes, damage)
