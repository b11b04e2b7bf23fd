"""A log does what a plain list of batches does, whatever is done to it and in whatever order.

Method: random lists of operations run on a log and on a list; after each, offsets agree, and reads at any offset with
any limit give the list's own bytes. The file system is in memory; it may claim that its pages are on disk only, so
that reads take the cold way. A reopening may be clean or not; nothing that was written is lost, since memory forgets
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.records import iter_batches, iter_records, read_header
from storage.config import LogConfig
from storage.log import Log
from tests.support.logs import NOW_MS, EvictingFileSystem, append, flush, make_batch, open_log, read, read_all

CONFIG = LogConfig(segment_bytes=1500, index_interval_bytes=150, segment_index_bytes=8 * 12, retention_ms=-1)
PRODUCERS = 3

fraction = st.floats(0, 1)
operation = st.one_of(
    st.tuples(
        st.just("append"),
        st.integers(-1, PRODUCERS - 1),
        st.integers(1, 4),
        st.integers(0, 250),
        st.integers(-50, 50),
    ),
    st.tuples(st.just("read"), fraction, fraction, st.integers(1, 2000), st.booleans()),
    st.tuples(st.just("lookup"), st.integers(-60, 60)),
    st.tuples(st.just("roll")),
    st.tuples(st.just("flush")),
    st.tuples(st.just("truncate"), fraction),
    st.tuples(st.just("advance"), fraction),
    st.tuples(st.just("retain"), st.integers(0, 6000)),
    st.tuples(st.just("retry"), fraction),
    st.tuples(st.just("resident"), st.booleans()),
    st.tuples(st.just("reopen"), st.booleans()),
    st.tuples(st.just("restart_at"), st.integers(0, 50)),
)


@dataclass
class Model:
    """The list, and what must be remembered of it."""

    batches: list[bytes] = field(default_factory=list)
    start: int = 0
    end: int = 0
    flushed: int = 0

    @property
    def visible(self) -> list[bytes]:
        return [batch for batch in self.batches if read_header(batch).last_offset >= self.start]

    def next_sequence(self, producer: int) -> int:
        headers = [read_header(batch) for batch in self.batches]
        return max((h.last_sequence + 1 for h in headers if h.producer_id == producer), default=0)

    def boundary(self, at: float) -> int:
        """Some offset between start and end where a batch begins, or the end."""
        bases = [read_header(batch).base_offset for batch in self.visible]
        choices = [*(base for base in bases if base >= self.start), self.end]
        return choices[round(at * (len(choices) - 1))]


class Machine:
    """Log and list side by side."""

    def __init__(self) -> None:
        self.fs = EvictingFileSystem()
        self.model = Model()
        self.time = 0
        self.log: Log = open_log(self.fs, CONFIG)[0]

    def append(self, producer: int, count: int, size: int, drift: int) -> None:
        named: dict[str, Any] = {}
        if producer >= 0:
            sequence = self.model.next_sequence(producer)
            named = {"producer_id": producer, "producer_epoch": 0, "base_sequence": sequence}
        self.time += 1
        batch = make_batch(count, size=size, timestamp_ms=NOW_MS + self.time + drift, **named)
        result = append(self.log, batch, leader_epoch=self.time // 10)
        assert (result.base_offset, result.last_offset) == (self.model.end, self.model.end + count - 1)
        assert not result.duplicate
        self.model.batches.append(bytes(batch))
        self.model.end += count

    def retry(self, at: float) -> None:
        """One of the last five batches of a producer, sent again, is answered with its own offsets."""
        with_id = [b for b in self.model.batches if read_header(b).producer_id == 0]
        # What retention took may be gone from the producer state after a reopening; the newest is kept longest.
        if not with_id or read_header(with_id[-1]).base_offset < self.model.start:
            return
        batch = with_id[-1]
        header = read_header(batch)
        again = bytearray(batch)
        again[0:8] = bytes(8)
        result = append(self.log, again)
        assert result.duplicate
        assert (result.base_offset, result.last_offset) == (header.base_offset, header.last_offset)

    def read(self, at: float, upper_at: float, max_bytes: int, min_one: bool) -> None:
        model = self.model
        offset = model.start + round(at * (model.end - model.start))
        upper = model.boundary(upper_at)
        result = read(self.log, offset, max_bytes, upper, min_one=min_one)
        expected = [b for b in model.visible if read_header(b).last_offset >= offset]
        expected = [b for b in expected if read_header(b).base_offset < upper] if offset < upper else []
        got = result.region.read() if result.region is not None else b""
        assert b"".join(expected).startswith(got)
        batches = list(iter_batches(got))
        assert sum(map(len, batches)) == len(got)
        assert len(got) <= max_bytes or len(batches) == 1
        if expected and (min_one or len(expected[0]) <= max_bytes):
            assert batches
            assert result.next_offset == read_header(batches[-1]).last_offset + 1

    def lookup(self, drift: int) -> None:
        target = NOW_MS + self.time + drift
        records = [r for b in self.model.visible for r in iter_records(b) if r.offset >= self.model.start]
        wanted = next((r for r in records if r.timestamp_ms >= target), None)
        found = self.log.lookup_timestamp(target).run()
        assert (found is None) == (wanted is None)
        if found and wanted:
            assert (found.timestamp_ms, found.offset) == (wanted.timestamp_ms, wanted.offset)
        latest = self.log.max_timestamp().run()
        assert (latest is None) == (not records)
        if latest and records:
            largest = max(records, key=lambda r: (r.timestamp_ms, -r.offset))
            assert (latest.timestamp_ms, latest.offset) == (largest.timestamp_ms, largest.offset)

    def roll(self) -> None:
        self.log.roll(NOW_MS)

    def flush(self) -> None:
        flush(self.log)
        self.model.flushed = self.model.end

    def truncate(self, at: float) -> None:
        offset = self.model.boundary(at)
        self.log.truncate_to(offset, NOW_MS)
        self.model.batches = [b for b in self.model.batches if read_header(b).last_offset < offset]
        self.model.end = offset
        self.model.start = min(self.model.start, offset)
        self.model.flushed = min(self.model.flushed, offset)

    def restart_at(self, offset: int) -> None:
        self.log.truncate_fully_and_start_at(offset, NOW_MS)
        self.model = Model(start=offset, end=offset, flushed=offset)

    def advance(self, at: float) -> None:
        offset = self.model.start + round(at * (self.model.end - self.model.start))
        self.log.advance_log_start_offset(offset)
        self.model.start = offset

    def retain(self, retention_bytes: int) -> None:
        log = self.log
        log.configure(LogConfig(**{**_fields(CONFIG), "retention_bytes": retention_bytes}))
        plan = log.delete_old_segments(NOW_MS, log.log_end_offset)
        log.configure(CONFIG)
        if plan is not None:
            plan.run()
            assert not any(self.fs.exists(path) for path in plan.paths)
        assert log.log_start_offset >= self.model.start
        assert log.log_start_offset <= max(self.model.flushed, self.model.start)
        self.model.start = log.log_start_offset

    def resident(self, resident: bool) -> None:
        self.fs.resident = resident

    def reopen(self, clean: bool) -> None:
        if clean:
            self.log.close()
            assert self.log.recovery_point == self.log.log_end_offset
        recovery_point, start = self.log.recovery_point, self.log.log_start_offset
        before = self.log
        self.log, report = open_log(
            self.fs, CONFIG, recovery_point=recovery_point, log_start_offset=start, clean=clean
        )
        self.model.flushed = max(self.model.flushed, self.log.recovery_point)
        assert report.cut_offset == -1
        assert report.rebuilt_segments == []
        if clean:
            assert report.scanned_segments == 0
        kept = before.producers.producers
        for producer_id, state in self.log.producers.producers.items():
            assert state.next_sequence == kept[producer_id].next_sequence
        assert _begun_epochs(self.log) == _begun_epochs(before)

    def check(self) -> None:
        log, model = self.log, self.model
        assert (log.log_start_offset, log.log_end_offset) == (model.start, model.end)
        assert model.start <= model.end and log.recovery_point <= model.end
        assert log.size_bytes == sum(segment.size_bytes for segment in log.segments)


def _begun_epochs(log: Log) -> list[tuple[int, int]]:
    """Epochs with a record; one without may be forgotten or remembered."""
    return [entry for entry in log.leader_epochs.entries if entry[1] < log.log_end_offset]


def _fields(config: LogConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in LogConfig.__slots__}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operation, min_size=15, max_size=60), st.integers(1, 1000))
def test_log_behaves_like_a_list(operations: list[Any], max_bytes: int) -> None:
    machine = Machine()
    for name, *arguments in operations:
        getattr(machine, name)(*arguments)
        machine.check()
    assert read_all(machine.log, max_bytes) == machine.model.visible
    machine.reopen(False)
    machine.check()
    assert read_all(machine.log, max_bytes) == machine.model.visible
