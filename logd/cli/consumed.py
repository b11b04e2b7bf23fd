"""Records on their way to standard output: what `logd consume` makes of a fetched batch, for a format to render."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from protocol.record_columns import read_columns
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.fetched import FetchedBatch
    from protocol.types import NodeId, Offset, TimestampMs


class Source(NamedTuple):
    """Where records come from."""

    topic: str
    partition: int
    broker: NodeId

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Records(NamedTuple):
    """Records of one batch as columns of one length, in the order of the log."""

    source: Source
    is_log_append_time: bool
    offsets: Sequence[Offset]
    timestamps_ms: Sequence[TimestampMs]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[bytes]
    """As `protocol.record_columns.RecordColumns.headers`."""

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.offsets)

    def first(self, number: int) -> Records:
        """The first `number` of them, all where there are fewer."""
        if number >= self.size:
            return self
        return Records(
            self.source,
            self.is_log_append_time,
            self.offsets[:number],
            self.timestamps_ms[:number],
            self.keys[:number],
            self.values[:number],
            self.headers[:number],
        )

    def between(self, start: Offset, end: Offset | None) -> Records:
        """Those from `start` (inclusive) to `end` (exclusive, None: no bound)."""
        offsets = self.offsets
        if not offsets or (offsets[0] >= start and (end is None or offsets[-1] < end)):
            return self
        wanted = [start <= offset and (end is None or offset < end) for offset in offsets]
        return Records(
            self.source,
            self.is_log_append_time,
            list(compress(offsets, wanted)),
            list(compress(self.timestamps_ms, wanted)),
            list(compress(self.keys, wanted)),
            list(compress(self.values, wanted)),
            list(compress(self.headers, wanted)),
        )

    def before(self, time_ms: TimestampMs) -> Records:
        """Those that stand before the first with a timestamp of `time_ms` or later."""
        return self.first(
            next((at for at, each in enumerate(self.timestamps_ms) if each >= time_ms), self.size)
        )


def read_records(batch: FetchedBatch, source: Source) -> Records:
    """Decompress and read a batch.

    Raises: BrokerError INVALID_RECORD when its records cannot be read.
    """
    header = batch.header
    columns = read_columns(batch.body(), header.record_count)
    base_offset = header.base_offset
    base_timestamp = header.base_timestamp
    return Records(
        source,
        header.is_log_append_time,
        [base_offset + delta for delta in columns.offset_deltas],
        [header.max_timestamp] * header.record_count
        if header.is_log_append_time
        else [base_timestamp + delta for delta in columns.timestamp_deltas],
        columns.keys,
        columns.values,
        columns.headers,
    )
