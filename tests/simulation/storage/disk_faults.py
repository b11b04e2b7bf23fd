"""Disks that are full, that fail to sync, and that rot: each fault once at every place where it can strike."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from protocol.records import LEADER_EPOCH_POSITION
from protocol.types import TopicPartition
from storage.directories.directory_loader import LoadReport
from storage.directories.manager import LogManager
from storage.errors import CorruptLog, DirectoryRefused, MalformedFile, StorageFailure
from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Kind, Loss, Operation
from storage.log import Log
from tests.simulation.storage.checks import check_crash, open_node, read, split
from tests.simulation.storage.model import Batch, NodeModel, PartitionModel
from tests.simulation.storage.workload import Workload

_ALLOCATING = frozenset({Kind.CREATE, Kind.WRITE, Kind.MKDIR})
"""What a full disk refuses; it still truncates, renames and removes."""
_SYNCING = frozenset({Kind.SYNC, Kind.SYNC_DIR})
_REFUSALS_IN_A_ROW = 3
"""For so many attempts the disk stays full."""


def operations_of(seed: int, operations: int, kinds: frozenset[Kind]) -> list[int]:
    """Numbers of the operations of those kinds in a workload's undisturbed life."""
    numbers: list[int] = []
    fs = FaultyFileSystem(seed)
    fs.after = lambda operation: numbers.append(operation.number) if operation.kind in kinds else None
    Workload(fs, seed).run(operations)
    return numbers


def fill_disk_everywhere(seed: int, operations: int) -> int:
    """Lives through a disk that is full for a moment at each allocation; returns how many steps were refused.

    The workload checks after each refusal that nothing was taken in part, and goes on; at the end it stops cleanly, and
    what it leaves survives a power failure.
    """
    refused = 0
    for number in operations_of(seed, operations, _ALLOCATING):
        fs = FaultyFileSystem(seed)
        left = [_REFUSALS_IN_A_ROW]

        def full(operation: Operation, number: int = number, left: list[int] = left) -> int | None:
            if operation.kind in _ALLOCATING and operation.number >= number and left[0] > 0:
                left[0] -= 1
                return errno.ENOSPC
            return None

        fs.before = full
        workload = Workload(fs, seed)
        try:
            workload.run(operations)
            check_crash(fs.crash(Loss.ALL), workload.node, workload.now_ms)
        except Exception as error:
            error.add_note(
                f"seed {seed}, the disk was full at operation {number}; last: {workload.steps[-3:]}"
            )
            raise
        refused += workload.refused
    return refused


def fail_sync_everywhere(seed: int, operations: int) -> int:
    """Lets each sync of a workload fail once; returns how many did.

    The failure must surface, never be tried again, and what was acknowledged before it must survive the restart.
    """
    numbers = operations_of(seed, operations, _SYNCING)
    for number in numbers:
        fs = FaultyFileSystem(seed)
        failed: list[Operation] = []

        def fail(operation: Operation, number: int = number, failed: list[Operation] = failed) -> int | None:
            if operation.kind in _SYNCING and operation.number == number and not failed:
                failed.append(operation)
                return errno.EIO
            return None

        fs.before = fail
        workload = Workload(fs, seed)
        surfaced = False
        try:
            workload.run(operations)
        except (StorageFailure, DirectoryRefused):
            surfaced = True
        try:
            for loss in POWER_LOSSES:
                check_crash(fs.crash(loss), workload.node, workload.now_ms)
            assert surfaced, "nobody was told"
        except Exception as error:
            error.add_note(f"seed {seed}, sync failed: {failed}; last: {workload.steps[-3:]}")
            raise
    return len(numbers)


@dataclass(slots=True)
class Rot:
    """What flipping bits one at a time led to, in counts of flips."""

    flips: int = 0
    harmless: int = 0
    refused: int = 0
    """A partition or a read was refused."""
    cut: int = 0
    """A tail was cut off."""


def rot_everywhere(seed: int, operations: int, *, clean: bool, stride: int) -> Rot:
    """Flips one bit in every `stride` bytes of every file that a stopped (`clean`) or killed node left."""
    fs = FaultyFileSystem(seed)
    workload = Workload(fs, seed)
    workload.run(operations)
    if clean:
        workload.stop()
    else:
        workload.leave_a_tail()
    image = fs.crash(Loss.NONE)
    recovery_points = {
        partition: 1 << 62 if clean else offset
        for partition, offset in workload.checkpointed_recovery_points().items()
    }
    rot = Rot()
    for path, position in _places(image, stride):
        bit = (position * 7 + len(path)) % 8
        image.flip_bit(path, position, bit)
        rotten = image.crash(Loss.NONE)
        image.flip_bit(path, position, bit)
        rot.flips += 1
        try:
            _check_rotten(rotten, workload.node, workload.now_ms, path, recovery_points, rot)
        except Exception as error:
            error.add_note(f"seed {seed}, clean={clean}, bit {bit} of byte {position} of {path} flipped")
            raise
    return rot


def _places(fs: FaultyFileSystem, stride: int) -> Iterator[tuple[str, int]]:
    for index, path in enumerate(fs.walk()):
        for position in range(index % stride, fs.size(path), stride):
            yield path, position


def _check_rotten(
    fs: FaultyFileSystem,
    node: NodeModel,
    now_ms: int,
    path: str,
    recovery_points: dict[TopicPartition, int],
    rot: Rot,
) -> None:
    try:
        manager, report = open_node(fs, node, now_ms)
    except (DirectoryRefused, MalformedFile):
        rot.refused += 1
        return
    outcome = {"refused": bool(report.failed or report.warnings), "cut": False}
    for partition, model in node.live.items():
        log = manager.logs.get(partition)
        if log is None:
            _check_missing(partition, path, manager, report)
        else:
            _check_served(log, model, recovery_points.get(partition, 0), path, outcome)
    if outcome["refused"]:
        rot.refused += 1
    elif outcome["cut"]:
        rot.cut += 1
    else:
        rot.harmless += 1


def _check_missing(partition: object, path: str, manager: LogManager, report: LoadReport) -> None:
    """Only a partition whose own files rotted is offline, and it is said why."""
    told = partition in report.failed or any(str(partition) in warning for warning in report.warnings)
    assert told, f"{partition} is gone without a word"
    assert f"/{partition}/" in path or "checkpoint" in path, f"{partition} is offline, but {path} rotted"


def _check_served(
    log: Log, model: PartitionModel, recovery_point: int, path: str, outcome: dict[str, bool]
) -> None:
    """What is served is what was written; what was on disk for certain is served or refused, never dropped."""
    refused: set[int] = set()
    served: dict[int, Batch] = {}
    for batch in model.batches:
        offset = max(batch.base_offset, log.log_start_offset)
        if not offset <= batch.header.last_offset < log.log_end_offset:
            continue
        try:
            result = read(log, offset, 1)
        except CorruptLog:
            refused.add(batch.base_offset)
            continue
        assert result.region is not None
        for found in split(result.region.read()):
            served[found.base_offset] = found
    for found in served.values():
        possible = model.possible.get(found.base_offset, set())
        if found.base_offset >= recovery_point:
            # No checksum covers the leader epoch, and in the tail nothing else vouches for it.
            possible = {_without_epoch(data) for data in possible}
            found = Batch.of(_without_epoch(found.data))  # noqa: PLW2901
        assert found.data in possible, (
            f"{log.topic_partition} serves a batch at {found.base_offset} that was never written there"
        )
    outcome["refused"] |= bool(refused)
    for batch in model.batches:
        if batch.base_offset in refused or batch.end_offset <= log.log_start_offset:
            continue
        if batch.base_offset not in served:
            outcome["cut"] = True
            assert batch.end_offset > recovery_point or "checkpoint" in path, (
                f"{log.topic_partition} dropped the batch at {batch.base_offset}, below its recovery point"
            )


def _without_epoch(data: bytes) -> bytes:
    return data[:LEADER_EPOCH_POSITION] + bytes(4) + data[LEADER_EPOCH_POSITION + 4 :]
