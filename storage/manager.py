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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from protocol.errors import BrokerError, ErrorCode
from protocol.types import ZERO_UUID, NodeId, Offset, TimestampMs, TopicPartition, uuid_to_str
from storage.clean_shutdown import take_clean_shutdown, write_clean_shutdown
from storage.config import LogConfig
from storage.data_directory import DataDirectory
from storage.directory_names import (
    DELETE_SUFFIX,
    STRAY_SUFFIX,
    parse_partition_directory,
    set_aside_name,
    set_aside_suffix,
)
from storage.directory_plans import CheckpointPlan, RemoveDirectoryPlan
from storage.errors import CorruptLog, DirectoryRefused, MalformedFile, StorageFailure
from storage.flush import DeletePlan
from storage.fs import OpenMode
from storage.loader import RecoveryReport, load_log
from storage.log import Log
from storage.meta_properties import MetaProperties, check_meta_properties
from storage.partition_metadata import PARTITION_METADATA, read_topic_id, render_topic_id

if TYPE_CHECKING:
    from storage.fs import FileSystem

Offsets: TypeAlias = Mapping[TopicPartition, Offset]
ConfigOf: TypeAlias = Callable[[TopicPartition, bytes | None], LogConfig | None]
"""Settings of a partition found on disk under a topic id (None: not known); None for one that is not known here."""
Plan: TypeAlias = CheckpointPlan | RemoveDirectoryPlan | DeletePlan
"""What must block: due at `not_before_ms`, then `run()` in a thread pool."""

_RANDOM_ID_SIZE = 16


@dataclass(slots=True)
class LoadReport:
    """What loading found and did, for the log and for the operator."""

    recoveries: list[RecoveryReport] = field(default_factory=list)
    """One for each log that was opened."""
    failed: dict[TopicPartition, str] = field(default_factory=dict)
    """Partitions that stay offline, and why."""
    warnings: list[str] = field(default_factory=list)
    """One line each: directories that are not ours, damaged checkpoints, what was set aside."""
    plans: list[Plan] = field(default_factory=list)
    """Leftovers of deletions, to be removed in the background."""


@dataclass(slots=True)
class Housekeeping:
    """What one round of housekeeping wants done."""

    plans: list[Plan] = field(default_factory=list)
    failures: list[tuple[TopicPartition, StorageFailure | CorruptLog]] = field(default_factory=list)


@dataclass(slots=True)
class _FailedPartition:
    """A partition on disk that could not be opened; its checkpointed offsets are kept for the next attempt."""

    home: DataDirectory
    reason: str
    recovery_point: Offset
    log_start_offset: Offset


class LogManager:
    """The logs in one or more data directories. Everything here runs on one thread."""

    def __init__(
        self,
        fs: FileSystem,
        paths: Sequence[str],
        *,
        node_id: NodeId,
        reserved: Collection[str] = (),
        unique_id: Callable[[], bytes] = lambda: os.urandom(_RANDOM_ID_SIZE),
        producer_expiration_ms: int = 86_400_000,
    ) -> None:
        """`paths` are data directories, absolute and each given once; `unique_id` draws 16 random bytes."""
        self.directories = [DataDirectory(fs, path) for path in paths]
        self.logs: dict[TopicPartition, Log] = {}
        """Every log that is open."""
        self.high_watermarks: dict[TopicPartition, Offset] = {}
        """As checkpointed when the directories were opened."""
        self._fs = fs
        self._node_id = node_id
        self._reserved = frozenset(reserved)
        self._unique_id = unique_id
        self._producer_expiration_ms = producer_expiration_ms
        self._homes: dict[TopicPartition, DataDirectory] = {}
        self._failed: dict[TopicPartition, _FailedPartition] = {}
        self._unflushed_since: dict[TopicPartition, TimestampMs] = {}
        self._release_next = 0

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self, cluster_id: str | None = None) -> tuple[str, list[str]]:
        """Locks the directories and makes them ours; returns the cluster id and warnings.

        The cluster id is the one given, else the one found, else a new one. Nothing stays locked after a refusal.
        Raises: DirectoryRefused, StorageFailure.
        """
        warnings: list[str] = []
        try:
            for directory in self.directories:
                directory.acquire()
            cluster_id = self._claim_directories(cluster_id)
            for directory in self.directories:
                directory.was_clean = take_clean_shutdown(self._fs, directory.path)
                directory.read_checkpoints(warnings)
                self.high_watermarks.update(directory.high_watermarks.loaded)
        except BaseException:
            self.release()
            raise
        return cluster_id, warnings

    def _claim_directories(self, cluster_id: str | None) -> str:
        """Checks whose the directories are, and writes that into new ones."""
        found = [(directory, directory.identity()) for directory in self.directories]
        for directory, identity in found:
            if identity is not None:
                check_meta_properties(identity, directory.path, cluster_id=cluster_id, node_id=self._node_id)
                cluster_id = identity.cluster_id
        if cluster_id is None:
            cluster_id = uuid_to_str(self._unique_id())
        for directory, identity in found:
            if identity is None or not identity.directory_id:
                directory_id = uuid_to_str(self._unique_id())
                directory.claim(MetaProperties(cluster_id, self._node_id, directory_id))
        return cluster_id

    def load(self, config_of: ConfigOf, now_ms: TimestampMs) -> LoadReport:
        """Opens every log on disk that is not open yet. What fails alone stays offline alone.

        Raises: DirectoryRefused when no directory works, or two hold the same partition.
        """
        report = LoadReport()
        for directory in self.directories:
            try:
                if directory.is_online:
                    self._load_directory(directory, config_of, now_ms, report)
            except StorageFailure as failure:
                report.warnings.append(f"data directory {directory.path} is offline: {failure}")
                self._take_offline(directory, str(failure))
        report.failed = {partition: failed.reason for partition, failed in self._failed.items()}
        if not any(directory.is_online for directory in self.directories):
            raise DirectoryRefused(f"no data directory works: {'; '.join(report.warnings)}")
        return report

    def _load_directory(
        self, directory: DataDirectory, config_of: ConfigOf, now_ms: TimestampMs, report: LoadReport
    ) -> None:
        for name in self._fs.listdir(directory.path):
            path = f"{directory.path}/{name}"
            if name in self._reserved or not self._fs.is_dir(path):
                continue
            topic_partition = parse_partition_directory(name)
            if topic_partition is None:
                self._meet_foreign(directory, name, report)
                continue
            home = self._homes.get(topic_partition)
            if home is directory:
                continue  # open already
            if home is not None:
                raise DirectoryRefused(
                    f"partition {topic_partition} is in {home.path} and in {directory.path}: move one of them away"
                )
            topic_id = self._read_topic_id(path, report)
            config = config_of(topic_partition, topic_id)
            if config is not None:
                recovery = self._open_log(directory, topic_partition, topic_id, config, now_ms)
                if recovery is not None:
                    report.recoveries.append(recovery)
            else:
                stray = self._set_aside(directory, topic_partition, STRAY_SUFFIX)
                report.warnings.append(f"{path} is of no topic known here: set aside as {stray}")

    def _meet_foreign(self, directory: DataDirectory, name: str, report: LoadReport) -> None:
        suffix = set_aside_suffix(name)
        if suffix == DELETE_SUFFIX:
            report.plans.append(RemoveDirectoryPlan(self._fs, directory.path, name, 0))
        elif suffix is None:
            report.warnings.append(f"{directory.path}/{name} is not the directory of a partition: ignored")

    def _read_topic_id(self, path: str, report: LoadReport) -> bytes | None:
        try:
            return read_topic_id(self._fs, f"{path}/{PARTITION_METADATA}")
        except MalformedFile as error:
            report.warnings.append(f"{error}; the topic id is not known")
            return None

    def _open_log(
        self,
        home: DataDirectory,
        topic_partition: TopicPartition,
        topic_id: bytes | None,
        config: LogConfig,
        now_ms: TimestampMs,
    ) -> RecoveryReport | None:
        """Opens a log on disk; notes it as failed, and returns None, when that cannot be done.

        Raises: StorageFailure when the disk fails.
        """
        self._homes[topic_partition] = home
        recovery_point = home.recovery_points.loaded.get(topic_partition, 0)
        log_start_offset = home.log_start_offsets.loaded.get(topic_partition, 0)
        try:
            log, recovery = load_log(
                self._fs,
                f"{home.path}/{topic_partition}",
                topic_partition,
                config,
                topic_id=topic_id or ZERO_UUID,
                recovery_point=recovery_point,
                log_start_offset=log_start_offset,
                clean=home.was_clean,
                now_ms=now_ms,
                producer_expiration_ms=self._producer_expiration_ms,
            )
        except (CorruptLog, StorageFailure) as error:
            if isinstance(error, StorageFailure) and error.fatal:
                raise
            self._failed[topic_partition] = _FailedPartition(
                home, str(error), recovery_point, log_start_offset
            )
            return None
        self.logs[topic_partition] = log
        return recovery

    # -- partitions ----------------------------------------------------------------------------------------

    def log(self, topic_partition: TopicPartition) -> Log:
        """The open log. Raises: BrokerError KAFKA_STORAGE_ERROR for one that is offline, else
        UNKNOWN_TOPIC_OR_PARTITION.
        """
        log = self.logs.get(topic_partition)
        if log is None:
            self._check_not_failed(topic_partition)
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return log

    def failure_of(self, topic_partition: TopicPartition) -> str | None:
        """Why the partition is offline; None when it is not, or is not here at all."""
        failed = self._failed.get(topic_partition)
        return failed.reason if failed else None

    def _check_not_failed(self, topic_partition: TopicPartition) -> None:
        reason = self.failure_of(topic_partition)
        if reason is not None:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic_partition} is offline: {reason}")

    def create_log(
        self, topic_partition: TopicPartition, topic_id: bytes, config: LogConfig, now_ms: TimestampMs
    ) -> Log:
        """Makes an empty log in the directory that holds the fewest. Does not wait for the disk: the first flush
        of the log makes its directory durable with its content.

        Raises: BrokerError KAFKA_STORAGE_ERROR when the partition is offline or no directory works;
        StorageFailure, with nothing left behind.
        """
        self._check_not_failed(topic_partition)
        if topic_partition in self.logs:
            raise ValueError(f"{topic_partition} exists")
        home = self._emptiest_directory()
        self._forget_former_life(home, topic_partition)
        path = f"{home.path}/{topic_partition}"
        try:
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
                producer_expiration_ms=self._producer_expiration_ms,
            )
        except StorageFailure:
            self._fs.remove_tree(path)
            raise
        self.logs[topic_partition] = log
        self._homes[topic_partition] = home
        return log

    def open_or_create(
        self, topic_partition: TopicPartition, topic_id: bytes, config: LogConfig, now_ms: TimestampMs
    ) -> tuple[Log, RecoveryReport | None]:
        """One log ahead of `load`: the metadata log, which says what the others are.

        Raises: as `create_log`.
        """
        for directory in self.directories:
            if self._fs.is_dir(f"{directory.path}/{topic_partition}"):
                recovery = self._open_log(directory, topic_partition, topic_id, config, now_ms)
                return self.log(topic_partition), recovery
        return self.create_log(topic_partition, topic_id, config, now_ms), None

    def _emptiest_directory(self) -> DataDirectory:
        held = dict.fromkeys((directory.path for directory in self.directories if directory.is_online), 0)
        if not held:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, "no data directory works")
        if len(held) > 1:
            for home in self._homes.values():
                if home.is_online:
                    held[home.path] += 1
        path = min(held, key=held.__getitem__)
        return next(directory for directory in self.directories if directory.path == path)

    def _forget_former_life(self, home: DataDirectory, topic_partition: TopicPartition) -> None:
        """Waits for the disk only when a partition is made again before its deletion was settled."""
        self.high_watermarks.pop(topic_partition, None)
        if any(checkpoint.may_hold(topic_partition) for checkpoint in home.checkpoints):
            self._checkpoint_plan(home, self.high_watermarks).run()

    def assign_topic_id(self, topic_partition: TopicPartition, topic_id: bytes) -> None:
        """Gives an open log, whose id is not known, its id. Waits for the disk. Raises: StorageFailure."""
        log = self.logs[topic_partition]
        self._fs.write_atomic(f"{log.directory}/{PARTITION_METADATA}", render_topic_id(topic_id))
        log.topic_id = topic_id

    def delete_log(
        self, topic_partition: TopicPartition, now_ms: TimestampMs, high_watermarks: Offsets
    ) -> list[Plan]:
        """Takes a partition, open or offline, out of the way; the plans settle that, and remove it after
        file.delete.delay.ms. Nothing when it is not here. Raises: StorageFailure.
        """
        home = self._homes.get(topic_partition)
        if home is None:
            return []
        log = self.logs.get(topic_partition)
        delay_ms = log.config.file_delete_delay_ms if log is not None else 0
        if not home.is_online:
            self._forget(topic_partition)
            return []
        name = self._set_aside(home, topic_partition, DELETE_SUFFIX)
        for checkpoint in home.checkpoints:
            checkpoint.outdate_plans()
        return [
            self._checkpoint_plan(home, high_watermarks),
            RemoveDirectoryPlan(self._fs, home.path, name, now_ms + delay_ms),
        ]

    def _set_aside(self, home: DataDirectory, topic_partition: TopicPartition, suffix: str) -> str:
        """Renames a partition's directory and forgets the partition; returns the new name."""
        name = set_aside_name(topic_partition, self._unique_id(), suffix)
        log = self.logs.get(topic_partition)
        if log is not None:
            log.release()
        self._fs.rename(f"{home.path}/{topic_partition}", f"{home.path}/{name}")
        self._forget(topic_partition)
        return name

    def _forget(self, topic_partition: TopicPartition) -> None:
        self.logs.pop(topic_partition, None)
        self._homes.pop(topic_partition, None)
        self._failed.pop(topic_partition, None)
        self._unflushed_since.pop(topic_partition, None)
        self.high_watermarks.pop(topic_partition, None)

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
        log = self.logs[topic_partition]
        bases = [segment.base_offset for segment in log.segments]
        # A batch may reach across `offset`, but none across the start of a segment.
        kept_end = bases[0] if fully else bases[max(bisect_right(bases, offset) - 1, 0)]
        if log.recovery_point > kept_end:
            log.recovery_point = kept_end
            self._checkpoint_plan(self._homes[topic_partition], high_watermarks).run()
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
        for directory in self.directories:
            if directory.is_online and (failure.path + "/").startswith(directory.path + "/"):
                name = failure.path[len(directory.path) + 1 :].partition("/")[0]
                partition = parse_partition_directory(name)
                if partition is None or self._homes.get(partition) is directory:
                    return self._take_offline(directory, str(failure))
        return []

    def fail_log(self, topic_partition: TopicPartition, reason: str) -> None:
        """Takes one log offline, whose bytes turned out to be damaged."""
        log = self.logs.pop(topic_partition, None)
        if log is not None:
            log.release()
            self._failed[topic_partition] = _FailedPartition(
                self._homes[topic_partition], reason, log.recovery_point, log.log_start_offset
            )

    def _take_offline(self, directory: DataDirectory, reason: str) -> list[TopicPartition]:
        directory.fail(reason)
        taken = [partition for partition in self.logs if self._homes[partition] is directory]
        for partition in taken:
            self.fail_log(partition, reason)
        return taken

    # -- housekeeping --------------------------------------------------------------------------------------

    def housekeeping(self, now_ms: TimestampMs, high_watermarks: Offsets) -> Housekeeping:
        """Applies retention to every log, and forgets producers that expired. Only what lies below its high
        watermark is deleted; a log without one keeps all.
        """
        result = Housekeeping()
        for partition, log in list(self.logs.items()):
            log.producers.remove_expired(now_ms)
            try:
                plan = log.delete_old_segments(now_ms, high_watermarks.get(partition, 0))
            except (CorruptLog, StorageFailure) as failure:
                result.failures.append((partition, failure))
                continue
            if plan is not None:
                result.plans.append(plan)
        return result

    def due_for_flush(self, now_ms: TimestampMs) -> list[Log]:
        """The logs with an inactive segment, or with records older than flush.ms, that are not on disk yet. Call
        it every second or so: age counts from the first call that sees it.
        """
        due = []
        since = self._unflushed_since
        for partition, log in self.logs.items():
            if log.recovery_point >= log.log_end_offset and not log.needs_flush:
                since.pop(partition, None)
                continue
            age_ms = now_ms - since.setdefault(partition, now_ms)
            if log.needs_flush or age_ms >= log.config.flush_ms:
                since[partition] = now_ms
                due.append(log)
        return due

    def release_files(self, open_files_max: int) -> None:
        """Lets go of files, of one log after the other, until at most that many are open; they open again on use."""
        if self._fs.open_files <= open_files_max:
            return
        logs = list(self.logs.values())
        for log in logs:
            log.close_idle_files()
        for _ in logs:
            if self._fs.open_files <= open_files_max:
                return
            self._release_next = (self._release_next + 1) % len(logs)
            logs[self._release_next].release()

    # -- checkpoints ---------------------------------------------------------------------------------------

    def checkpoint_plans(self, high_watermarks: Offsets) -> list[CheckpointPlan]:
        """Plans that write the recovery points, log start offsets and high watermarks of now."""
        return [self._checkpoint_plan(home, high_watermarks) for home in self.directories if home.is_online]

    def _checkpoint_plan(self, home: DataDirectory, high_watermarks: Offsets) -> CheckpointPlan:
        recovery_points: dict[TopicPartition, Offset] = {}
        log_start_offsets: dict[TopicPartition, Offset] = {}
        for partition, failed in self._failed.items():
            if failed.home is home:
                recovery_points[partition] = failed.recovery_point
                log_start_offsets[partition] = failed.log_start_offset
        for partition, log in self.logs.items():
            if self._homes[partition] is home:
                recovery_points[partition] = log.recovery_start
                if log.log_start_offset:
                    log_start_offsets[partition] = log.log_start_offset
        watermarks = {
            partition: offset
            for partition, offset in high_watermarks.items()
            if self._homes.get(partition) is home
        }
        return CheckpointPlan(
            home.path,
            [
                home.log_start_offsets.plan(log_start_offsets),
                home.recovery_points.plan(recovery_points),
                home.high_watermarks.plan(watermarks),
            ],
        )

    # -- the end -------------------------------------------------------------------------------------------

    def close(self, high_watermarks: Offsets, broker_epoch: int = -1) -> list[StorageFailure | CorruptLog]:
        """Makes everything durable, writes the checkpoints, and vouches for each directory in which all went well.

        Blocks. Gives the locks back. Returns what failed.
        """
        failures: list[StorageFailure | CorruptLog] = []
        for home in self.directories:
            if home.is_online:
                try:
                    self._close_directory(home, high_watermarks, broker_epoch, failures)
                except StorageFailure as failure:
                    failures.append(failure)
        self.release()
        return failures

    def _close_directory(
        self,
        home: DataDirectory,
        high_watermarks: Offsets,
        broker_epoch: int,
        failures: list[StorageFailure | CorruptLog],
    ) -> None:
        all_closed = not any(failed.home is home for failed in self._failed.values())
        for partition, log in self.logs.items():
            if self._homes[partition] is home:
                try:
                    log.close()
                except (CorruptLog, StorageFailure) as failure:
                    failures.append(failure)
                    all_closed = False
        self._checkpoint_plan(home, high_watermarks).run()
        if all_closed:
            write_clean_shutdown(self._fs, home.path, broker_epoch)

    def release(self) -> None:
        """Gives the locks back and lets go of all files, with nothing made durable."""
        for log in self.logs.values():
            log.release()
        for directory in self.directories:
            directory.release()
