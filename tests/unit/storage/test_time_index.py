"""The time index: later timestamps only, in Kafka's format."""

from __future__ import annotations

import struct

import pytest

from storage.fs.memory import MemoryFileSystem
from storage.time_index import NO_TIMESTAMP, TimeIndex

PATH = "/00000000000000000100.timeindex"


@pytest.fixture
def fs() -> MemoryFileSystem:
    return MemoryFileSystem()


def make_index(fs: MemoryFileSystem, *, written: int = 0) -> TimeIndex:
    """Entries (10, 101), (20, 102), (30, 103), the first `written` of them in the file."""
    index = TimeIndex(fs, PATH, 100)
    for i in range(1, 4):
        index.maybe_append(10 * i, 100 + i)
        if i == written:
            index.write_out()
    return index


def test_file_format_is_kafkas(fs: MemoryFileSystem) -> None:
    index = TimeIndex(fs, PATH, 100)
    index.maybe_append(2**62, 107)
    index.write_out()
    assert fs.read_file(PATH) == struct.pack(">qi", 2**62, 7)


def test_only_a_later_timestamp_makes_an_entry(fs: MemoryFileSystem) -> None:
    index = make_index(fs)
    index.maybe_append(30, 104)
    index.maybe_append(29, 105)
    assert index.entries == 3
    index.maybe_append(31, 106)
    assert index.last_entry() == (31, 106)


def test_that_holds_for_an_index_opened_from_its_file(fs: MemoryFileSystem) -> None:
    make_index(fs, written=3)
    index = TimeIndex.open(fs, PATH, 100)
    index.maybe_append(30, 104)
    assert index.entries == 3
    index.maybe_append(31, 104)
    assert index.entries == 4


def test_batches_without_a_timestamp_make_no_entry(fs: MemoryFileSystem) -> None:
    index = TimeIndex(fs, PATH, 100)
    index.maybe_append(NO_TIMESTAMP, 101)
    assert index.entries == 0
    assert index.last_entry() == (NO_TIMESTAMP, 100)


@pytest.mark.parametrize("written", [0, 1, 3])
def test_lookup_gives_the_greatest_entry_not_above(fs: MemoryFileSystem, written: int) -> None:
    index = make_index(fs, written=written)
    assert index.lookup(9) == (NO_TIMESTAMP, 100)
    assert index.lookup(10) == (10, 101)
    assert index.lookup(29) == (20, 102)
    assert index.lookup(99) == (30, 103)


@pytest.mark.parametrize("written", [0, 1, 3])
def test_truncate_drops_entries_at_or_above_and_forgets_their_timestamps(
    fs: MemoryFileSystem, written: int
) -> None:
    index = make_index(fs, written=written)
    index.truncate_to(102)
    assert index.last_entry() == (10, 101)
    index.maybe_append(15, 102)
    assert index.last_entry() == (15, 102)


def test_reset_starts_over(fs: MemoryFileSystem) -> None:
    index = make_index(fs, written=2)
    index.reset()
    index.maybe_append(5, 101)
    assert index.last_entry() == (5, 101)
    assert index.entries == 1
