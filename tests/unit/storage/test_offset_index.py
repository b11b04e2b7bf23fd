"""The offset index: entries in memory and in the file are one index, in Kafka's format."""

from __future__ import annotations

import struct

import pytest

from storage.errors import CorruptLog
from storage.fs.memory import MemoryFileSystem
from storage.index_file import IndexFile
from storage.offset_index import OffsetIndex
from tests.support.logs import EvictingFileSystem

PATH = "/00000000000000000100.index"


@pytest.fixture
def fs() -> MemoryFileSystem:
    return MemoryFileSystem()


def make_index(fs: MemoryFileSystem, *, entries: int, written: int) -> OffsetIndex:
    """Entries (100 + 10 i, 1000 i), the first `written` of them in the file."""
    index = OffsetIndex(fs, PATH, 100)
    index.create()
    for i in range(entries):
        if i == written:
            index.write_out()
        index.append(110 + 10 * i, 1000 * i)
    if written == entries:
        index.write_out()
    return index


def test_file_format_is_kafkas(fs: MemoryFileSystem) -> None:
    index = OffsetIndex(fs, PATH, 100)
    index.append(105, 0)
    index.append(100 + 2**31 - 1, 2**31 - 1)
    index.write_out()
    assert fs.read_file(PATH) == struct.pack(">iiii", 5, 0, 2**31 - 1, 2**31 - 1)


@pytest.mark.parametrize("written", [0, 1, 3, 5])
def test_lookup_gives_the_greatest_entry_not_above(fs: MemoryFileSystem, written: int) -> None:
    index = make_index(fs, entries=5, written=written)
    assert index.lookup(109) == (99, 0, 0)
    assert index.lookup(110) == (110, 0, 1000)
    assert index.lookup(129) == (120, 1000, 2000)
    assert index.lookup(10_000) == (150, 4000, -1)


@pytest.mark.parametrize("written", [0, 2, 5])
def test_lookup_by_position(fs: MemoryFileSystem, written: int) -> None:
    index = make_index(fs, entries=5, written=written)
    assert index.lookup_position(0) == (110, 0)
    assert index.lookup_position(1999) == (120, 1000)
    assert index.lookup_position(9999) == (150, 4000)


def test_lookups_that_would_wait_for_the_disk_tell_nothing() -> None:
    """What the memory holds is told all the same: the entries not yet written out, and the page read last."""
    fs = EvictingFileSystem()
    index = make_index(fs, entries=5, written=2)
    fs.resident = False
    assert index.lookup_resident(110) is None
    assert index.lookup_position(0) is None
    assert index.lookup_resident(130) == (130, 2000, 3000)
    assert index.lookup_position(2000) == (130, 2000)
    fs.resident = True
    assert index.lookup_resident(110) == (110, 0, 1000)
    fs.resident = False
    assert index.lookup_position(0) == (110, 0)


def test_lookup_in_an_empty_index_names_no_batch(fs: MemoryFileSystem) -> None:
    index = OffsetIndex(fs, PATH, 100)
    assert index.lookup(500) == (99, 0, -1)
    assert index.lookup_resident(10**6) == (99, 0, -1)
    assert index.lookup_position(10**6) == (99, 0)


def test_lookup_over_many_pages(fs: MemoryFileSystem) -> None:
    index = OffsetIndex(fs, PATH, 0)
    for i in range(5000):
        index.append(2 * i + 1, 64 * i)
        if i % 700 == 699:
            index.write_out()
    for i in (0, 1, 511, 512, 513, 2500, 4899, 4900, 4999):
        assert index.lookup(2 * i + 1)[:2] == (2 * i + 1, 64 * i)
        assert index.lookup(2 * i + 2)[:2] == (2 * i + 1, 64 * i)


@pytest.mark.parametrize("written", [0, 2, 5])
@pytest.mark.parametrize("offset", [100, 110, 115, 130, 151])
def test_truncate_drops_entries_at_or_above(fs: MemoryFileSystem, written: int, offset: int) -> None:
    index = make_index(fs, entries=5, written=written)
    index.truncate_to(offset)
    kept = [110 + 10 * i for i in range(5) if 110 + 10 * i < offset]
    assert [index.entry(i)[0] for i in range(index.entries)] == kept
    index.append(500, 9000)
    index.write_out()
    again = OffsetIndex.open(fs, PATH, 100)
    assert [again.entry(i)[0] for i in range(again.entries)] == [*kept, 500]


def test_a_torn_last_entry_is_not_counted_and_overwritten(fs: MemoryFileSystem) -> None:
    make_index(fs, entries=2, written=2)
    fs.write_atomic(PATH, fs.read_file(PATH) + b"\1\2\3")
    index = OffsetIndex.open(fs, PATH, 100)
    assert index.entries == 2
    assert not index.is_whole()
    index.append(130, 2000)
    index.write_out()
    assert index.is_whole()
    assert OffsetIndex.open(fs, PATH, 100).lookup(130) == (130, 2000, -1)


def test_a_frozen_copy_does_not_grow(fs: MemoryFileSystem) -> None:
    index = make_index(fs, entries=3, written=2)
    frozen = index.frozen()
    index.append(140, 3000)
    index.write_out()
    assert frozen.lookup(1000) == (130, 2000, -1)
    assert index.lookup(1000) == (140, 3000, -1)


def test_a_file_that_got_shorter_is_corrupt(fs: MemoryFileSystem) -> None:
    index = make_index(fs, entries=3, written=3)
    fs.write_atomic(PATH, fs.read_file(PATH)[:8])
    with pytest.raises(CorruptLog):
        index.lookup(1000)


@pytest.mark.parametrize("entry", [(5, -1), (-5, 1)], ids=["position", "offset"])
def test_what_is_negative_is_corrupt(fs: MemoryFileSystem, entry: tuple[int, int]) -> None:
    fs.write_atomic(PATH, struct.pack(">ii", *entry))
    with pytest.raises(CorruptLog):
        OffsetIndex.open(fs, PATH, 100).lookup(105)


def test_reset_empties_memory_and_file(fs: MemoryFileSystem) -> None:
    index = make_index(fs, entries=4, written=2)
    index.reset()
    assert index.entries == index.tail_entries == fs.size(PATH) == 0


def test_writing_out_nothing_touches_no_file(fs: MemoryFileSystem) -> None:
    index: IndexFile = OffsetIndex(fs, "/missing/index", 0)
    index.write_out()
    assert not fs.exists("/missing/index")
