"""Opening a log: what is believed, what is checked, what is cut and kept aside, what is made anew."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.records import read_header
from protocol.types import TopicPartition
from storage.config import LogConfig
from storage.errors import CorruptLog
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from storage.recovery.loader import load_log
from storage.recovery.report import RecoveryReport
from tests.support.logs import DIRECTORY, NOW_MS, append, append_marker, flush, make_batch, open_log, read_all

SIZE = len(make_batch(2))
CONFIG = LogConfig(segment_bytes=3 * SIZE, index_interval_bytes=1)
BATCHES = 10
"""Segments begin at 0, 6, 12 and 18; the last holds one batch."""


def path(base_offset: int, suffix: str = ".log") -> str:
    return f"{DIRECTORY}/{base_offset:020d}{suffix}"


@pytest.fixture
def fs() -> MemoryFileSystem:
    return MemoryFileSystem()


def write(fs: MemoryFileSystem, *, flushed: int = 0, close: bool = False) -> list[bytes]:
    """Returns the batches; the recovery point is `flushed`."""
    log, _ = open_log(fs, CONFIG, clean=False)
    for number in range(BATCHES):
        named: dict[str, Any] = {"producer_id": 5, "producer_epoch": 0, "base_sequence": 2 * number}
        append(log, make_batch(2, timestamp_ms=NOW_MS + number, **named), leader_epoch=number // 4)
        if log.log_end_offset == flushed:
            flush(log)
    if close:
        log.close()
    return read_all(log)


def reopen(
    fs: MemoryFileSystem, recovery_point: int = 0, *, clean: bool = False, log_start_offset: int = 0
) -> tuple[Log, RecoveryReport]:
    return open_log(fs, CONFIG, recovery_point=recovery_point, clean=clean, log_start_offset=log_start_offset)


def damage(fs: MemoryFileSystem, name: str, position: int, value: bytes = b"\xff") -> None:
    content = bytearray(fs.read_file(name))
    content[position : position + len(value)] = bytes(
        b ^ v for b, v in zip(content[position:], value, strict=False)
    )
    fs.write_atomic(name, bytes(content))


# -- gaps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
def test_a_log_that_was_compacted_once_may_have_gaps(fs: MemoryFileSystem, clean: bool) -> None:
    """Whatever its settings are now: between segments, and within one. Without that it would count as damaged."""
    batches = write(fs, close=True)
    for suffix in (".log", ".index", ".timeindex"):
        fs.remove(path(6, suffix))
    fs.write_atomic(path(0), batches[0] + batches[2])  # the second of three is gone
    for suffix in (".index", ".timeindex"):
        fs.remove(path(0, suffix))
    kept = [batches[0], batches[2], *batches[6:]]
    with pytest.raises(CorruptLog):
        load(fs, clean=clean, cleaned=False)
    log = load(fs, clean=clean, cleaned=True)
    assert read_all(log) == kept
    assert log.log_end_offset == 2 * BATCHES
    append(log, make_batch(2), leader_epoch=2)
    assert read_all(log)[:-1] == kept


def load(fs: MemoryFileSystem, *, clean: bool, cleaned: bool) -> Log:
    log, _ = load_log(
        fs,
        DIRECTORY,
        TopicPartition("t", 0),
        CONFIG,
        recovery_point=2 * BATCHES,
        log_start_offset=0,
        clean=clean,
        cleaned=cleaned,
        now_ms=NOW_MS,
    )
    return log


# -- clean --------------------------------------------------------------------------------------------------


def test_a_new_directory_is_an_empty_log(fs: MemoryFileSystem) -> None:
    log, report = reopen(fs, clean=True)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (0, 0, 0)
    assert report.segments == 0


def test_after_a_clean_stop_nothing_is_read(fs: MemoryFileSystem) -> None:
    written = write(fs, close=True)
    log, report = reopen(fs, 20, clean=True)
    assert (report.segments, report.scanned_segments, report.rebuilt_segments) == (4, 0, [])
    assert (log.log_end_offset, log.recovery_point) == (20, 20)
    assert log.leader_epochs.entries == [(0, 0), (1, 8), (2, 16)]
    assert log.producers.producers[5].next_sequence == 20
    assert read_all(log) == written
    assert append(log, make_batch()).base_offset == 20


def test_the_producer_state_is_that_of_the_snapshot_and_what_follows(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    fs.remove(path(20, ".snapshot"))
    log, report = reopen(fs, 20, clean=True)
    assert report.scanned_segments == 0
    assert log.producers.producers[5].next_sequence == 20


def test_damaged_snapshots_cost_a_replay(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    for name in fs.listdir(DIRECTORY):
        if name.endswith(".snapshot"):
            damage(fs, f"{DIRECTORY}/{name}", 8)
    log, _ = reopen(fs, 20, clean=True)
    assert log.producers.producers[5].next_sequence == 20


def test_the_stop_after_a_damaged_snapshot_takes_another(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    for name in fs.listdir(DIRECTORY):
        if name.endswith(".snapshot"):
            damage(fs, f"{DIRECTORY}/{name}", 8)
    reopen(fs, 20, clean=True)[0].close()
    log, _ = reopen(fs, 20, clean=True)
    assert log.producers.producers[5].next_sequence == 20


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
@pytest.mark.parametrize("base_offset", [0, 18])
@pytest.mark.parametrize("how", ["missing", "empty", "torn", "longer than the log"])
def test_an_index_that_cannot_be_right_is_made_anew(
    fs: MemoryFileSystem, suffix: str, base_offset: int, how: str
) -> None:
    written = write(fs, close=True)
    name = path(base_offset, suffix)
    good = fs.read_file(name)
    if how == "missing":
        fs.remove(name)
    elif how == "empty":
        fs.write_atomic(name, b"")
    elif how == "torn":
        fs.write_atomic(name, good[:-1])
    else:
        fs.write_atomic(name, good + (b"\x7f" * 12 if suffix == ".timeindex" else b"\x7f" * 8))
    log, report = reopen(fs, 20, clean=True)
    if (suffix, how) != (".index", "empty") and fs.read_file(name) != b"":  # which only makes look-ups slower
        assert report.rebuilt_segments == [base_offset]
        assert fs.read_file(name) == good
    assert read_all(log) == written
    found = log.lookup_timestamp(NOW_MS + base_offset // 2).run()
    assert found is not None
    assert found.offset == base_offset


def test_missing_epochs_are_read_from_the_batches(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    name = f"{DIRECTORY}/leader-epoch-checkpoint"
    for content in (None, b"nonsense"):
        if content is None:
            fs.remove(name)
        else:
            fs.write_atomic(name, content)
        log, report = reopen(fs, 20, clean=True)
        assert log.leader_epochs.entries == [(0, 0), (1, 8), (2, 16)]
        assert report.scanned_segments == 4


@pytest.mark.parametrize("kept", [0, 1, SIZE - 1, SIZE, 2 * SIZE, 3 * SIZE - 1])
@pytest.mark.parametrize("base_offset", [0, 12])
def test_a_file_that_got_shorter_is_rot(fs: MemoryFileSystem, base_offset: int, kept: int) -> None:
    write(fs, close=True)
    fs.write_atomic(path(base_offset), fs.read_file(path(base_offset))[:kept])
    with pytest.raises(CorruptLog):
        reopen(fs, 20, clean=True)


def test_a_missing_file_is_rot(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    fs.remove(path(6))
    with pytest.raises(CorruptLog):
        reopen(fs, 20, clean=True)


def test_a_missing_tail_is_rot(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    fs.remove(path(18))
    with pytest.raises(CorruptLog, match="recovery point"):
        reopen(fs, 20, clean=True)


# -- unclean ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recovery_point", "scanned"), [(0, 4), (5, 4), (6, 4), (8, 3), (14, 2), (18, 2), (20, 1)]
)
def test_what_lies_behind_the_recovery_point_is_scanned(
    fs: MemoryFileSystem, recovery_point: int, scanned: int
) -> None:
    """With the segment that ends at the recovery point: the flush that moved it there may not have known its end."""
    written = write(fs, flushed=recovery_point)
    log, report = reopen(fs, recovery_point)
    assert report.scanned_segments == scanned
    assert log.recovery_point == recovery_point
    assert read_all(log) == written
    assert log.producers.producers[5].next_sequence == 20
    assert log.leader_epochs.entries == [(0, 0), (1, 8), (2, 16)]


def test_scanned_bytes_are_not_checked_again(fs: MemoryFileSystem) -> None:
    write(fs)
    log, _ = reopen(fs)
    assert log.read(0, 10**6, 20).cold is None


def test_the_tail_is_cut_at_the_first_bad_batch_and_kept_aside(fs: MemoryFileSystem) -> None:
    written = write(fs, flushed=8)
    original = {base: fs.read_file(path(base)) for base in (6, 12, 18)}
    damage(fs, path(6), 2 * SIZE + 70)
    log, report = reopen(fs, 8)
    assert (log.log_end_offset, report.cut_offset) == (10, 10)
    assert read_all(log) == written[:5]
    assert report.cut_bytes == SIZE + len(original[12]) + len(original[18])
    assert "checksum" in report.cut_reason
    kept = [fs.read_file(name) for name in report.cut_files]
    assert kept[0][:60] == original[6][2 * SIZE : 2 * SIZE + 60]
    assert sorted(kept[1:]) == sorted([original[12], original[18]])
    assert log.producers.producers[5].next_sequence == 10
    assert log.leader_epochs.entries == [(0, 0), (1, 8)]
    assert append(log, make_batch(), leader_epoch=1).base_offset == 10
    again, report = reopen(fs, 8)
    assert (again.log_end_offset, report.cut_offset) == (11, -1)


@pytest.mark.parametrize("garbage", [b"\0" * 500, b"\xff" * 70, b"\0" * 7])
def test_garbage_behind_the_last_batch_is_cut(fs: MemoryFileSystem, garbage: bytes) -> None:
    written = write(fs, flushed=20)
    fs.write_atomic(path(18), fs.read_file(path(18)) + garbage)
    log, report = reopen(fs, 20)
    assert (report.cut_offset, report.cut_bytes) == (20, len(garbage))
    assert fs.read_file(report.cut_files[0]) == garbage
    assert read_all(log) == written


def test_a_segment_that_is_bad_from_its_start_is_taken_out(fs: MemoryFileSystem) -> None:
    written = write(fs, flushed=12)
    damage(fs, path(12), 30)
    log, _ = reopen(fs, 12)
    assert log.log_end_offset == 12
    assert [segment.base_offset for segment in log.segments] == [0, 6]
    assert read_all(log) == written[:6]
    assert append(log, make_batch()).base_offset == 12


def test_a_lost_file_in_the_tail_cuts_the_log(fs: MemoryFileSystem) -> None:
    written = write(fs, flushed=6)
    fs.remove(path(12))
    log, report = reopen(fs, 6)
    assert (log.log_end_offset, len(report.cut_files)) == (12, 1)
    assert read_all(log) == written[:6]


def test_a_cut_that_is_interrupted_is_done_again(fs: MemoryFileSystem) -> None:
    written = write(fs, flushed=8)
    damage(fs, path(6), 2 * SIZE + 70)
    _, report = reopen(fs, 8)
    # As if the crash came before the truncation: the copy is there, and the damage, too.
    damaged = fs.read_file(report.cut_files[0])
    fs.write_atomic(path(6), fs.read_file(path(6)) + damaged)
    log, report = reopen(fs, 8)
    assert (log.log_end_offset, report.cut_bytes) == (10, SIZE)
    assert read_all(log) == written[:5]


@pytest.mark.parametrize("position", [3, 10, 14, 18, 30, 40, 65, SIZE - 1])
def test_damage_below_the_recovery_point_cuts_nothing(fs: MemoryFileSystem, position: int) -> None:
    write(fs, flushed=20)
    damage(fs, path(6), position)
    before = {
        name: fs.read_file(f"{DIRECTORY}/{name}") for name in fs.listdir(DIRECTORY) if name.endswith(".log")
    }
    with pytest.raises(CorruptLog):
        reopen(fs, 8)
    after = {
        name: fs.read_file(f"{DIRECTORY}/{name}") for name in fs.listdir(DIRECTORY) if name.endswith(".log")
    }
    assert before == after


def test_an_end_below_the_recovery_point_is_rot(fs: MemoryFileSystem) -> None:
    write(fs, flushed=20)
    fs.write_atomic(path(18), b"")
    with pytest.raises(CorruptLog):
        reopen(fs, 20)


def test_an_epoch_that_falls_is_damage(fs: MemoryFileSystem) -> None:
    write(fs, flushed=8)
    damage(fs, path(18), 12, b"\0\0\0\2")  # epoch 2 becomes 0, after epoch 1
    log, report = reopen(fs, 8)
    assert (log.log_end_offset, report.cut_offset) == (18, 18)
    assert "epoch" in report.cut_reason


def test_transactions_are_recovered(fs: MemoryFileSystem) -> None:
    log, _ = open_log(fs, CONFIG, clean=False)
    for producer in (1, 2, 3):
        append(
            log,
            make_batch(2, producer_id=producer, producer_epoch=0, base_sequence=0, transactional=True),
        )
    flush(log)
    for producer, committed in ((1, False), (2, True)):
        append_marker(log, producer, committed=committed)
    expected = log.aborted_transactions(0, 8)
    assert expected == [(1, 0)]
    again, _ = reopen(fs, 6)
    again.producers.on_high_watermark(8)
    assert again.aborted_transactions(0, 8) == expected
    assert again.first_unstable_offset == 4
    again.close()
    again, report = reopen(fs, 8, clean=True)
    assert report.scanned_segments == 0
    assert again.aborted_transactions(0, 8) == expected
    assert again.first_unstable_offset == 4


# -- log start --------------------------------------------------------------------------------------------


def test_the_log_start_is_the_checkpointed_one(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    log, _ = reopen(fs, 20, clean=True, log_start_offset=9)
    assert log.log_start_offset == 9
    assert read_header(read_all(log)[0]).base_offset == 8


def test_the_log_start_is_not_below_the_first_segment(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    for suffix in (".log", ".index", ".timeindex"):
        fs.remove(path(0, suffix))
    log, _ = reopen(fs, 20, clean=True)
    assert log.log_start_offset == 6


def test_after_a_clean_stop_a_start_above_the_end_is_not_believed(fs: MemoryFileSystem) -> None:
    """One flipped bit in a checkpoint must not cost a whole log."""
    write(fs, close=True)
    before = fs.listdir(DIRECTORY)
    with pytest.raises(CorruptLog, match=r"/t-0: the log ends at offset 20, below its start 50"):
        reopen(fs, 20, clean=True, log_start_offset=50)
    assert fs.listdir(DIRECTORY) == before


def test_a_log_that_ends_below_its_start_begins_anew(fs: MemoryFileSystem) -> None:
    write(fs, close=True)
    log, _ = reopen(fs, 20, log_start_offset=50)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (50, 50, 0)
    assert append(log, make_batch()).base_offset == 50
    assert fs.exists(path(50))


def test_an_empty_directory_begins_at_the_checkpointed_start(fs: MemoryFileSystem) -> None:
    log, _ = reopen(fs, 0, log_start_offset=30)
    assert (log.log_start_offset, log.log_end_offset) == (30, 30)
    assert fs.exists(path(30)), "the offset must not be lost with the checkpoint"
