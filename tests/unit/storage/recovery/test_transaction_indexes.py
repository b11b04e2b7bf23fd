"""Transaction indexes that are damaged, or were removed with the others, are made anew: all of them, whenever a crash
comes.
"""

from __future__ import annotations

from typing import Any

import pytest

from storage.config import LogConfig
from storage.fs import FileSystem
from storage.fs.faulty import FaultyFileSystem, Loss
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from storage.recovery.report import RecoveryReport
from tests.support.logs import DIRECTORY, NOW_MS, append, append_marker, flush, make_batch, open_log

SIZE = len(make_batch(2))
CONFIG = LogConfig(segment_bytes=3 * SIZE, index_interval_bytes=1)
END = 20
ABORTED = [(1, 0), (1, 5), (1, 10), (1, 15)]


def path(base_offset: int, suffix: str) -> str:
    return f"{DIRECTORY}/{base_offset:020d}{suffix}"


@pytest.fixture
def fs() -> MemoryFileSystem:
    return MemoryFileSystem()


def write_aborted(fs: FileSystem) -> None:
    """Four transactions of one batch each, with another batch before the marker: which is in another segment, now and
    then.
    """
    log, _ = open_log(fs, CONFIG, clean=False)
    for number in range(4):
        named: dict[str, Any] = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 2 * number}
        append(log, make_batch(2, transactional=True, **named))
        append(log, make_batch(2))
        append_marker(log, 1, committed=False)
    flush(log)
    log.close()
    fs.sync_dir("/")


def spoil(fs: FileSystem, how: str) -> None:
    """What an operator or the disk did while the broker was stopped."""
    for name in fs.listdir(DIRECTORY):
        file = f"{DIRECTORY}/{name}"
        if how == "damaged":
            if name.endswith(".txnindex"):
                fs.write_atomic(file, fs.read_file(file)[:-1])
        elif name.endswith({"removed": "index", "removed but for times": (".index", ".txnindex")}[how]):
            fs.remove(file)
    fs.sync_dir(DIRECTORY)


HOW = ["damaged", "removed", "removed but for times"]


def reopen(
    fs: FileSystem, recovery_point: int = END, *, clean: bool, log_start_offset: int = 0
) -> tuple[Log, RecoveryReport]:
    return open_log(fs, CONFIG, recovery_point=recovery_point, clean=clean, log_start_offset=log_start_offset)


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("how", HOW)
def test_they_are_made_anew(fs: MemoryFileSystem, how: str, clean: bool) -> None:
    """Without them, readers of committed records would be given what was aborted."""
    write_aborted(fs)
    spoil(fs, how)
    log, report = reopen(fs, clean=clean)
    assert log.aborted_transactions(0, END) == ABORTED
    assert log.log_end_offset == END
    if clean:
        rebuilt = [segment.base_offset for segment in log.segments] if how != "damaged" else []
        assert report.rebuilt_segments == rebuilt
    log.close()
    log, report = reopen(fs, clean=True)
    assert log.aborted_transactions(0, END) == ABORTED
    assert report.scanned_segments == 0
    assert report.rebuilt_segments == []


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("how", HOW)
def test_a_crash_on_the_way_leaves_nothing_out(how: str, loss: Loss) -> None:
    fs = FaultyFileSystem(0, NOW_MS)
    write_aborted(fs)
    spoil(fs, how)
    crashed: list[FaultyFileSystem] = []
    fs.after = lambda operation: crashed.append(fs.crash(loss))
    reopen(fs, clean=True)
    assert len(crashed) > 4
    for left in crashed:
        log, _ = reopen(left, clean=False)
        assert log.aborted_transactions(0, END) == ABORTED


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_transaction_index_made_anew_leaves_what_is_known_of_producers(
    fs: MemoryFileSystem, how: str
) -> None:
    """The snapshot of the stop knows what compaction and retention have taken out of the log."""
    log, _ = open_log(fs, CONFIG, clean=False)
    for number in range(3):
        named: dict[str, Any] = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 2 * number}
        append(log, make_batch(2, transactional=True, **named))
    append(log, make_batch(2, producer_id=2, producer_epoch=0, base_sequence=0))
    flush(log)
    log.advance_log_start_offset(6)
    assert log.delete_old_segments(NOW_MS, 8) is not None
    log.producers.producers[1].epoch = 7  # as a marker that is gone may have said
    log.close()
    if how == "missing":
        for suffix in (".index", ".timeindex"):
            fs.remove(path(6, suffix))
    else:
        fs.write_atomic(path(6, ".txnindex"), b"torn")
    log, _ = reopen(fs, 8, clean=True, log_start_offset=6)
    assert (log.producers.producers[1].epoch, log.producers.producers[1].txn_first_offset) == (7, 0)
    assert log.producers.producers[2].next_sequence == 2
    assert log.aborted_transactions(6, 8) == []
