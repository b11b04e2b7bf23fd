"""What is to be cleaned, and what became of it: plain values, which cross to a worker process as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from protocol.types import Offset, ProducerEpoch, ProducerId, TimestampMs
from storage.config import DAY_MS
from storage.txn_index import AbortedTxn


class SourceSegment(NamedTuple):
    """An inactive segment; its files do not change."""

    base_offset: Offset
    size_bytes: int
    offset_index_bytes: int
    time_index_bytes: int


class LastRecord(NamedTuple):
    """The last that an active producer has in the log: it must be found there again."""

    last_data_offset: Offset
    """End of its last batch of data (inclusive); -1 when the log knows only a marker."""
    epoch: ProducerEpoch


@dataclass(frozen=True, slots=True)
class CleaningJob:
    """One pass over one log."""

    directory: str
    segments: tuple[SourceSegment, ...]
    """All below `first_uncleanable_offset`, from the log's first on, in order."""
    first_dirty_offset: Offset
    """Below it, keys are unique already."""
    first_uncleanable_offset: Offset
    """Where a segment begins that must stay as it is, and all behind it."""
    aborted: tuple[AbortedTxn, ...]
    """Aborted transactions with records below `first_uncleanable_offset`."""
    last_records: dict[ProducerId, LastRecord]
    now_ms: TimestampMs
    delete_retention_ms: int = DAY_MS
    """How long tombstones and markers stay after the first pass that finds nothing else to remove about them."""
    segment_bytes: int = 1 << 30
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    memory_bytes: int = 128 << 20
    """Bound of the offset map."""
    load_factor: float = 0.9

    @property
    def size_bytes(self) -> int:
        """Bytes in all segments."""
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def dirty_bytes(self) -> int:
        """Bytes in the segments that the first look reads."""
        pairs = zip(self.segments, self.segment_ends, strict=True)
        return sum(segment.size_bytes for segment, end in pairs if end > self.first_dirty_offset)

    @property
    def work_bytes(self) -> int:
        """What both looks go through."""
        return self.dirty_bytes + self.size_bytes

    @property
    def segment_ends(self) -> list[Offset]:
        """Where each segment ends: where the next one begins."""
        return [*(segment.base_offset for segment in self.segments), self.first_uncleanable_offset][1:]

    def to_json(self) -> dict[str, Any]:
        """As what JSON can say."""
        fields = asdict(self)
        fields["last_records"] = [[key, *last] for key, last in self.last_records.items()]
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> CleaningJob:
        """What `to_json` gave."""
        return cls(
            **{
                **fields,
                "segments": tuple(SourceSegment(*segment) for segment in fields["segments"]),
                "aborted": tuple(AbortedTxn(*txn) for txn in fields["aborted"]),
                "last_records": {key: LastRecord(*last) for key, *last in fields["last_records"]},
            }
        )


class CleanedGroup(NamedTuple):
    """A complete new segment, with its indexes in files that end in .cleaned, durable by content and by name."""

    first_base_offset: Offset
    """Of the first segment whose place it takes, and its own."""
    last_base_offset: Offset
    """Of the last segment whose place it takes."""
    size_bytes: int


class CleaningResult(NamedTuple):
    """What a pass amounted to."""

    next_dirty_offset: Offset
    """All below is clean now."""
    bytes_read: int
    """By both looks at the log, compressed as it lies."""
    bytes_before: int
    """In the segments that were looked at."""
    bytes_after: int
    keys: int
    """Distinct keys of the part that was dirty."""
