"""What is known of producers when a compacted log is opened: more than the batches that compaction has left say.

A marker goes once no record of its transaction is left, and with it what it alone said: that the transaction has ended,
and the producer's epoch. The snapshots, taken when a segment was begun, know it.
"""

from __future__ import annotations

import pytest

from protocol.records import read_header
from protocol.types import Offset
from storage.checkpoint import LEADER_EPOCHS
from storage.config import LogConfig
from storage.fs.faulty import FaultyFileSystem, Loss
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from tests.support.compaction import clean_once
from tests.support.logs import DIRECTORY, NOW_MS, append, append_marker, flush, make_batch, open_log, read_all

CONFIG = LogConfig(cleanup_policy=frozenset({"compact"}), segment_bytes=1000, delete_retention_ms=1000)
ABORTING, COMMITTING = 1, 2


def write(log: Log, producer_id: int, sequence: int = 0) -> None:
    """Appends a batch of the producer's first transaction."""
    batch = make_batch(producer_id=producer_id, producer_epoch=0, base_sequence=sequence, transactional=True)
    append(log, batch)


def end(log: Log, producer_id: int, *, committed: bool) -> None:
    """Appends a marker of transaction version 2: it has the next epoch."""
    append_marker(log, producer_id, committed=committed, producer_epoch=1, coordinator_epoch=3)
    log.producers.on_high_watermark(log.log_end_offset)


@pytest.fixture
def compacted() -> tuple[MemoryFileSystem, Log]:
    """Two transactions that begin in one segment and end in the next; of neither is anything left but its marker's
    header. The log ends where its active segment begins.
    """
    fs = MemoryFileSystem(NOW_MS)
    log, _ = open_log(fs, CONFIG, clean=False)
    append(log, make_batch(key=b"other", size=700))  # too much for one segment with what follows
    write(log, COMMITTING)
    write(log, ABORTING)
    log.roll(NOW_MS)
    end(log, COMMITTING, committed=True)
    end(log, ABORTING, committed=False)
    append(log, make_batch(size=200))  # supersedes both
    log.roll(NOW_MS)
    flush(log)
    cleaned_to = None
    # Their records go, the markers' time is set, it is over.
    for now_ms in (NOW_MS, NOW_MS, NOW_MS + CONFIG.delete_retention_ms):
        cleaned_to, _ = clean_once(fs, log, cleaned_to, log.log_end_offset, now_ms)
    headers = [read_header(batch) for batch in read_all(log)]
    assert [(each.last_offset, each.record_count) for each in headers] == [(0, 1), (3, 0), (4, 0), (5, 1)]
    assert [segment.base_offset for segment in log.segments] == [0, 3, 6]
    return fs, log


def check(log: Log) -> None:
    """Nothing is open, and who has the epoch before is fenced."""
    assert log.first_unstable_offset is None
    for producer_id in (COMMITTING, ABORTING):
        state = log.producers.producers[producer_id]
        assert (state.epoch, state.coordinator_epoch, state.next_sequence) == (1, 3, 0)
        assert state.txn_first_offset == -1


@pytest.mark.parametrize("recovery_point", [0, 4, 6], ids=["at the start", "in between", "at the end"])
def test_a_killed_broker_knows_what_compaction_took(
    compacted: tuple[MemoryFileSystem, Log], recovery_point: Offset
) -> None:
    """Wherever the recovery point was checkpointed last, which is done once a minute."""
    fs, log = compacted
    assert recovery_point <= log.recovery_point == log.log_end_offset == 6
    log, report = open_log(fs, CONFIG, recovery_point=recovery_point, clean=False)
    assert report.scanned_segments
    check(log)


def test_leader_epochs_that_were_lost_cost_a_scan_and_nothing_else(
    compacted: tuple[MemoryFileSystem, Log],
) -> None:
    fs, log = compacted
    log.close()
    fs.remove(f"{DIRECTORY}/{LEADER_EPOCHS}")
    for _ in range(2):
        log, report = open_log(fs, CONFIG, recovery_point=6)
        check(log)
        log.close()
    assert not report.scanned_segments


# -- snapshots of what is not there any more -----------------------------------------------------------------


def test_a_snapshot_from_before_a_truncation_never_comes_back() -> None:
    """It is gone from the disk before the log holds something else where it was taken."""
    fs, log = on_disk()
    write(log, 1)
    end(log, 1, committed=True)
    log.close()
    log, _ = open_log(fs, CONFIG, recovery_point=2)
    log.truncate_to(0, NOW_MS)
    write(log, 2)
    write(log, 2, 1)
    log.segments[0].file.sync()  # as the kernel may at any time
    check_knows_only(fs.crash(Loss.ALL), 2)


def test_a_snapshot_of_records_that_a_crash_took_never_comes_back() -> None:
    """As above, where nobody but the crash had truncated the log."""
    fs, log = on_disk()
    write(log, 1)
    end(log, 1, committed=True)
    log.roll(NOW_MS)
    flush(log)
    log.segments[0].file.truncate(0)
    log.segments[0].file.sync()
    fs.remove(log.segments[1].path)
    fs.sync_dir(DIRECTORY)
    fs = fs.crash(Loss.ALL)
    log, _ = open_log(fs, CONFIG, clean=False)
    assert log.log_end_offset == 0
    write(log, 2)
    write(log, 2, 1)
    log.segments[0].file.sync()
    check_knows_only(fs.crash(Loss.ALL), 2)


def on_disk() -> tuple[FaultyFileSystem, Log]:
    """An empty log, whose directory a power failure does not take."""
    fs = FaultyFileSystem(now_ms=NOW_MS)
    log, _ = open_log(fs, CONFIG, clean=False)
    fs.sync_dir("/")
    fs.sync_dir("/data")
    return fs, log


def check_knows_only(fs: FaultyFileSystem, producer_id: int) -> None:
    log, _ = open_log(fs, CONFIG, clean=False)
    assert log.log_end_offset == 2
    assert list(log.producers.producers) == [producer_id]
    assert log.first_unstable_offset == 0
