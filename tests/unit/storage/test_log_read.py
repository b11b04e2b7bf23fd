"""Reading: whole batches within the limits, cold plans where bytes are unchecked or on disk, look-ups by time."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from protocol.control_records import end_txn_marker
from protocol.record_builder import build_batch
from protocol.records import Record, read_header
from storage.config import LogConfig
from storage.errors import CorruptLog, OffsetOutOfRange
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from storage.timestamp_lookup import TimestampOffset
from storage.txn_index import AbortedTxn, TxnIndex
from tests.support.logs import (
    DIRECTORY,
    NOW_MS,
    EvictingFileSystem,
    append,
    flush,
    make_batch,
    open_log,
    read,
    read_all,
    read_bytes,
)

CONFIG = LogConfig(segment_bytes=1000, index_interval_bytes=150)
SIZE = len(make_batch(2))


def filled_log(fs: MemoryFileSystem | None = None, batches: int = 30) -> tuple[Log, list[bytes]]:
    """Batches of two records each, in several segments, one millisecond apart."""
    log, _ = open_log(fs or MemoryFileSystem(), CONFIG)
    written = []
    for number in range(batches):
        batch = make_batch(2, timestamp_ms=NOW_MS + number)
        append(log, batch, leader_epoch=number // 10)
        written.append(bytes(batch))
    return log, written


# -- limits -----------------------------------------------------------------------------------------------


def test_offsets_outside_the_log_are_refused() -> None:
    log, _ = filled_log()
    with pytest.raises(OffsetOutOfRange):
        log.read(61, 100, 60)
    log.advance_log_start_offset(10)
    with pytest.raises(OffsetOutOfRange):
        log.read(9, 100, 60)
    assert log.read(60, 100, 60).region is None


def test_an_offset_inside_a_batch_gives_the_batch() -> None:
    log, written = filled_log()
    assert read_bytes(read(log, 7, SIZE)) == written[3]


@pytest.mark.parametrize("max_bytes", [SIZE, 2 * SIZE - 1, 2 * SIZE, 3 * SIZE + 5])
def test_max_bytes_gives_whole_batches(max_bytes: int) -> None:
    log, written = filled_log()
    result = read(log, 0, max_bytes)
    count = max_bytes // SIZE
    assert read_bytes(result) == b"".join(written[:count])
    assert result.next_offset == 2 * count


def test_the_first_batch_comes_whole_if_wanted() -> None:
    log, written = filled_log()
    assert read_bytes(read(log, 4, 1)) == written[2]
    assert read(log, 4, 1, min_one=False).region is None
    assert read(log, 4, SIZE - 1, min_one=False).region is None
    assert read_bytes(read(log, 4, SIZE, min_one=False)) == written[2]


@pytest.mark.parametrize("upper", [0, 2, 10, 14, 58, 60])
def test_nothing_at_or_above_the_bound_is_read(upper: int) -> None:
    log, written = filled_log()
    got = b""
    offset = 0
    while offset < upper:
        result = read(log, offset, upper=upper)
        got += read_bytes(result)
        offset = result.next_offset
    assert got == b"".join(written[: upper // 2])
    assert log.read(offset, 10**6, upper).region is None


def test_a_bound_inside_the_batch_hides_the_batch() -> None:
    log, _ = filled_log()
    result = log.read(10, 10**6, 11)
    assert (result.region, result.cold, result.next_offset) == (None, None, 10)


def test_a_region_stays_in_one_segment() -> None:
    log, _ = filled_log()
    for segment in log.segments[:-1]:
        region = read(log, segment.base_offset).region
        assert region is not None
        assert (region.position, region.size) == (0, segment.size_bytes)


def test_a_region_lives_longer_than_its_segment() -> None:
    log, written = filled_log()
    region = read(log, 0, SIZE).region
    assert region is not None
    log.truncate_fully_and_start_at(0, NOW_MS)
    log.release()
    assert region.read() == written[0]


# -- cold reads -----------------------------------------------------------------------------------------


def test_what_this_process_wrote_needs_no_check() -> None:
    log, _ = filled_log()
    assert log.read(0, 10**6, 60).cold is None
    assert log.read(3, SIZE, 60).cold is None


def test_what_it_found_is_checked_once() -> None:
    fs = MemoryFileSystem()
    log, written = filled_log(fs)
    log.close()
    log, _ = open_log(fs, CONFIG, recovery_point=60)
    cold = log.read(0, 10**6, 60).cold
    assert cold is not None
    cold.run()
    assert read_bytes(log.finish_read(cold)) == read_bytes(log.read(0, 10**6, 60))
    assert log.read(2, SIZE, 60).cold is None
    last = log.segments[-1].base_offset
    assert log.read(last, 10, 60).cold is not None
    append(log, make_batch())
    assert log.read(60, 10, 61).cold is None, "appended just now"
    assert read_all(log)[:-1] == written


def test_what_lies_on_disk_is_checked_each_time() -> None:
    fs = EvictingFileSystem()
    log, written = filled_log(fs)
    fs.resident = False
    for _ in range(2):
        result = log.read(4, SIZE, 60)
        assert result.region is None
        assert result.cold is not None
        result.cold.run()
        assert read_bytes(log.finish_read(result.cold)) == written[2]


def test_damage_is_found_with_its_place() -> None:
    fs = MemoryFileSystem()
    log, _ = filled_log(fs)
    log.close()
    path = f"{DIRECTORY}/{0:020d}.log"
    content = bytearray(fs.read_file(path))
    content[2 * SIZE + 70] ^= 1
    fs.write_atomic(path, bytes(content))
    log, _ = open_log(fs, CONFIG, recovery_point=60)
    for max_bytes in (2 * SIZE, 3 * SIZE):
        assert len(read_bytes(read(log, 0, max_bytes))) == 2 * SIZE, "what comes before is served"
    for offset, max_bytes in ((4, SIZE), (5, 10**6)):
        cold = log.read(offset, max_bytes, 60).cold
        assert cold is not None
        with pytest.raises(CorruptLog) as caught:
            cold.run()
        assert caught.value.path == path
        assert caught.value.position == 2 * SIZE


def test_a_wrong_index_is_found_out_and_dropped() -> None:
    fs = MemoryFileSystem()
    log, written = filled_log(fs)
    log.close()
    path = f"{DIRECTORY}/{0:020d}.index"
    content = bytearray(fs.read_file(path))
    content[7] ^= 0x10  # the first entry's position
    fs.write_atomic(path, bytes(content))
    log, report = open_log(fs, CONFIG, recovery_point=60)
    assert report.rebuilt_segments == []
    assert read_bytes(read(log, 5, SIZE)) == written[2]
    assert log.segments[0].offset_index.entries == 0
    assert read_all(log) == written


@pytest.mark.parametrize("deletes", [False, True])
def test_a_read_that_crosses_a_truncation_is_stale(deletes: bool) -> None:
    fs = EvictingFileSystem()
    log, _ = filled_log(fs)
    fs.resident = False
    cold = log.read(59, SIZE, 60).cold
    assert cold is not None
    if deletes:
        log.truncate_fully_and_start_at(0, NOW_MS)
    else:
        log.truncate_to(58, NOW_MS)
    cold.run()
    assert cold.stale
    assert log.finish_read(cold).region is None


def test_a_read_that_is_outdated_once_it_ran_begins_again() -> None:
    """It once said that it had got as far as it had read, with nothing to show for it: a reader would have gone on
    behind what it never saw.
    """
    fs = EvictingFileSystem()
    log, _ = filled_log(fs)
    fs.resident = False
    cold = log.read(30, 3 * SIZE, 60).cold
    assert cold is not None
    cold.run()
    assert cold.next_offset > 30
    log.truncate_to(58, NOW_MS)
    result = log.finish_read(cold)
    assert (result.region, result.next_offset) == (None, 30)


def test_missing_records_are_not_skipped() -> None:
    fs = MemoryFileSystem()
    log, _ = filled_log(fs)
    segment = log.segments[1]
    segment.file.truncate(segment.size_bytes - SIZE)
    segment.size_bytes -= SIZE
    with pytest.raises(CorruptLog):
        log.read(log.segments[2].base_offset - 1, 100, 60)


def test_a_compacted_log_has_gaps() -> None:
    fs = MemoryFileSystem()
    config = LogConfig(cleanup_policy=frozenset({"compact"}), segment_bytes=3 * SIZE)
    log, _ = open_log(fs, config)
    batches = []
    for offset in (0, 4, 10, 11, 30, 31):
        batches.append(
            build_batch([Record(offset, NOW_MS, b"k", b"v" * 40)], base_offset=offset, leader_epoch=0)
        )
    log.append_replica(b"".join(batches))
    assert len(log.segments) > 1
    log.close()
    log, _ = open_log(fs, config, recovery_point=32)
    for offset, expected in ((0, 0), (1, 4), (5, 10), (11, 11), (12, 30), (31, 31)):
        assert read_header(read_bytes(read(log, offset, 1))).base_offset == expected
    assert read_all(log) == [bytes(batch) for batch in batches]


# -- by time ----------------------------------------------------------------------------------------------


def test_the_first_record_at_or_after_a_time() -> None:
    log, _ = filled_log()
    assert log.lookup_timestamp(0).run() == TimestampOffset(NOW_MS, 0, 0)
    assert log.lookup_timestamp(NOW_MS + 17).run() == TimestampOffset(NOW_MS + 17, 34, 1)
    assert log.lookup_timestamp(NOW_MS + 29).run() == TimestampOffset(NOW_MS + 29, 58, 2)
    assert log.lookup_timestamp(NOW_MS + 30).run() is None


def test_the_record_inside_the_batch_is_found() -> None:
    log, _ = open_log(MemoryFileSystem())
    times = [5, 9, 7, 9]
    append(log, build_batch([Record(i, NOW_MS + t, None, b"") for i, t in enumerate(times)]))
    assert log.lookup_timestamp(NOW_MS + 6).run() == TimestampOffset(NOW_MS + 9, 1, 0)
    assert log.max_timestamp().run() == TimestampOffset(NOW_MS + 9, 1, 0)


def test_records_below_the_log_start_are_not_found() -> None:
    log, _ = filled_log()
    log.advance_log_start_offset(35)
    assert log.lookup_timestamp(NOW_MS).run() == TimestampOffset(NOW_MS + 17, 35, 1)


def test_the_ends_of_the_log() -> None:
    log, _ = filled_log()
    assert log.earliest() == TimestampOffset(-1, 0, 0)
    assert log.latest() == TimestampOffset(-1, 60, 2)
    empty, _ = open_log(MemoryFileSystem())
    assert empty.max_timestamp().run() is None
    assert empty.lookup_timestamp(0).run() is None
    assert empty.latest() == TimestampOffset(-1, 0, -1)


def test_a_lookup_that_crosses_a_deletion_is_stale() -> None:
    log, _ = filled_log()
    lookup = log.lookup_timestamp(NOW_MS)
    log.truncate_fully_and_start_at(0, NOW_MS)
    assert lookup.run() is None
    assert lookup.stale


# -- aborted transactions --------------------------------------------------------------------------------------


def abort(log: Log, producer_id: int) -> None:
    """A transaction of one record that is aborted at once."""
    sequence = (
        log.producers.producers[producer_id].next_sequence if producer_id in log.producers.producers else 0
    )
    batch = make_batch(producer_id=producer_id, producer_epoch=0, base_sequence=sequence, transactional=True)
    append(log, batch, leader_epoch=3)
    marker = end_txn_marker(
        committed=False, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp_ms=NOW_MS
    )
    log.append_marker(marker, leader_epoch=3, now_ms=NOW_MS, transaction_version=1)


def test_where_nothing_was_aborted_nothing_is_searched() -> None:
    fs = MemoryFileSystem()
    log, _ = filled_log(fs)
    segments = len(log.segments)
    assert segments > 2
    searched: list[TxnIndex] = []

    def lookup(index: TxnIndex, start: int, end: int) -> tuple[list[AbortedTxn], bool]:
        searched.append(index)
        return found(index, start, end)

    found = TxnIndex.lookup
    with patch.object(TxnIndex, "lookup", lookup):
        assert log.aborted_transactions(0, 60) == []
        assert searched == []
        abort(log, 7)
        assert log.aborted_transactions(0, 62) == [(7, 60)]
        assert len(searched) >= segments
        searched.clear()
        assert log.aborted_transactions(62, 62) == []
        assert searched == []
        flush(log)
        log, _ = open_log(fs, CONFIG)
        assert log.aborted_transactions(0, 62) == [(7, 60)]
        log.truncate_to(61, NOW_MS)
        searched.clear()
        assert log.aborted_transactions(0, 61) == []
        assert searched == []
        abort(log, 8)
        assert log.aborted_transactions(61, 63) == [(8, 61)]
