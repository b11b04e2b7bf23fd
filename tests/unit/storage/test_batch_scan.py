"""Walking and checking batches: nothing that is not a sound batch passes, and its place is told."""

from __future__ import annotations

import pytest

from protocol.records import HEADER_SIZE, set_crc
from storage.batch_scan import OutOfPlace, check_epoch, iter_checked, iter_spans
from storage.errors import CorruptLog
from storage.fs import File, OpenMode
from storage.fs.memory import MemoryFileSystem
from storage.leader_epochs import LeaderEpochCache
from tests.support.logs import NOW_MS, make_batch

PATH = "/log"


def file_of(*batches: bytes | bytearray) -> File:
    file = MemoryFileSystem().open(PATH, OpenMode.CREATE)
    for batch in batches:
        file.append(batch)
    return file


def batch_at(offset: int, count: int = 1, *, size: int = 20, epoch: int = 0) -> bytearray:
    batch = make_batch(count, size=size)
    batch[0:8] = offset.to_bytes(8, "big")
    batch[12:16] = epoch.to_bytes(4, "big")
    return batch


def places(file: File, *, due: int | None = 0, gaps: bool = False, read_ahead: int = 1 << 20) -> list[int]:
    checked = iter_checked(file, 0, file.size(), due=due, gaps=gaps, read_ahead=read_ahead)
    return [position for position, _, _ in checked]


@pytest.mark.parametrize("size", [0, 20, 3000, 5000, 70_000])
@pytest.mark.parametrize("read_ahead", [1, 100, 4096, 1 << 20])
def test_batches_of_any_size_are_walked_and_checked(size: int, read_ahead: int) -> None:
    batches = [batch_at(2 * i, 2, size=size) for i in range(7)]
    file = file_of(*batches)
    spans = list(iter_spans(file, 0, file.size()))
    assert [(span.base_offset, span.last_offset) for span in spans] == [(2 * i, 2 * i + 1) for i in range(7)]
    assert [span.position for span in spans] == [i * len(batches[0]) for i in range(7)]
    assert {span.max_timestamp for span in spans} == {NOW_MS}
    checked = list(iter_checked(file, 0, file.size(), due=0, gaps=False, read_ahead=read_ahead))
    assert [bytes(batch) for _, _, batch in checked] == [bytes(batch) for batch in batches]
    assert [header.base_offset for _, header, _ in checked] == [2 * i for i in range(7)]


def test_a_walk_may_begin_and_end_at_any_batch() -> None:
    file = file_of(*(batch_at(i) for i in range(4)))
    size = file.size() // 4
    assert [span.base_offset for span in iter_spans(file, size, 3 * size)] == [1, 2]
    assert list(iter_spans(file, 4 * size, 4 * size)) == []


@pytest.mark.parametrize(
    ("position", "value"),
    [(8, 0x7F), (8, 0xFF), (11, 0), (16, 1), (0, 0x80), (23, 0x80)],
    ids=["length beyond the end", "negative length", "length", "format", "negative offset", "negative delta"],
)
def test_what_is_no_header_stops_the_walk(position: int, value: int) -> None:
    good, bad = batch_at(0), batch_at(1)
    bad[position] = value
    if position == 23:
        set_crc(bad)
    file = file_of(good, bad)
    for walk in (iter_spans(file, 0, file.size()), iter_checked(file, 0, file.size(), due=0, gaps=False)):
        next(walk)
        with pytest.raises(CorruptLog) as caught:
            next(walk)
        assert (caught.value.path, caught.value.position) == (PATH, len(good))


@pytest.mark.parametrize("kept", [1, 11, 26, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 5])
def test_a_file_that_ends_inside_a_batch_stops_the_walk(kept: int) -> None:
    file = file_of(batch_at(0), batch_at(1)[:kept])
    for walk in (iter_spans(file, 0, file.size()), iter_checked(file, 0, file.size(), due=0, gaps=False)):
        next(walk)
        with pytest.raises(CorruptLog):
            next(walk)


def test_every_bit_that_the_checksum_covers_is_checked() -> None:
    good = batch_at(0, 2)
    for position in range(16, len(good)):
        bad = bytearray(good)
        bad[position] ^= 1
        with pytest.raises(CorruptLog):
            places(file_of(bad))


def test_offsets_must_follow_each_other() -> None:
    size = len(batch_at(0))
    assert places(file_of(batch_at(5), batch_at(6)), due=5) == [0, size]
    assert places(file_of(batch_at(5), batch_at(6)), due=None) == [0, size]
    for offsets, due in (((5, 6), 4), ((5, 6), 6), ((5, 7), 5), ((5, 5), 5), ((5, 4), 5)):
        with pytest.raises(OutOfPlace):
            places(file_of(*map(batch_at, offsets)), due=due)


def test_a_cleaned_log_may_have_gaps_but_not_go_back() -> None:
    size = len(batch_at(0))
    assert places(file_of(batch_at(5), batch_at(9)), due=3, gaps=True) == [0, size]
    for offsets, due in (((5, 9), 6), ((5, 5), 5), ((9, 5), 5)):
        with pytest.raises(OutOfPlace):
            places(file_of(*map(batch_at, offsets)), due=due, gaps=True)


def test_the_epoch_of_a_batch_is_that_of_its_offset() -> None:
    epochs = LeaderEpochCache([(2, 10), (4, 20)])
    file = file_of(batch_at(9, epoch=7), batch_at(10, epoch=2), batch_at(11, epoch=3), batch_at(20, epoch=2))
    headers = [header for _, header, _ in iter_checked(file, 0, file.size(), due=None, gaps=True)]
    check_epoch(PATH, 0, headers[0], epochs)  # nothing is known of offset 9
    check_epoch(PATH, 0, headers[1], epochs)
    straddling = file_of(batch_at(9, 3, epoch=7))  # begins below the log start, ends in epoch 2
    headers += [
        header for _, header, _ in iter_checked(straddling, 0, straddling.size(), due=None, gaps=True)
    ]
    for header in headers[2:]:
        with pytest.raises(CorruptLog):
            check_epoch(PATH, 0, header, epochs)
