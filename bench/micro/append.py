"""What one append costs in Python, above the checksum and the write that it cannot do without.

Run:      .venv/bin/python -m bench.micro.append [--batches N] [--rounds N] [--dir DIR]
Compare:  run it before and after a change on an idle machine; take the column "above floor".

Floor and append are interleaved, round by round; figures are medians over the rounds. `--dir` should lie on a tmpfs
(/dev/shm by default), so that the disk is not what is measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

from protocol.crc import crc32c
from protocol.record_builder import build_batch
from protocol.records import Record
from protocol.types import TopicPartition
from storage.config import LogConfig
from storage.fs import OpenMode
from storage.fs.real import RealFileSystem
from storage.log import Log
from storage.recovery.loader import load_log

NOW_MS = 1_700_000_000_000


def make_batch(size: int, *, idempotent: bool) -> bytearray:
    """One record that fills a batch of `size` bytes, more or less."""
    record = Record(0, NOW_MS, None, os.urandom(size - 80))
    if idempotent:
        return build_batch([record], producer_id=1, producer_epoch=0, base_sequence=0)
    return build_batch([record])


def make_log(directory: str) -> Log:
    fs = RealFileSystem()
    fs.makedirs(directory)
    log, _ = load_log(
        fs,
        directory,
        TopicPartition("bench", 0),
        LogConfig(),
        recovery_point=0,
        log_start_offset=0,
        clean=True,
        now_ms=NOW_MS,
    )
    return log


def time_floor(directory: str, batch: bytearray, count: int) -> float:
    """Seconds for a checksum and a write per batch."""
    file = RealFileSystem().open(f"{directory}/floor", OpenMode.CREATE)
    append = file.append
    view = memoryview(batch)
    start = time.perf_counter()
    for _ in range(count):
        crc32c(view[21:], 0)
        append(view)
    return time.perf_counter() - start


def time_append(directory: str, batch: bytearray, count: int, *, idempotent: bool) -> float:
    """Seconds for that many appends to a log. Resetting the batch between them is measured apart."""
    log = make_log(directory)
    append = log.append
    view = memoryview(batch)
    batches = [_sequenced(batch, number) for number in range(count)] if idempotent else None
    start = time.perf_counter()
    for number in range(count):
        if batches is not None:
            view = memoryview(batches[number])
        else:
            batch[0:8] = bytes(8)
        append(view, leader_epoch=0, now_ms=NOW_MS)
    return time.perf_counter() - start


def _sequenced(batch: bytearray, sequence: int) -> bytearray:
    copy = bytearray(batch)
    copy[53:57] = sequence.to_bytes(4, "big")
    copy[17:21] = crc32c(memoryview(copy)[21:], 0).to_bytes(4, "big")
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--batches", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dir", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    arguments = parser.parse_args()
    print(f"{'batch':>10} {'floor us':>10} {'append us':>10} {'above floor us':>15}")
    for size, idempotent in ((1024, False), (16_384, False), (16_384, True), (131_072, False)):
        count = min(arguments.batches, (256 << 20) // size)
        floors, appends = [], []
        for _ in range(arguments.rounds):
            batch = make_batch(size, idempotent=idempotent)
            floors.append(_in_directory(arguments.dir, partial(time_floor, batch=batch, count=count)))
            work = partial(time_append, batch=batch, count=count, idempotent=idempotent)
            appends.append(_in_directory(arguments.dir, work))
        floor = statistics.median(floors) / count * 1e6
        append = statistics.median(appends) / count * 1e6
        name = f"{size}{'+pid' if idempotent else ''}"
        print(f"{name:>10} {floor:>10.2f} {append:>10.2f} {append - floor:>15.2f}")


def _in_directory(parent: str | None, work: Callable[[str], float]) -> float:
    directory = tempfile.mkdtemp(dir=parent)
    try:
        return work(directory)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
