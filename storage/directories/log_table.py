"""Which partitions are on this node: open logs, those that failed, and the data directory that each is in.

Not here: files. The manager and the loader change this table as they change what is on disk.

Invariant: no partition is in both `logs` and `failed`; every one has a home, but for those that failed because their
data directory is not here.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import BrokerError, ErrorCode
from protocol.types import Offset, TopicPartition
from storage.directories.data_directory import DataDirectory
from storage.log import Log


@dataclass(slots=True)
class FailedLog:
    """A log that could not be opened, or must not be used any more."""

    reason: str
    recovery_point: Offset
    """As it is to be checkpointed again, so that the next attempt judges by it."""
    log_start_offset: Offset
    on_disk: bool = True
    """Whether there is a directory of it."""


class LogTable:
    """The partitions of one node."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, Log] = {}
        self.failed: dict[TopicPartition, FailedLog] = {}
        self._homes: dict[TopicPartition, DataDirectory] = {}

    def home_of(self, topic_partition: TopicPartition) -> DataDirectory | None:
        """The directory that holds the partition; None when it is not on this node."""
        return self._homes.get(topic_partition)

    def add(self, topic_partition: TopicPartition, home: DataDirectory, log: Log | FailedLog) -> None:
        """Takes up a partition, open or failed."""
        self._homes[topic_partition] = home
        if isinstance(log, FailedLog):
            self.failed[topic_partition] = log
        else:
            self.logs[topic_partition] = log

    def add_lost(
        self, topic_partition: TopicPartition, home: DataDirectory | None, reason: str, recovery_point: Offset
    ) -> None:
        """Takes up a partition of which nothing is here; `home` held it, if that is known."""
        self.failed[topic_partition] = FailedLog(reason, recovery_point, 0, on_disk=False)
        if home is not None:
            self._homes[topic_partition] = home

    def forget(self, topic_partition: TopicPartition) -> None:
        """Strikes a partition out, whatever its state."""
        self.logs.pop(topic_partition, None)
        self.failed.pop(topic_partition, None)
        self._homes.pop(topic_partition, None)

    def fail(self, topic_partition: TopicPartition, reason: str) -> None:
        """Takes an open log out of use; nothing when it is not open."""
        log = self.logs.pop(topic_partition, None)
        if log is not None:
            log.release()
            self.failed[topic_partition] = FailedLog(reason, log.recovery_point, log.log_start_offset)

    def check_not_failed(self, topic_partition: TopicPartition) -> None:
        """Raises: BrokerError KAFKA_STORAGE_ERROR for a partition that failed."""
        failed = self.failed.get(topic_partition)
        if failed is not None:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic_partition} is offline: {failed.reason}")

    def logs_in(self, home: DataDirectory) -> list[Log]:
        """The open logs in one directory."""
        return [log for partition, log in self.logs.items() if self._homes[partition] is home]

    def has_failed_in(self, home: DataDirectory) -> bool:
        """Whether any partition in the directory failed."""
        return any(self._homes.get(partition) is home for partition in self.failed)

    def emptiest(self, online: list[DataDirectory]) -> DataDirectory:
        """The directory with the fewest partitions. Raises: BrokerError KAFKA_STORAGE_ERROR when there is none."""
        if len(online) == 1:
            return online[0]
        if not online:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, "no data directory works")
        held = {directory.path: 0 for directory in online}
        for home in self._homes.values():
            if home.is_online:
                held[home.path] += 1
        return min(online, key=lambda directory: held[directory.path])

    def recovery_points(self, home: DataDirectory) -> dict[TopicPartition, Offset]:
        """What to checkpoint as recovery points of the partitions in a directory, the failed ones included."""
        points = {log.topic_partition: log.recovery_point for log in self.logs_in(home)}
        for partition, failed in self.failed.items():
            if self._homes.get(partition) is home:
                points[partition] = failed.recovery_point
        return points

    def log_start_offsets(self, home: DataDirectory) -> dict[TopicPartition, Offset]:
        """What to checkpoint as log start offsets; 0 needs no entry."""
        starts = {log.topic_partition: log.log_start_offset for log in self.logs_in(home)}
        for partition, failed in self.failed.items():
            if self._homes.get(partition) is home:
                starts[partition] = failed.log_start_offset
        return {partition: start for partition, start in starts.items() if start}
