"""Whatever a crash forgets, a log opens again with everything that had been flushed.

Method: a workload (several producers, rolls, flushes, retention, clean reopenings) runs on the faulty file system.
After each of its file operations the disk is crashed in every way there is, and the log opened from what is left,
with the checkpoints as they were written last. It must open; hold every flushed batch, byte for byte; hold nothing
that was not appended, with no gap; and take appends again. Then the recovered log is closed and opened once more.
"""

from __future__ import annotations

import posixpath
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from protocol.records import read_header
from storage.config import LogConfig
from storage.fs.faulty import FaultyFileSystem, Loss, Operation
from storage.log import Log
from tests.support.logs import DIRECTORY, NOW_MS, append, flush, make_batch, open_log, read_all

CONFIG = LogConfig(
    segment_bytes=2500,
    index_interval_bytes=200,
    segment_index_bytes=8 * 40,
    retention_ms=-1,
    retention_bytes=4000,
)


@dataclass
class Workload:
    """A log, what was appended to it, and the checkpoint files of its broker."""

    fs: FaultyFileSystem
    random: random.Random
    batches: list[bytes] = field(default_factory=list)
    sequences: dict[int, int] = field(default_factory=dict)
    recovery_point: int = 0
    """As checkpointed, which may be long after it moved."""
    flushed: int = 0
    log_start_offset: int = 0
    clean: bool = False
    log: Log | None = None
    in_flight: bytes = b""
    """The batch that is being appended: it may or may not be there after a crash."""

    def step(self, name: str) -> None:
        getattr(self, f"_{name}")()

    def open(self) -> None:
        self.log, report = open_log(
            self.fs,
            CONFIG,
            recovery_point=self.recovery_point,
            log_start_offset=self.log_start_offset,
            clean=self.clean,
        )
        assert report.cut_offset == -1
        self.clean = False

    def _append(self) -> None:
        assert self.log is not None
        producer = self.random.randrange(3)
        count = self.random.randint(1, 3)
        named: dict[str, Any] = {}
        if producer:
            sequence = self.sequences.get(producer, 0)
            named = {"producer_id": producer, "producer_epoch": 0, "base_sequence": sequence}
            self.sequences[producer] = sequence + count
        batch = make_batch(count, size=self.random.randint(0, 300), timestamp_ms=NOW_MS, **named)
        expected = bytearray(batch)
        expected[0:8] = self.log.log_end_offset.to_bytes(8, "big")
        expected[12:16] = bytes(4)
        self.in_flight = bytes(expected)
        append(self.log, batch)
        self.batches.append(bytes(batch))
        self.in_flight = b""

    def _flush(self) -> None:
        assert self.log is not None
        flush(self.log)
        self.flushed = self.log.recovery_point

    def _checkpoint(self) -> None:
        assert self.log is not None
        self.recovery_point = self.log.recovery_point
        self.log_start_offset = self.log.log_start_offset

    def _roll(self) -> None:
        assert self.log is not None
        self.log.roll(NOW_MS)

    def _retain(self) -> None:
        assert self.log is not None
        plan = self.log.delete_old_segments(NOW_MS, self.log.log_end_offset)
        if plan is not None:
            plan.run()

    def _reopen(self) -> None:
        assert self.log is not None
        self.log.close()
        self.flushed = self.log.log_end_offset
        self._checkpoint()
        self.clean = True
        self.open()


STEPS = ("append",) * 12 + ("flush",) * 3 + ("roll", "retain", "checkpoint", "reopen")


def check_after_crash(work: Workload, disk: FaultyFileSystem) -> None:
    """Opens what the crash left, and checks it against what had been appended."""
    if not disk.is_dir(DIRECTORY):
        assert work.flushed == 0
        return
    log, report = open_log(
        disk,
        CONFIG,
        recovery_point=work.recovery_point,
        log_start_offset=work.log_start_offset,
        clean=work.clean,
    )
    assert log.log_end_offset >= work.flushed, report
    found = read_all(log, 1000)
    written = [*work.batches, work.in_flight] if work.in_flight else work.batches
    ends = [read_header(batch).last_offset for batch in written]
    first = next((i for i, end in enumerate(ends) if end >= log.log_start_offset), len(ends))
    assert found == written[first : first + len(found)]
    assert log.log_end_offset == (ends[first + len(found) - 1] + 1 if first + len(found) else 0)
    base_offset = log.log_end_offset
    assert append(log, make_batch(2)).base_offset == base_offset
    log.close()
    again, report = open_log(
        disk, CONFIG, recovery_point=log.recovery_point, log_start_offset=log.log_start_offset, clean=True
    )
    assert again.log_end_offset == base_offset + 2
    assert report.scanned_segments == 0
    assert read_all(again)[:-1] == found


def run_with_crashes(seed: int, steps: int, stride: int) -> int:
    """Returns how many crashes were survived."""
    fs = FaultyFileSystem(seed, NOW_MS)
    fs.makedirs(posixpath.dirname(DIRECTORY))
    fs.sync_dir("/")
    work = Workload(fs, random.Random(seed))
    crashes = 0

    def crash(operation: Operation) -> None:
        nonlocal crashes
        if operation.number % stride:
            return
        for loss in Loss:
            disk = fs.crash(loss)
            try:
                check_after_crash(work, disk)
            except BaseException as error:
                error.add_note(f"seed {seed}, {loss} after {operation}, {step=}")
                raise
            crashes += 1

    step = "open"
    fs.after = crash
    work.open()
    for _ in range(steps):
        step = work.random.choice(STEPS)
        work.step(step)
    return crashes


@pytest.mark.parametrize("seed", range(4))
def test_flushed_batches_survive_any_crash(seed: int) -> None:
    assert run_with_crashes(seed, steps=120, stride=3) > 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [100, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(101, 112))]
)
def test_flushed_batches_survive_any_crash_long(seed: int) -> None:
    assert run_with_crashes(seed, steps=400, stride=1) > 1000
