"""Bugs that storage could have, to be planted one at a time: the simulation must find each.

Every one of them works until the moment at which a crash, a full disk or a failing sync shows it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import storage.batch_scan
import storage.directories.data_directories
import storage.local_log
import storage.recovery.loader
from storage.directories.checkpoint_plans import CheckpointPlanner
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN, write_clean_shutdown
from storage.directories.data_directory import DataDirectory
from storage.directories.log_table import LogTable
from storage.directories.manager import LogManager
from storage.errors import NoSpace, StorageFailure
from storage.flush import DeletePlan, FlushPlan
from storage.fs import ATOMIC_SUFFIX, OpenMode
from storage.fs.faulty import FaultyFile, FaultyFileSystem
from storage.log import Log
from storage.producer_state import ProducerStateManager
from storage.recovery.loader import _Loading
from storage.recovery.segment_recovery import rebuild_segment
from storage.segment import Segment


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Storage has the bug inside the block."""
    target, attribute, replacement = BUGS[name]
    with patch.object(target, attribute, replacement):
        yield


# The order of durability.


def _run_without_file_syncs(plan: FlushPlan) -> None:
    plan.files = []
    _flush_run(plan)


def _run_without_names(plan: FlushPlan) -> None:
    plan.directory_changes = None
    _flush_run(plan)


def _checkpoint_what_is_not_flushed(table: LogTable, home: DataDirectory) -> dict[Any, int]:
    return {log.topic_partition: log.log_end_offset for log in table.logs_in(home)}


def _vouch_before_closing(
    manager: LogManager, home: DataDirectory, high_watermarks: Any, broker_epoch: int, run_all: Any
) -> Any:
    write_clean_shutdown(manager._fs, home.path, broker_epoch)
    return _close_directory(manager, home, high_watermarks, broker_epoch, run_all)


def _take_marker_in_memory(fs: FaultyFileSystem, directory: str) -> bool:
    path = posixpath.join(directory, CLEAN_SHUTDOWN)
    was_clean = fs.exists(path)
    fs.remove(path)
    return was_clean


def _write_without_sync(fs: FaultyFileSystem, path: str, data: bytes) -> None:
    fs.open(path + ATOMIC_SUFFIX, OpenMode.CREATE).append(data)
    fs.rename(path + ATOMIC_SUFFIX, path)
    fs.sync_dir(posixpath.dirname(path))


def _remove_before_renames_are_durable(plan: DeletePlan) -> None:
    for path in plan.paths:
        plan._fs.remove(path)


def _truncate_below_the_checkpoint(
    manager: LogManager, partition: Any, offset: int, now_ms: int, high_watermarks: Any
) -> None:
    manager.logs[partition].truncate_to(offset, now_ms)


# What opening a log believes.


class _EqualsAnything:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def _scan_from_the_next_segment(loading: _Loading) -> int:
    return min(_first_to_scan(loading) + 1, len(loading.segments))


def _cut_without_sync(loading: _Loading, *arguments: Any) -> None:
    with patch.object(FaultyFileSystem, "sync", _nothing):
        _cut(loading, *arguments)


def _keep_indexes(segment: Segment, **arguments: Any) -> Any:
    """Checks the segment, but leaves the index files as the crash left them."""
    fs, paths = segment._fs, [segment.offset_index.path, segment.time_index.path]
    left = [fs.read_file(path) for path in paths]
    scan = _rebuild_segment(segment, **arguments)
    for path, data in zip(paths, left, strict=True):
        fs.open(path, OpenMode.CREATE).append(data)
    segment.offset_index = type(segment.offset_index).open(fs, paths[0], segment.base_offset)
    segment.time_index = type(segment.time_index).open(fs, paths[1], segment.base_offset)
    return scan


# Refusals.


def _append_in_halves(file: FaultyFile, data: Any) -> int:
    """A write that a full disk cuts short, and nobody takes back."""
    half = len(data) // 2
    position = _append(file, bytes(data[:half]))
    try:
        _append(file, bytes(data[half:]))
    except NoSpace:
        file._system.before, full = None, file._system.before
        _append(file, bytes(data[half : half + 10]))
        file._system.before = full
        raise
    return position


def _sync_again(file: FaultyFile) -> None:
    try:
        file._system.sync(file.name, file._inode)
    except StorageFailure:
        file._system.sync(file.name, file._inode)


def _count_before_writing(log: Log, batch: Any, **arguments: Any) -> Any:
    """The log's end moves although the write failed."""
    try:
        return _log_append(log, batch, **arguments)
    except NoSpace:
        log.log_end_offset += 1
        raise


_flush_run = FlushPlan.run
_close_directory = LogManager._close_directory
_cut = _Loading._cut
_first_to_scan = _Loading._first_to_scan
_rebuild_segment = rebuild_segment
_append = FaultyFile.append
_log_append = Log.append


def _nothing(*_: object, **__: object) -> None:
    return None


CRASH_BUGS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "acknowledged_before_synced": (FlushPlan, "run", _run_without_file_syncs),
    "directory_not_synced": (FlushPlan, "run", _run_without_names),
    "birth_not_durable": (FlushPlan, "run", FlushPlan.run_but_for_the_name),
    "checkpoint_ahead_of_flush": (LogTable, "recovery_points", _checkpoint_what_is_not_flushed),
    "marker_before_logs": (LogManager, "_close_directory", _vouch_before_closing),
    "marker_not_removed_durably": (
        storage.directories.data_directories,
        "take_clean_shutdown",
        _take_marker_in_memory,
    ),
    "renamed_before_synced": (FaultyFileSystem, "write_atomic", _write_without_sync),
    "removed_before_renamed": (DeletePlan, "run", _remove_before_renames_are_durable),
    "truncated_below_checkpoint": (LogManager, "truncate_log", _truncate_below_the_checkpoint),
    "former_life_believed": (CheckpointPlanner, "forget_former_life", _nothing),
    "checksum_not_checked": (storage.batch_scan, "crc32c", lambda data, start: _EqualsAnything()),
    "damage_not_cut": (_Loading, "_cut", _nothing),
    "cut_not_synced": (_Loading, "_cut", _cut_without_sync),
    "recovery_begins_too_late": (_Loading, "_first_to_scan", _scan_from_the_next_segment),
    "indexes_not_rebuilt": (storage.recovery.loader, "rebuild_segment", _keep_indexes),
    # One for each place that replays them: none of the three makes up for another.
    "producers_not_replayed": (storage.recovery.loader, "replay_batch", _nothing),
    "producers_not_replayed_below_the_tail": (storage.recovery.loader, "replay_segments", _nothing),
    "producers_not_replayed_after_a_cut": (storage.local_log, "replay_segments", _nothing),
    "snapshot_of_lost_records": (ProducerStateManager, "remove_snapshots_above", _nothing),
    "half_a_deletion_believed": (_Loading, "_finish_deletion", _nothing),
}
FULL_DISK_BUGS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "half_an_append_stays": (FaultyFile, "append", _append_in_halves),
    "counted_before_written": (Log, "append", _count_before_writing),
}
FAILED_SYNC_BUGS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "failed_sync_tried_again": (FaultyFile, "sync", _sync_again),
}
BUGS = CRASH_BUGS | FULL_DISK_BUGS | FAILED_SYNC_BUGS
