"""Going through the data directories when a node starts: what is in them is opened, set aside, removed, or ignored.

A log that cannot be opened stays offline alone; a disk that fails takes its directory offline. What is not the
directory of a partition is left as it is, with a warning (Kafka refuses the whole data directory).
Source: apache/kafka core/…/log/LogManager.scala (loadLogs).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from protocol.types import ZERO_UUID, TimestampMs, TopicPartition
from storage.config import LogConfig
from storage.directories.data_directory import DataDirectory
from storage.directories.directory_names import (
    DELETE_SUFFIX,
    STRAY_SUFFIX,
    parse_partition_directory,
    set_aside_name,
    set_aside_suffix,
)
from storage.directories.directory_plans import CheckpointPlan, RemoveDirectoryPlan
from storage.directories.log_table import FailedLog, LogTable
from storage.errors import CorruptLog, DirectoryRefused, MalformedFile, StorageFailure
from storage.partition_metadata import PARTITION_METADATA, read_topic_id
from storage.recovery.loader import load_log
from storage.recovery.report import RecoveryReport

if TYPE_CHECKING:
    from storage.fs import FileSystem

ConfigOf: TypeAlias = Callable[[TopicPartition, bytes | None], LogConfig | None]
"""Settings of a partition found on disk under a topic id (None: not known); None for one that is not known here."""


@dataclass(slots=True)
class LoadReport:
    """What loading found and did, for the log and for the operator."""

    recoveries: list[RecoveryReport] = field(default_factory=list)
    """One for each log that was opened."""
    failed: dict[TopicPartition, str] = field(default_factory=dict)
    """Partitions that stay offline, and why."""
    warnings: list[str] = field(default_factory=list)
    """One line each: directories that are not ours, what was set aside, ids that are not known."""
    set_aside: set[TopicPartition] = field(default_factory=set)
    """Names of directories that were of another topic, or of none, and are out of the way now."""
    plans: list[CheckpointPlan | RemoveDirectoryPlan] = field(default_factory=list)
    """Leftovers of deletions, to be removed in the background."""


class DirectoryLoader:
    """One start of a node. Fills `table` and `report`."""

    def __init__(
        self,
        fs: FileSystem,
        table: LogTable,
        *,
        now_ms: TimestampMs,
        unique_id: Callable[[], bytes],
        producer_expiration_ms: int,
        deleted_topics: Collection[bytes],
    ) -> None:
        """`deleted_topics`: ids of topics that are known to be deleted; there may be more."""
        self.report = LoadReport()
        self._fs = fs
        self._table = table
        self._now_ms = now_ms
        self._unique_id = unique_id
        self._producer_expiration_ms = producer_expiration_ms
        self._deleted_topics = deleted_topics

    def load(self, home: DataDirectory, config_of: ConfigOf, reserved: frozenset[str]) -> None:
        """Deals with everything in one data directory but the names in `reserved`.

        Raises: DirectoryRefused when another directory holds the same partition; StorageFailure.
        """
        for name in self._fs.listdir(home.path):
            path = f"{home.path}/{name}"
            if name in reserved or not self._fs.is_dir(path):
                continue
            topic_partition = parse_partition_directory(name)
            if topic_partition is None:
                self._meet_foreign(home, name)
                continue
            other = self._table.home_of(topic_partition)
            if other is home:
                continue  # open already
            topic_id = self._read_topic_id(path)
            config = config_of(topic_partition, topic_id)
            if config is None:
                self._set_aside(home, topic_partition, topic_id)
            elif other is not None:
                raise DirectoryRefused(
                    f"partition {topic_partition} is in {other.path} and in {home.path}: move one of them away"
                )
            else:
                self.open_log(home, topic_partition, topic_id, config)

    def open_log(
        self, home: DataDirectory, topic_partition: TopicPartition, topic_id: bytes | None, config: LogConfig
    ) -> None:
        """Opens a log on disk, or notes it as failed. Raises: StorageFailure when the disk fails."""
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
                cleaned=topic_partition in home.cleaned,
                now_ms=self._now_ms,
                producer_expiration_ms=self._producer_expiration_ms,
            )
        except (CorruptLog, StorageFailure) as error:
            if isinstance(error, StorageFailure) and error.fatal:
                raise
            self._table.add(topic_partition, home, FailedLog(str(error), recovery_point, log_start_offset))
            self.report.failed[topic_partition] = str(error)
        else:
            self._table.add(topic_partition, home, log)
            self.report.recoveries.append(recovery)

    def _meet_foreign(self, home: DataDirectory, name: str) -> None:
        suffix = set_aside_suffix(name)
        if suffix == DELETE_SUFFIX:
            self.report.plans.append(RemoveDirectoryPlan(self._fs, home.path, name, 0))
        elif suffix is None:
            self.report.warnings.append(f"{home.path}/{name} is not the directory of a partition: ignored")

    def _set_aside(
        self, home: DataDirectory, topic_partition: TopicPartition, topic_id: bytes | None
    ) -> None:
        """Removes what is left of a topic whose deletion a crash interrupted. What is merely not known is kept: the
        metadata may be the older of the two.
        """
        is_deleted = topic_id in self._deleted_topics
        suffix = DELETE_SUFFIX if is_deleted else STRAY_SUFFIX
        name = set_aside_name(topic_partition, self._unique_id(), suffix)
        self._fs.rename(f"{home.path}/{topic_partition}", f"{home.path}/{name}")
        self.report.set_aside.add(topic_partition)
        if is_deleted:
            self.report.plans.append(RemoveDirectoryPlan(self._fs, home.path, name, 0))
        else:
            self.report.warnings.append(
                f"{home.path}/{topic_partition} is of no topic known here: set aside as {name}"
            )

    def _read_topic_id(self, path: str) -> bytes | None:
        try:
            return read_topic_id(self._fs, f"{path}/{PARTITION_METADATA}")
        except MalformedFile as error:
            self.report.warnings.append(f"{error}; the topic id is not known")
            return None
