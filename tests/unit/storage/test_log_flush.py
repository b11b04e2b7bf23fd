"""Flushing, closing, retention and truncation of a log."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from protocol.records import read_header
from storage.config import LogConfig
from storage.errors import OffsetOutOfRange, StorageFailure
from storage.fs.faulty import FaultyFileSystem, Kind, Loss
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from tests.support.logs import DIRECTORY, NOW_MS, append, flush, make_batch, open_log, read_all

SIZE = len(make_batch(2))


def filled_log(fs: Any, batches: int = 10, **config: Any) -> Log:
    log, _ = open_log(fs, LogConfig(**({"segment_bytes": 3 * SIZE} | config)), clean=False)
    for number in range(batches):
        append(log, make_batch(2, timestamp_ms=NOW_MS + number), leader_epoch=number // 4)
    return log


# -- flush ------------------------------------------------------------------------------------------------


def test_the_recovery_point_moves_when_a_plan_has_run() -> None:
    log = filled_log(MemoryFileSystem())
    plan = log.flush_plan()
    append(log, make_batch(2))
    plan.run()
    assert log.recovery_point == 0
    log.flushed(plan)
    assert log.recovery_point == 20


def test_a_plan_for_less_than_everything() -> None:
    log = filled_log(MemoryFileSystem())
    assert log.needs_flush
    plan = log.flush_plan(log.segments[-1].base_offset)
    plan.run()
    log.flushed(plan)
    assert log.recovery_point == 18
    assert not log.needs_flush


def test_plans_may_overlap() -> None:
    log = filled_log(MemoryFileSystem())
    early, late = log.flush_plan(6), log.flush_plan()
    late.run()
    early.run()
    log.flushed(late)
    log.flushed(early)
    assert log.recovery_point == 20


def test_what_was_flushed_survives_a_power_failure() -> None:
    fs = FaultyFileSystem()
    fs.makedirs("/data")
    fs.sync_dir("/")
    log = filled_log(fs)
    flush(log)
    written = read_all(log)
    disk = fs.crash(Loss.ALL)
    again, report = open_log(disk, LogConfig(segment_bytes=3 * SIZE), recovery_point=20, clean=False)
    assert report.cut_offset == -1
    assert report.rebuilt_segments == []
    assert read_all(again) == written
    assert again.leader_epochs.entries == log.leader_epochs.entries


@pytest.mark.parametrize(("messages", "expected"), [(1, [2, 4, 6]), (4, [-1, 4, 6]), (5, [-1, -1, 6])])
def test_flush_messages_makes_the_answer_wait(messages: int, expected: list[int]) -> None:
    log, _ = open_log(MemoryFileSystem(), LogConfig(flush_messages=messages))
    assert [append(log, make_batch(2)).flush_to for _ in range(3)] == expected
    flush(log)
    assert append(log, make_batch(1)).flush_to == (7 if messages == 1 else -1)


def test_a_repeated_batch_waits_for_the_flush_of_the_first() -> None:
    log, _ = open_log(MemoryFileSystem(), LogConfig(flush_messages=1))
    named: dict[str, Any] = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 0}
    append(log, make_batch(2, **named))
    assert append(log, make_batch(2, **named)).flush_to == 2
    flush(log)
    assert append(log, make_batch(2, **named)).flush_to == -1


def test_a_failed_sync_moves_nothing() -> None:
    fs = FaultyFileSystem()
    log = filled_log(fs)
    fs.before = lambda operation: errno.EIO if operation.kind is Kind.SYNC else None
    plan = log.flush_plan()
    with pytest.raises(StorageFailure) as caught:
        plan.run()
    assert caught.value.fatal
    assert log.recovery_point == 0


def test_a_plan_made_before_a_truncation_moves_nothing() -> None:
    log = filled_log(MemoryFileSystem())
    plan = log.flush_plan()
    log.truncate_to(10, NOW_MS)
    append(log, make_batch(10))
    plan.run()
    log.flushed(plan)
    assert log.recovery_point == 0


def test_nothing_to_flush_syncs_nothing() -> None:
    fs = FaultyFileSystem()
    log = filled_log(fs)
    flush(log)
    before = fs.operations
    plan = log.flush_plan()
    assert plan.leader_epochs is None
    assert plan.directory_changes is None
    plan.run()
    assert fs.operations == before


# -- close -----------------------------------------------------------------------------------------------


def test_after_a_close_nothing_is_scanned() -> None:
    fs = MemoryFileSystem()
    log = filled_log(fs)
    written = read_all(log)
    log.close()
    assert log.recovery_point == log.log_end_offset
    again, report = open_log(fs, LogConfig(segment_bytes=3 * SIZE), recovery_point=20)
    assert report.scanned_segments == 0
    assert read_all(again) == written


def test_a_closed_log_leaves_a_largest_timestamp_in_each_time_index() -> None:
    log = filled_log(MemoryFileSystem())
    log.close()
    for segment in log.segments:
        last = read_header(segment.file.read_at((segment.size_bytes // SIZE - 1) * SIZE, 61))
        assert segment.time_index.last_entry() == (last.max_timestamp, last.last_offset)


def test_released_files_open_again() -> None:
    log = filled_log(MemoryFileSystem())
    log.release()
    assert len(read_all(log)) == 10
    append(log, make_batch())
    log.close_idle_files()
    assert all(segment.file_if_open is None for segment in log.segments[:-1])
    assert len(read_all(log)) == 11


# -- retention -------------------------------------------------------------------------------------------


def test_old_segments_leave_at_once_and_their_files_later() -> None:
    fs = MemoryFileSystem()
    log = filled_log(fs, retention_bytes=4 * SIZE, file_delete_delay_ms=7)
    flush(log)
    plan = log.delete_old_segments(NOW_MS, 20)
    assert plan is not None
    assert (log.log_start_offset, log.size_bytes, len(read_all(log))) == (12, 4 * SIZE, 4)
    assert plan.not_before_ms == NOW_MS + 7
    assert plan.paths
    assert all(path.endswith(".deleted") and fs.exists(path) for path in plan.paths)
    plan.run()
    assert not [name for name in fs.listdir(DIRECTORY) if name.endswith(".deleted")]
    assert log.producers.snapshot_offsets == [12, 18]
    assert log.delete_old_segments(NOW_MS, 20) is None


def test_nothing_leaves_before_what_follows_is_on_disk() -> None:
    log = filled_log(MemoryFileSystem(), retention_bytes=0)
    assert log.delete_old_segments(NOW_MS, 20) is None
    assert log.segments[-1].size_bytes == 0, "rolled, to leave later"
    plan = log.flush_plan(6)
    plan.run()
    log.flushed(plan)
    assert log.delete_old_segments(NOW_MS, 20) is not None
    assert log.log_start_offset == 6
    flush(log)
    assert log.delete_old_segments(NOW_MS, 20) is not None
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (20, 20, 0)


def test_an_emptied_log_keeps_its_offsets() -> None:
    fs = MemoryFileSystem()
    log = filled_log(fs, retention_bytes=0)
    log.roll(NOW_MS)
    flush(log)
    plan = log.delete_old_segments(NOW_MS, 20)
    assert plan is not None
    plan.run()
    again, _ = open_log(fs, recovery_point=20, clean=False)
    assert (again.log_start_offset, again.log_end_offset) == (20, 20)
    assert append(again, make_batch()).base_offset == 20


def test_segments_without_timestamps_age_by_their_last_write() -> None:
    fs = MemoryFileSystem(NOW_MS)
    log, _ = open_log(fs, LogConfig(retention_ms=1000))
    append(log, make_batch(timestamp_ms=-1))
    log.roll(NOW_MS)
    flush(log)
    assert log.delete_old_segments(NOW_MS + 1000, 1) is None
    assert log.delete_old_segments(NOW_MS + 1001, 1) is not None


# -- log start and truncation ---------------------------------------------------------------------------


def test_the_log_start_only_moves_up() -> None:
    log = filled_log(MemoryFileSystem())
    assert log.advance_log_start_offset(9)
    assert not log.advance_log_start_offset(5)
    assert log.log_start_offset == 9
    assert log.leader_epochs.entries[0] == (1, 9)
    with pytest.raises(OffsetOutOfRange):
        log.advance_log_start_offset(21)


@pytest.mark.parametrize("offset", [0, 2, 6, 10, 12, 18])
def test_truncation_at_a_batch(offset: int) -> None:
    fs = MemoryFileSystem()
    log = filled_log(fs)
    written = read_all(log)
    flush(log)
    log.truncate_to(offset, NOW_MS)
    assert (log.log_end_offset, log.recovery_point) == (offset, offset)
    assert read_all(log) == written[: offset // 2]
    assert all(start < offset for _, start in log.leader_epochs.entries)
    assert append(log, make_batch(2), leader_epoch=9).base_offset == offset
    again, report = open_log(fs, LogConfig(segment_bytes=3 * SIZE), recovery_point=offset, clean=False)
    assert report.cut_offset == -1
    assert read_all(again) == read_all(log)


def test_truncation_inside_a_batch_takes_the_batch() -> None:
    log = filled_log(MemoryFileSystem())
    flush(log)
    log.truncate_to(11, NOW_MS)
    assert (log.log_end_offset, log.recovery_point) == (11, 10)
    assert len(read_all(log)[:5]) == 5


def test_truncation_beyond_the_end_does_nothing() -> None:
    log = filled_log(MemoryFileSystem())
    log.truncate_to(25, NOW_MS)
    assert log.log_end_offset == 20


def test_truncation_takes_the_producer_state_back() -> None:
    log, _ = open_log(MemoryFileSystem(), LogConfig(segment_bytes=400))
    for sequence in range(12):
        append(log, make_batch(producer_id=3, producer_epoch=0, base_sequence=sequence))
    log.truncate_to(7, NOW_MS)
    assert log.producers.producers[3].next_sequence == 7
    append(log, make_batch(producer_id=3, producer_epoch=0, base_sequence=7))
    log.truncate_to(0, NOW_MS)
    assert log.producers.producers == {}


def test_truncation_finds_the_largest_timestamp_that_is_left() -> None:
    log, _ = open_log(MemoryFileSystem(), LogConfig(index_interval_bytes=1))
    for time in (5, 30, 10, 40, 20):
        append(log, make_batch(timestamp_ms=NOW_MS + time))
    log.truncate_to(3, NOW_MS)
    assert log.segments[0].largest_timestamp() == NOW_MS + 30
    found = log.max_timestamp().run()
    assert found is not None
    assert found.offset == 1


def test_starting_over_at_another_offset() -> None:
    fs = MemoryFileSystem()
    log = filled_log(fs)
    log.truncate_fully_and_start_at(100, NOW_MS)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (100, 100, 100)
    assert (log.size_bytes, log.leader_epochs.entries) == (0, [])
    assert append(log, make_batch(2)).base_offset == 100
    again, _ = open_log(fs, recovery_point=100, log_start_offset=100, clean=False)
    assert read_all(again) == read_all(log)


def test_closing_a_log_that_did_not_change_touches_no_disk() -> None:
    fs = FaultyFileSystem()
    filled_log(fs).close()
    log, _ = open_log(fs, LogConfig(segment_bytes=3 * SIZE), recovery_point=20)
    before = fs.operations
    log.close()
    assert fs.operations == before


def test_closing_an_empty_log_makes_its_birth_durable_and_no_more() -> None:
    fs = FaultyFileSystem()
    fs.makedirs("/data")
    fs.sync_dir("/")
    log, _ = open_log(fs, clean=False)
    log.leader_epochs.assign(3, 0)
    log.close()
    assert fs.crash(Loss.ALL).is_dir(DIRECTORY)
    assert fs.listdir(DIRECTORY) == []
    before = fs.operations
    open_log(fs)[0].close()
    assert fs.operations == before
