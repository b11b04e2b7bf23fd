"""A segment: when index entries are made, when it is due to roll, where batches are found, what truncation keeps."""

from __future__ import annotations

import pytest

from protocol.records import HEADER_SIZE
from storage.config import NO_LIMIT
from storage.fs.memory import MemoryFileSystem
from storage.segment import UNKNOWN, Segment
from tests.support.logs import NOW_MS, EvictingFileSystem, make_batch

SIZE = len(make_batch(2))
BASE = 100


def filled(
    fs: MemoryFileSystem | None = None, times: tuple[int, ...] = (0, 1, 2, 3, 4, 5), interval: int = 0
) -> Segment:
    """Batches of two records each from offset 100 on, at the times given."""
    segment = Segment(fs or MemoryFileSystem(), "", BASE, NOW_MS)
    segment.create_files()
    for number, time in enumerate(times):
        batch = make_batch(2, timestamp_ms=NOW_MS + time)
        batch[0:8] = (BASE + 2 * number).to_bytes(8, "big")
        position = segment.file.append(batch)
        segment.note_append(position, SIZE, BASE + 2 * number + 1, NOW_MS + time, interval)
    return segment


def offset_entries(segment: Segment) -> list[tuple[int, int]]:
    return [segment.offset_index.entry(i) for i in range(segment.offset_index.entries)]


def time_entries(segment: Segment) -> list[tuple[int, int]]:
    entries = [segment.time_index.entry(i) for i in range(segment.time_index.entries)]
    return [(timestamp_ms - NOW_MS, offset) for timestamp_ms, offset in entries]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(0, [1, 2, 3, 4, 5]), (SIZE - 1, [1, 2, 3, 4, 5]), (SIZE, [2, 4]), (2 * SIZE, [3]), (9 * SIZE, [])],
)
def test_an_entry_is_made_when_more_than_the_interval_lies_behind(interval: int, expected: list[int]) -> None:
    segment = filled(interval=interval)
    assert offset_entries(segment) == [(BASE + 2 * number + 1, number * SIZE) for number in expected]


def test_time_entries_name_the_batch_that_first_had_the_largest_timestamp() -> None:
    segment = filled(times=(5, 3, 5, 9, 9, 7))
    assert time_entries(segment) == [(5, BASE + 1), (9, BASE + 7)]
    assert (segment.max_timestamp, segment.max_timestamp_offset) == (NOW_MS + 9, BASE + 7)


def test_an_inactive_segment_ends_its_time_index_with_the_largest_timestamp() -> None:
    segment = filled(interval=9 * SIZE)
    assert time_entries(segment) == []
    segment.finish_time_index()
    segment.finish_time_index()
    assert time_entries(segment) == [(5, BASE + 11)]


def test_the_time_to_roll() -> None:
    segment = filled()
    segment.first_timestamp = NOW_MS
    segment.set_roll_time(10)
    assert (segment.roll_above_timestamp, segment.roll_above_now) == (NOW_MS + 10, NO_LIMIT)
    segment.first_timestamp = -1
    segment.set_roll_time(10)
    assert (segment.roll_above_timestamp, segment.roll_above_now) == (NO_LIMIT, NOW_MS + 10)


@pytest.mark.parametrize("interval", [0, 2 * SIZE, 9 * SIZE])
def test_the_batch_that_holds_an_offset_is_found(interval: int) -> None:
    segment = filled(interval=interval)
    for number in range(6):
        for offset in (BASE + 2 * number, BASE + 2 * number + 1):
            assert segment.find(offset) == number * SIZE
    assert segment.find(BASE + 12) == 6 * SIZE
    assert segment.find(BASE - 5) == 0


@pytest.mark.parametrize("interval", [0, 2 * SIZE, 9 * SIZE])
@pytest.mark.parametrize("bound", [1, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE, 4 * SIZE - 1])
def test_a_region_is_cut_at_the_last_whole_batch(interval: int, bound: int) -> None:
    batches = max(bound // SIZE, 1)
    assert filled(interval=interval).cut(0, bound) == (batches * SIZE, BASE + 2 * batches)


def test_what_waits_for_the_disk_is_not_told() -> None:
    fs = EvictingFileSystem()
    segment = filled(fs)
    fs.resident = False
    assert segment.find(BASE + 6) == UNKNOWN
    assert segment.cut(0, 2 * SIZE) == (UNKNOWN, UNKNOWN)
    segment.add_hint(BASE + 6, 3 * SIZE)
    assert segment.find(BASE + 6) == 3 * SIZE


def test_a_cut_reads_nothing_but_what_it_knows_to_be_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the header at an index entry, nor the headers up to it where that one is on disk only."""
    segment = filled()
    cold_from = 3 * SIZE + HEADER_SIZE - 1

    def is_resident(_file: object, position: int, size: int) -> bool:
        return position + size <= cold_from

    monkeypatch.setattr(type(segment.file), "is_resident", is_resident)
    assert segment.cut(0, 3 * SIZE) == (UNKNOWN, UNKNOWN)
    cold_from = 3 * SIZE + HEADER_SIZE
    assert segment.cut(0, 3 * SIZE) == (3 * SIZE, BASE + 6)


@pytest.mark.parametrize(("at", "byte"), [(7, 0xFF), (8, 0x80), (16, 1)])
def test_a_cut_believes_no_entry_whose_batch_is_another(at: int, byte: int) -> None:
    """Its last offset, its length and its format are looked at."""
    fs = MemoryFileSystem()
    segment = filled(fs)
    damaged = bytearray(fs.read_file(segment.path))
    damaged[3 * SIZE + at] = byte
    fs.write_atomic(segment.path, damaged)
    segment.close()
    assert segment.cut(0, 3 * SIZE) == (UNKNOWN, UNKNOWN)


def test_what_was_not_checked_is_not_told() -> None:
    fs = MemoryFileSystem()
    filled(fs).write_indexes()
    segment = Segment.open(fs, "", BASE, 6 * SIZE, NOW_MS)
    assert segment.find(BASE + 6) == UNKNOWN
    segment.checked.add(0, 6 * SIZE)
    assert segment.find(BASE + 6) == 3 * SIZE


def test_hints_are_few() -> None:
    segment = filled()
    for offset in range(1000):
        segment.add_hint(offset, 0)
    assert len(segment.hints) <= 64
    assert 999 in segment.hints


@pytest.mark.parametrize(
    ("offset", "kept", "end_offset"),
    [(BASE, 0, BASE), (BASE + 4, 2, BASE + 4), (BASE + 5, 2, BASE + 4), (BASE + 12, 6, BASE + 12)],
)
def test_truncation_keeps_whole_batches_below(offset: int, kept: int, end_offset: int) -> None:
    segment = filled()
    assert segment.truncate_to(offset) == end_offset
    assert segment.size_bytes == segment.file.size() == kept * SIZE
    assert offset_entries(segment) == [(BASE + 2 * n + 1, n * SIZE) for n in range(1, kept)]
    assert segment.largest_timestamp() == (NOW_MS + kept - 1 if kept else -1)


def test_a_closed_file_opens_again() -> None:
    segment = filled()
    segment.close()
    assert segment.file_if_open is None
    assert segment.file.size() == 6 * SIZE
