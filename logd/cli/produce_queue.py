"""Records of `logd produce` that wait to be sent, gathered into batches, one line of batches for each partition.

A batch is closed when it is full or when it is sent; only the first of a partition's line is ever on its way, so that
order and sequence numbers survive every retry. No IO here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from protocol.record_builder import RecordBatchBuilder

if TYPE_CHECKING:
    from logd.clients.partitioner import Partitioner
    from protocol.compression import Codec
    from protocol.types import ProducerEpoch, ProducerId, TimestampMs

BATCH_BYTES = 512 << 10
"""Uncompressed. Half of what topics take by default; more makes neither this side nor the broker faster."""

_RECORD_OVERHEAD_BYTES = 21  # the most that lengths, deltas and attributes of a record take

Entry = tuple[bytes | None, bytes | None, int]
"""Key, value, and which record of the input this is, counted from 1."""

_Headers = Sequence[tuple[str, bytes | None]]


class Run(NamedTuple):
    """Records with the same time and headers."""

    timestamp_ms: TimestampMs
    headers: _Headers
    entries: Sequence[Entry]


class Batch:
    """Records that go to one partition together."""

    __slots__ = ("count", "runs", "size_bytes")

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.count = 0
        self.size_bytes = 0

    def add(self, run: Run, size_bytes: int) -> None:
        self.runs.append(run)
        self.count += len(run.entries)
        self.size_bytes += size_bytes

    def number(self, index: int) -> int:
        """Which record of the input stands at a place of the batch; the first one for a place that it does not have."""
        numbers = [number for run in self.runs for _, _, number in run.entries]
        return numbers[index if 0 <= index < len(numbers) else 0]

    def halves(self) -> list[Batch]:
        """Two batches with the same records in the same order; this one has more than one."""
        parts = [Batch(), Batch()]
        middle = self.count // 2
        done = 0
        for run in self.runs:
            cut = min(max(middle - done, 0), len(run.entries))
            for part, entries in zip(parts, (run.entries[:cut], run.entries[cut:]), strict=True):
                if entries:
                    part.add(run._replace(entries=entries), _size(entries, run.headers))
            done += len(run.entries)
        return parts

    def build(
        self, codec: Codec, producer_id: ProducerId, producer_epoch: ProducerEpoch, base_sequence: int
    ) -> bytearray:
        """Return the batch as it goes over the wire."""
        builder = RecordBatchBuilder(
            codec=codec, producer_id=producer_id, producer_epoch=producer_epoch, base_sequence=base_sequence
        )
        for run in self.runs:
            keys, values, _ = zip(*run.entries, strict=True)
            builder.extend(keys, values, timestamp_ms=run.timestamp_ms, headers=run.headers)
        return builder.build()


class ProduceQueue:
    """The batches of one topic. Invariant: `buffered_bytes` is the sum over all batches."""

    def __init__(self, partitioner: Partitioner, *, batch_bytes: int = BATCH_BYTES) -> None:
        self._partitioner = partitioner
        self._batch_bytes = batch_bytes
        self._lines: dict[int, deque[Batch]] = {}
        self._open: dict[int, Batch] = {}  # the last batch of a line, while records may still join it
        self.buffered_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._lines

    @property
    def has_closed_batch(self) -> bool:
        """Whether some batch takes no more records: it is full, or was sent already."""
        return len(self._open) < sum(map(len, self._lines.values()))

    def add(self, run: Run, partition: int | None) -> None:
        """Put records at the end of a partition's line; None: where the key of each belongs."""
        if partition is not None:
            self._append(partition, run)
            return
        of_key = self._partitioner.of_key
        sticky = self._partitioner.sticky
        last_key = run.entries[-1][0]
        if all(entry[0] is last_key for entry in run.entries):  # no keys, or one for all of the input
            self._append(sticky if last_key is None else of_key(last_key), run)
            return
        spread: dict[int, list[Entry]] = {}
        for entry in run.entries:
            key = entry[0]
            spread.setdefault(sticky if key is None else of_key(key), []).append(entry)
        for chosen, entries in spread.items():
            self._append(chosen, run._replace(entries=entries))

    def take(self) -> dict[int, Batch]:
        """Return the first batch of each partition, closed; they stay in line until `settle`."""
        for partition in list(self._open):
            if len(self._lines[partition]) == 1:
                self._close(partition)
        return {partition: line[0] for partition, line in self._lines.items()}

    def settle(self, partition: int) -> None:
        """Drop the first batch of a line: it is delivered."""
        line = self._lines[partition]
        self.buffered_bytes -= line.popleft().size_bytes
        if not line:
            del self._lines[partition]

    def split(self, partition: int) -> None:
        """Put two halves in the place of the first batch of a line, which is closed."""
        line = self._lines[partition]
        line.extendleft(reversed(line.popleft().halves()))

    def _append(self, partition: int, run: Run) -> None:
        size = _size(run.entries, run.headers)
        if size > self._batch_bytes and len(run.entries) > 1:
            middle = len(run.entries) // 2
            self._append(partition, run._replace(entries=run.entries[:middle]))
            self._append(partition, run._replace(entries=run.entries[middle:]))
            return
        batch = self._open.get(partition)
        if batch is not None and batch.size_bytes + size > self._batch_bytes:
            self._close(partition)
            batch = None
        if batch is None:
            batch = self._open[partition] = Batch()
            self._lines.setdefault(partition, deque()).append(batch)
        batch.add(run, size)
        self.buffered_bytes += size

    def _close(self, partition: int) -> None:
        del self._open[partition]
        self._partitioner.batch_closed(partition)


def _size(entries: Sequence[Entry], headers: _Headers) -> int:
    """What records take uncompressed, at most."""
    each = _RECORD_OVERHEAD_BYTES + sum(
        len(name.encode()) + len(value or b"") + 10 for name, value in headers
    )
    return len(entries) * each + sum([len(key or b"") + len(value or b"") for key, value, _ in entries])
