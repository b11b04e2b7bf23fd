"""All logs of one node: its data directories, loading, creating, deleting, checkpoints, clean stop.

Not here: which topics exist and what their settings are (the cluster's metadata), the high watermark (replication),
when housekeeping runs and in which thread (the broker). Nothing is logged: what happened is returned.

Order that durability rests on:
- A clean shutdown marker is written behind all that it vouches for, and removed, durably, before anything is written.
- A checkpoint never holds an offset of a partition's former life: deleting a log hands out the checkpoints without it,
  and creating one of the same name makes sure of that. Otherwise the recovery point of a deleted topic would vouch for
  bytes of a new one.
- A checkpoint keeps the offsets of a partition that could not be opened. Without its recovery point, rot in it would
  look like the tail of a crash, and be cut off.
- A deleted partition is renamed first and removed later; a crash between leaves a name that loading cleans up.

A directory whose disk fails goes offline with all its logs; the others serve on.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from protocol.errors import BrokerError, ErrorCode
from protocol.types import (
    MIGRATING_DIRECTORY,
    UNASSIGNED_DIRECTORY,
    UUID_SIZE,
    NodeId,
    Offset,
    TimestampMs,
    TopicPartition,
)
from storage.config import LogConfig
from storage.directories.absence import Absence, AbsenceJudge
from storage.directories.checkpoint_plans import CheckpointPlanner, Offsets
from storage.directories.clean_shutdown import write_clean_shutdown
from storage.directories.cleaned_logs import CleanedLogs
from storage.directories.closing import RunAll, close_logs, one_by_one
from storage.directories.data_directories import DataDirectories
from storage.directories.data_directory import DataDirectory
from storage.directories.directory_loader import ConfigOf, DirectoryLoader, LoadReport
from storage.directories.directory_names import DELETE_SUFFIX, parse_partition_directory, set_aside_name
from storage.directories.directory_plans import CheckpointPlan, RemoveDirectoryPlan
from storage.directories.housekeeping import FileBudget, FlushClock, Housekeeping, apply_retention
from storage.directories.log_table import LogTable
from storage.errors import CorruptLog, StorageFailure
from storage.flush import DeletePlan
from storage.fs import OpenMode
from storage.log import Log
from storage.partition_metadata import PARTITION_METADATA, render_topic_id
from storage.recovery.loader import load_log

if TYPE_CHECKING:
    from storage.fs import FileSystem

Plan: TypeAlias = CheckpointPlan | RemoveDirectoryPlan | DeletePlan
"""What must block: due at `not_before_ms`, then `run()` in a thread pool."""


class LogManager:
    """The logs in one or more data directories. Everything here runs on one thread."""

    def __init__(
        self,
        fs: FileSystem,
        paths: Sequence[str],
        *,
        node_id: NodeId,
        reserved: Collection[str] = (),
        home_path: str | None = None,
        unique_id: Callable[[], bytes] = lambda: os.urandom(UUID_SIZE),
        producer_expiration_ms: int = 86_400_000,
    ) -> None:
        """`paths` are data directories; `reserved` are names in them that are the business of others, who find them in
        `home_path`, which is the first of `paths` unless given; `unique_id` draws 16 random bytes.
        """
        self.high_watermarks: dict[TopicPartition, Offset] = {}
        """As checkpointed when the directories were opened."""
        self._fs = fs
        self._directories = DataDirectories(
            fs, paths, home_path=home_path, node_id=node_id, unique_id=unique_id
        )
        self.directories: Sequence[DataDirectory] = self._directories.all
        self.home = self._directories.home
        """Where the reserved names are: one of `directories`, or one without partitions."""
        self.owned: Sequence[DataDirectory] = self._directories.owned
        """Every directory that is locked."""
        self._reserved = frozenset(reserved)
        self._unique_id = unique_id
        self.producer_expiration_ms = producer_expiration_ms
        self._table = LogTable()
        self._planner = CheckpointPlanner(self._directories, self._table)
        self.cleaned = CleanedLogs(self._table, self._planner)
        self._flush_clock = FlushClock()
        self._file_budget = FileBudget()

    @property
    def logs(self) -> Mapping[TopicPartition, Log]:
        """Every log that is open."""
        return self._table.logs

    # -- opening -----------------------------------------------------------------------------------------

    def open(
        self, cluster_id: str | None = None, *, prepare: Callable[[], None] | None = None
    ) -> tuple[str, list[str]]:
        """Locks the directories and makes them ours; returns the cluster id and warnings.

        The cluster id is the one given, else the one found, else a new one. `prepare` is called once nobody else can
        change the directories, and before anything in them is changed here; it may refuse as this does.
        Nothing stays locked after a refusal. Raises: DirectoryRefused, StorageFailure.
        """
        try:
            cluster_id, warnings = self._directories.open(cluster_id, prepare)
        except BaseException:
            self.release()
            raise
        for directory in self.directories:
            self.high_watermarks.update(directory.high_watermarks.loaded)
        return cluster_id, warnings

    def load(
        self, config_of: ConfigOf, now_ms: TimestampMs, *, deleted_topics: Collection[bytes] = ()
    ) -> LoadReport:
        """Opens every log on disk that is not open yet. What fails alone stays offline alone; what is left of
        `deleted_topics` is removed.

        Raises: DirectoryRefused when no directory works, or two hold the same partition.
        """
        loader = DirectoryLoader(
            self._fs,
            self._table,
            now_ms=now_ms,
            unique_id=self._unique_id,
            producer_expiration_ms=self.producer_expiration_ms,
            deleted_topics=deleted_topics,
        )
        report = loader.report
        for directory in self._directories.online:
            try:
                loader.load(directory, config_of, self._reserved)
            except StorageFailure as failure:
                self._take_offline(directory, str(failure))
        self._directories.check_any_online()
        report.failed = {partition: failed.reason for partition, failed in self._table.failed.items()}
        return report

    # -- partitions ----------------------------------------------------------------------------------------

    def log(self, topic_partition: TopicPartition) -> Log:
        """The open log. Raises: BrokerError KAFKA_STORAGE_ERROR for one that is offline, else
        UNKNOWN_TOPIC_OR_PARTITION.
        """
        log = self._table.logs.get(topic_partition)
        if log is None:
            self._table.check_not_failed(topic_partition)
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return log

    def holds(self, topic_partition: TopicPartition) -> bool:
        """Whether the partition is here, open or offline."""
        return self._table.home_of(topic_partition) is not None

    def directory_of(self, topic_partition: TopicPartition) -> DataDirectory | None:
        """The data directory that holds the partition, open or offline; None when it is not here."""
        return self._table.home_of(topic_partition)

    def keep_lost(
        self,
        absent: Mapping[TopicPartition, bytes],
        *,
        set_aside: Collection[TopicPartition],
        registered: Collection[bytes],
    ) -> dict[TopicPartition, str]:
        """Judges partitions that belong here and were not found by `load`, with the ids of their directories. Those
        that are lost stay offline until their directory comes back, or they are deleted; returns them, and why.
        """
        judge = AbsenceJudge(self._fs, self._directories, set_aside=set_aside, registered=registered)
        lost: dict[TopicPartition, str] = {}
        for topic_partition, directory_id in absent.items():
            try:
                absence = judge.judge(topic_partition, directory_id)
            except StorageFailure as failure:
                self.fail(failure)
                absence = Absence(str(failure))
            if absence is not None:
                self._table.add_lost(topic_partition, absence.home, absence.reason, absence.recovery_point)
                lost[topic_partition] = absence.reason
        return lost

    def failure_of(self, topic_partition: TopicPartition) -> str | None:
        """Why the partition is offline; None when it is not, or is not here at all."""
        failed = self._table.failed.get(topic_partition)
        return failed.reason if failed else None

    def create_log(
        self,
        topic_partition: TopicPartition,
        topic_id: bytes,
        config: LogConfig,
        now_ms: TimestampMs,
        *,
        directory_id: bytes = UNASSIGNED_DIRECTORY,
    ) -> Log:
        """Makes an empty log in the directory with that id, or in the one that holds the fewest. Does not wait for
        the disk: the first flush of the log makes its directory durable with its content.

        Raises: BrokerError KAFKA_STORAGE_ERROR when the partition or its directory is offline, or none works;
        StorageFailure, with nothing left behind.
        """
        self._table.check_not_failed(topic_partition)
        if topic_partition in self._table.logs:
            raise ValueError(f"{topic_partition} exists")
        home = self._home_for(directory_id)
        self.high_watermarks.pop(topic_partition, None)
        self._planner.forget_former_life(home, topic_partition)
        path = f"{home.path}/{topic_partition}"
        try:
            home.check_present()
            self._fs.mkdir(path)
            metadata = self._fs.open(f"{path}/{PARTITION_METADATA}", OpenMode.CREATE)
            metadata.append(render_topic_id(topic_id))
            log, _ = load_log(
                self._fs,
                path,
                topic_partition,
                config,
                topic_id=topic_id,
                recovery_point=0,
                log_start_offset=0,
                clean=False,
                now_ms=now_ms,
                producer_expiration_ms=self.producer_expiration_ms,
            )
        except StorageFailure as failure:
            with suppress(StorageFailure):
                self._fs.remove_tree(path)
            if failure.fatal:  # of the data directory: the partition is nobody's yet
                raise StorageFailure(home.path, str(failure)) from failure
            raise
        self._table.add(topic_partition, home, log)
        return log

    def _home_for(self, directory_id: bytes) -> DataDirectory:
        """Where a new log goes. Raises: BrokerError KAFKA_STORAGE_ERROR."""
        if directory_id in (UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY):
            return self._table.emptiest(self._directories.online)
        home = self._directories.find(directory_id)
        if home is None or not home.is_online:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, "its data directory is offline")
        return home

    def assign_topic_id(self, topic_partition: TopicPartition, topic_id: bytes) -> None:
        """Gives an open log, whose id is not known, its id. Waits for the disk. Raises: StorageFailure."""
        log = self._table.logs[topic_partition]
        self._fs.write_atomic(f"{log.directory}/{PARTITION_METADATA}", render_topic_id(topic_id))
        log.topic_id = topic_id

    def remove_log(self, topic_partition: TopicPartition, now_ms: TimestampMs) -> RemoveDirectoryPlan | None:
        """Takes a partition, open or offline, out of the way. The plan removes it after file.delete.delay.ms; behind
        the last of several removals the caller has `checkpoint_plans` run. Nothing when it is not here.

        Raises: StorageFailure.
        """
        home = self._table.home_of(topic_partition)
        failed = self._table.failed.get(topic_partition)
        removal: RemoveDirectoryPlan | None = None
        if home is not None and home.is_online and (failed is None or failed.on_disk):
            log = self._table.logs.get(topic_partition)
            due_ms: TimestampMs = 0
            if log is not None:
                log.release()
                due_ms = now_ms + log.config.file_delete_delay_ms
            name = set_aside_name(topic_partition, self._unique_id(), DELETE_SUFFIX)
            self._fs.rename(f"{home.path}/{topic_partition}", f"{home.path}/{name}")
            removal = RemoveDirectoryPlan(self._fs, home.path, name, due_ms)
        self._table.forget(topic_partition)
        self.high_watermarks.pop(topic_partition, None)
        if home is not None:
            home.forget(topic_partition)
        return removal

    def truncate_log(
        self,
        topic_partition: TopicPartition,
        offset: Offset,
        now_ms: TimestampMs,
        high_watermarks: Offsets,
        *,
        fully: bool = False,
    ) -> None:
        """Makes `offset` the end of a log; with `fully` it holds nothing and begins there, too. For followers.

        Blocks: the recovery point is lowered on disk before the log gets shorter than it, or a crash in between
        would look like rot. Raises: CorruptLog, StorageFailure.
        """
        log = self._table.logs[topic_partition]
        bases = [segment.base_offset for segment in log.segments]
        # A batch may reach across `offset`, but none across the start of a segment.
        kept_end = bases[0] if fully else bases[max(bisect_right(bases, offset) - 1, 0)]
        if log.recovery_point > kept_end:
            log.recovery_point = kept_end
            home = self._table.home_of(topic_partition)
            assert home is not None
            self._planner.of(home, high_watermarks).run()
        if fully:
            log.truncate_fully_and_start_at(offset, now_ms)
        else:
            log.truncate_to(offset, now_ms)

    # -- failures ------------------------------------------------------------------------------------------

    def fail(self, failure: StorageFailure) -> list[TopicPartition]:
        """Takes the directory that `failure` concerns offline, with its logs; returns the partitions that it took.

        Nothing happens when the failure is not fatal, or concerns a partition that was deleted meanwhile: a plan
        that was under way then finds its files gone.
        """
        if not failure.fatal:
            return []
        directory = self._directories.around(failure.path)
        if directory is None or not directory.is_online:
            return []
        name = failure.path[len(directory.path) + 1 :].partition("/")[0]
        partition = parse_partition_directory(name)
        if partition is None or name in self._reserved or self._table.home_of(partition) is directory:
            return self._take_offline(directory, str(directory.absence() or failure))
        return []

    def fail_log(self, topic_partition: TopicPartition, reason: str) -> None:
        """Takes one log offline, whose bytes turned out to be damaged."""
        self._table.fail(topic_partition, reason)

    def _take_offline(self, directory: DataDirectory, reason: str) -> list[TopicPartition]:
        directory.fail(reason)
        taken = [log.topic_partition for log in self._table.logs_in(directory)]
        for partition in taken:
            self._table.fail(partition, reason)
        return taken

    # -- from time to time -----------------------------------------------------------------------------------

    def housekeeping(self, now_ms: TimestampMs, high_watermarks: Offsets) -> Housekeeping:
        """Applies retention to every log that is not being cleaned; see `storage.directories.housekeeping`."""
        return apply_retention(self.cleaned.idle(self._table.logs.values()), now_ms, high_watermarks)

    def due_for_flush(self, now_ms: TimestampMs) -> list[Log]:
        """The logs that flush.ms, or a roll, wants flushed. Call it every second or so."""
        return self._flush_clock.due(self._table.logs.values(), now_ms)

    def release_files(self, open_files_max: int) -> None:
        """Lets go of files until at most that many are open; they open again on use."""
        self._file_budget.keep(self._table.logs.values(), lambda: self._fs.open_files, open_files_max)

    def checkpoint_plans(self, high_watermarks: Offsets) -> list[CheckpointPlan]:
        """Plans that write the recovery points, log start offsets and high watermarks of now."""
        return self._planner.all(high_watermarks)

    def log_start_plans(self, directories: Collection[str]) -> list[CheckpointPlan]:
        """Plans that write the log start offsets of now for the logs in the data directories at these paths."""
        return self._planner.log_starts(directories)

    # -- the end -------------------------------------------------------------------------------------------

    def close(
        self, high_watermarks: Offsets, broker_epoch: int = -1, *, run_all: RunAll = one_by_one
    ) -> list[StorageFailure | CorruptLog]:
        """Makes everything durable, writes the checkpoints, and vouches for each directory in which all went well.

        `run_all` waits for the disk: side by side, the syncs of many small logs share the disk's own commits.
        Blocks. Gives the locks back. Returns what failed.
        """
        failures: list[StorageFailure | CorruptLog] = []
        for home in self._directories.online:
            try:
                failures += self._close_directory(home, high_watermarks, broker_epoch, run_all)
            except StorageFailure as failure:
                failures.append(failure)
        self.release()
        return failures

    def _close_directory(
        self, home: DataDirectory, high_watermarks: Offsets, broker_epoch: int, run_all: RunAll
    ) -> list[StorageFailure | CorruptLog]:
        home.check_present()
        self._fs.sync_dir(home.path)  # the names of all logs at once
        failures = close_logs(self._table.logs_in(home), run_all)
        self._planner.of(home, high_watermarks).run()
        if not failures and not self._table.has_failed_in(home):
            write_clean_shutdown(self._fs, home.path, broker_epoch)
        return failures

    def release(self) -> None:
        """Gives the locks back and lets go of all files, with nothing made durable."""
        for log in self._table.logs.values():
            log.release()
        self._directories.release()
