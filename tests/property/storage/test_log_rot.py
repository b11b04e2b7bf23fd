"""A flipped bit or a shortened file is detected or does no harm; what it touched is never served.

Method: a log is written, stopped (cleanly or not), one bit of one of its files is flipped or its end cut off, and the
log opened. It may refuse, at once or at a read, with CorruptLog; what it serves must be what was written. Damage above
the recovery point costs the tail at most; anything below it must be served or refused, never dropped.
The one exception: the leader epoch of a batch above the recovery point. No checksum covers it, and the only other
witness, the epoch file, is not written before that.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.records import iter_batches, read_header
from storage.config import LogConfig
from storage.errors import CorruptLog
from storage.fs.faulty import FaultyFileSystem
from storage.log import Log
from storage.timestamp_lookup import TimestampOffset
from tests.support.logs import DIRECTORY, NOW_MS, append, flush, make_batch, open_log, read, read_bytes

CONFIG = LogConfig(segment_bytes=1200, index_interval_bytes=100, retention_ms=-1)
BATCHES = 30
BATCHES_FLUSHED = 22


def write_log(fs: FaultyFileSystem, clean: bool) -> tuple[list[bytes], int]:
    """Returns the batches and the recovery point."""
    log, _ = open_log(fs, CONFIG)
    batches = []
    for number in range(BATCHES):
        batch = make_batch(
            1 + number % 3,
            size=30 + number % 7,
            timestamp_ms=NOW_MS + number,
            producer_id=7,
            producer_epoch=0,
            base_sequence=log.log_end_offset,
        )
        append(log, batch, leader_epoch=number // 12)
        batches.append(bytes(batch))
        if number == BATCHES_FLUSHED - 1:
            flush(log)
    if clean:
        log.close()
    return batches, log.recovery_point


def check_reads(log: Log, batches: list[bytes], floor: int, max_bytes: int) -> None:
    """Every read gives the batches written, or refuses."""
    headers = [read_header(batch) for batch in batches]
    for header in headers:
        if header.base_offset >= log.log_end_offset:
            break
        try:
            result = read(log, header.base_offset, max_bytes)
        except CorruptLog:
            continue
        expected = b"".join(
            b for b, h in zip(batches, headers, strict=True) if h.base_offset >= header.base_offset
        )
        got = read_bytes(result)
        assert got
        assert expected.startswith(got)
    assert log.log_end_offset >= floor


def check_lookups(log: Log, batches: list[bytes]) -> None:
    for number, batch in enumerate(batches):
        header = read_header(batch)
        if header.base_offset >= log.log_end_offset:
            break
        try:
            found = log.lookup_timestamp(NOW_MS + number).run()
        except CorruptLog:
            continue
        assert found == TimestampOffset(NOW_MS + number, header.base_offset, number // 12)


def is_unflushed_epoch(content: bytes, place: int, recovery_point: int) -> bool:
    """Whether the byte at `place` belongs to the leader epoch of a batch above the recovery point."""
    position = 0
    for batch in iter_batches(content):
        header = read_header(batch)
        if 12 <= place - position < 16:
            return header.base_offset >= recovery_point
        position += len(batch)
    return False


@settings(max_examples=400, deadline=None)
@given(st.booleans(), st.data(), st.integers(1, 800))
def test_a_flipped_bit_is_never_served(clean: bool, data: st.DataObject, max_bytes: int) -> None:
    fs = FaultyFileSystem(0, NOW_MS)
    batches, recovery_point = write_log(fs, clean)
    name = data.draw(st.sampled_from([n for n in fs.listdir(DIRECTORY) if fs.size(f"{DIRECTORY}/{n}")]))
    path = f"{DIRECTORY}/{name}"
    place = data.draw(st.integers(0, fs.size(path) - 1))
    if not clean and name.endswith(".log") and is_unflushed_epoch(fs.read_file(path), place, recovery_point):
        return
    fs.flip_bit(path, place, data.draw(st.integers(0, 7)))
    try:
        log, _ = open_log(fs, CONFIG, recovery_point=recovery_point, clean=clean)
    except CorruptLog:
        return
    assert log.producers.producers[7].next_sequence == log.log_end_offset
    check_reads(log, batches, recovery_point, max_bytes)
    check_lookups(log, batches)


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("place", [0, 4], ids=["offset", "position"])
def test_an_index_entry_that_turns_negative_misleads_nobody(clean: bool, place: int) -> None:
    """An offset below those of the segment was once taken for that of no entry: readers began too far behind."""
    fs = FaultyFileSystem(0, NOW_MS)
    batches, recovery_point = write_log(fs, clean)
    for name in [name for name in fs.listdir(DIRECTORY) if name.endswith(".index")]:
        path = f"{DIRECTORY}/{name}"
        for entry in range(0, fs.size(path), 8):
            fs.flip_bit(path, entry + place, 7)
            try:
                log, _ = open_log(fs, CONFIG, recovery_point=recovery_point, clean=clean)
            except CorruptLog:
                pass
            else:
                check_reads(log, batches, recovery_point, 800)
                check_lookups(log, batches)
                log.release()
            fs = FaultyFileSystem(0, NOW_MS)
            write_log(fs, clean)


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.data(), st.integers(1, 800))
def test_a_shortened_file_is_never_skipped_over(clean: bool, data: st.DataObject, max_bytes: int) -> None:
    fs = FaultyFileSystem(0, NOW_MS)
    batches, recovery_point = write_log(fs, clean)
    name = data.draw(st.sampled_from([n for n in fs.listdir(DIRECTORY) if fs.size(f"{DIRECTORY}/{n}")]))
    path = f"{DIRECTORY}/{name}"
    content = fs.read_file(path)
    fs.write_atomic(path, content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        log, _ = open_log(fs, CONFIG, recovery_point=recovery_point, clean=clean)
    except CorruptLog:
        return
    check_reads(log, batches, recovery_point, max_bytes)
    check_lookups(log, batches)


@settings(max_examples=100, deadline=None)
@given(st.booleans(), st.data())
def test_any_file_but_the_log_is_made_anew(clean: bool, data: st.DataObject) -> None:
    fs = FaultyFileSystem(0, NOW_MS)
    batches, recovery_point = write_log(fs, clean)
    for name in fs.listdir(DIRECTORY):
        if not name.endswith(".log") and data.draw(st.booleans()):
            fs.remove(f"{DIRECTORY}/{name}")
    log, _ = open_log(fs, CONFIG, recovery_point=recovery_point, clean=clean)
    assert log.log_end_offset == read_header(batches[-1]).last_offset + 1
    assert [epoch for epoch, _ in log.leader_epochs.entries] == [0, 1, 2]
    check_reads(log, batches, log.log_end_offset, 500)
    check_lookups(log, batches)
