"""Kafka's DumpLogSegments over every file of data directories, in one JVM.

`assert_dump_clean(directories)` is the check; `problems_in` gives the findings as data. Directories must
belong to stopped brokers: a running one may be in the middle of a write.

Beyond what the tool looks at, the leader-epoch checkpoint of each partition is compared with its log: epochs
and start offsets ascend, and every epoch that the log holds is listed with the offset where it starts. What lies
below the log start offset is on its way out and does not count.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import java

# .checkpoint files hold control and metadata batches (KRaft snapshots).
_SUFFIXES = (".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".checkpoint")
_BATCH_HEAD = struct.Struct(">qii")  # base offset, batch length, leader epoch


@dataclass(frozen=True, slots=True)
class DumpReport:
    """`problems` is one line per finding; the counts say how much was looked at."""

    files: int
    batches: int
    records: int
    problems: tuple[str, ...]


def assert_dump_clean(directories: Iterable[str | os.PathLike[str]]) -> DumpReport:
    """Fail with every finding, or return what was checked."""
    report = problems_in(directories)
    assert not report.problems, "\n".join(report.problems[:50])
    return report


def problems_in(directories: Iterable[str | os.PathLike[str]]) -> DumpReport:
    partitions = sorted({path.parent for path in _log_files(directories)})
    files = [path for partition in partitions for path in sorted(partition.iterdir()) if _is_checked(path)]
    output = java.KAFKA.run(
        "DumpCheck", input_text="".join(f"{path}\n" for path in files), timeout=600
    ).stdout
    problems = []
    counts = (0, 0, 0)
    for line in output.splitlines():
        kind, *fields = line.split("\t")
        if kind == "problem":
            problems.append(": ".join(fields))
        elif kind == "checked":
            checked, batches, records = fields
            counts = (int(checked), int(batches), int(records))
    assert counts[0] == len(files), f"the tool stopped early: {output[-2000:]}"
    for partition in partitions:
        problems += epoch_problems(partition)
    return DumpReport(*counts, tuple(problems))


def epoch_problems(partition: Path) -> list[str]:
    """What is wrong with the leader-epoch checkpoint of one partition, if there is one."""
    checkpoint = partition / "leader-epoch-checkpoint"
    if not checkpoint.exists():
        return []
    lines = checkpoint.read_text().splitlines()
    entries = [(int(line.split()[0]), int(line.split()[1])) for line in lines[2:]]
    problems = []
    if lines[0] != "0" or int(lines[1]) != len(entries):
        problems.append(f"{checkpoint}: version {lines[0]}, count {lines[1]}, {len(entries)} entries")
    if entries != sorted(entries) or len({epoch for epoch, _ in entries}) != len(entries):
        problems.append(f"{checkpoint}: entries do not ascend: {entries}")
    listed = dict(entries)
    problems += [
        f"{checkpoint}: the log has epoch {epoch} from {offset} on, the file from {listed.get(epoch)} on"
        for epoch, offset in _readable_epoch_starts(partition)
        if not _agrees(listed.get(epoch), offset)
    ]
    return problems


def _agrees(listed_start: int | None, first_offset_in_log: int) -> bool:
    """The records that opened the epoch may be gone (retention, compaction), so it may start earlier."""
    return listed_start is not None and listed_start <= first_offset_in_log


def _readable_epoch_starts(partition: Path) -> Iterator[tuple[int, int]]:
    """Epochs with records at or above the log start offset, and the first of these offsets."""
    log_start = _log_start_offset(partition)
    starts = list(_epoch_starts(partition))
    for index, (epoch, offset) in enumerate(starts):
        is_last = index + 1 == len(starts)
        if is_last or starts[index + 1][1] > log_start:
            yield epoch, max(offset, log_start)


def _log_start_offset(partition: Path) -> int:
    checkpoint = partition.parent / "log-start-offset-checkpoint"
    rows = checkpoint.read_text().splitlines()[2:] if checkpoint.exists() else []
    topic, _, index = partition.name.rpartition("-")
    if topic == "__cluster_metadata":  # a snapshot stands for everything in front of it
        return max((int(path.name.split("-")[0]) for path in partition.glob("*.checkpoint")), default=0)
    return next((int(row.split()[2]) for row in rows if row.split()[:2] == [topic, index]), 0)


def _epoch_starts(partition: Path) -> Iterator[tuple[int, int]]:
    last_epoch = -1
    for log in sorted(partition.glob("*.log")):
        for base_offset, epoch in _batch_heads(log):
            if epoch != last_epoch:
                yield epoch, base_offset
                last_epoch = epoch


def _batch_heads(log: Path) -> Iterator[tuple[int, int]]:
    with log.open("rb") as file:
        position = 0
        while len(head := file.read(_BATCH_HEAD.size)) == _BATCH_HEAD.size:
            base_offset, length, epoch = _BATCH_HEAD.unpack(head)
            yield base_offset, epoch
            position += 12 + length
            file.seek(position)


def _log_files(directories: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Partitions that were deleted (`-delete`) are nobody's logs any more, and Kafka leaves theirs unfinished."""
    for directory in directories:
        for path in Path(directory).rglob("*.log"):
            if not path.parent.name.endswith("-delete"):
                yield path


def _is_checked(path: Path) -> bool:
    return path.name.endswith(_SUFFIXES)
