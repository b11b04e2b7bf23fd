"""The offset checkpoints of all data directories: plans that write them, and forgetting former lives.

A checkpoint never holds an offset of a partition's former life, and keeps those of a partition that is offline: see
manager.py for why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeAlias

from protocol.types import Offset, TopicPartition
from storage.directories.directory_plans import CheckpointPlan

if TYPE_CHECKING:
    from storage.directories.data_directories import DataDirectories
    from storage.directories.data_directory import DataDirectory
    from storage.directories.log_table import LogTable

Offsets: TypeAlias = Mapping[TopicPartition, Offset]


class CheckpointPlanner:
    """Makes plans from the state of now; high watermarks are replication's, and handed in."""

    def __init__(self, directories: DataDirectories, table: LogTable) -> None:
        self._directories = directories
        self._table = table

    def all(self, high_watermarks: Offsets) -> list[CheckpointPlan]:
        """One plan for each directory: recovery points, log start offsets and high watermarks."""
        return [self.of(home, high_watermarks) for home in self._directories.online]

    def of(self, home: DataDirectory, high_watermarks: Offsets) -> CheckpointPlan:
        """The plan for one directory."""
        watermarks = {
            partition: offset
            for partition, offset in high_watermarks.items()
            if self._table.home_of(partition) is home
        }
        plans = [
            home.log_start_offsets.plan(self._table.log_start_offsets(home)),
            home.recovery_points.plan(self._table.recovery_points(home)),
            home.high_watermarks.plan(watermarks),
        ]
        cleaned = self._cleaned(home)
        if cleaned or home.cleaner_offsets.loaded:
            plans.append(home.cleaner_offsets.plan(cleaned))
        return CheckpointPlan(home, plans)

    def cleaned(self, home: DataDirectory) -> CheckpointPlan:
        """The plan for the cleaner's offsets alone, in one directory."""
        return CheckpointPlan(home, [home.cleaner_offsets.plan(self._cleaned(home))])

    def _cleaned(self, home: DataDirectory) -> dict[TopicPartition, Offset]:
        return {each: at for each, at in home.cleaned.items() if self._table.home_of(each) is home}

    def log_starts(self, directories: Collection[str]) -> list[CheckpointPlan]:
        """Plans for the log start offsets alone, in the directories at these paths."""
        return [
            CheckpointPlan(home, [home.log_start_offsets.plan(self._table.log_start_offsets(home))])
            for home in self._directories.online
            if home.path in directories
        ]

    def forget_former_life(self, home: DataDirectory, topic_partition: TopicPartition) -> None:
        """Sees to it that no checkpoint has an entry of a partition that is to be made. Waits for the disk only when
        it is made again before its deletion was settled. Raises: StorageFailure.
        """
        stale = [checkpoint for checkpoint in home.checkpoints if checkpoint.may_hold(topic_partition)]
        if home.high_watermarks in stale:
            home.high_watermarks.plan_without(topic_partition).run()
        if home.recovery_points in stale:
            home.recovery_points.plan(self._table.recovery_points(home)).run()
        if home.log_start_offsets in stale:
            home.log_start_offsets.plan(self._table.log_start_offsets(home)).run()
        if home.cleaner_offsets in stale and (home.cleaned or home.cleaner_offsets.loaded):
            home.cleaner_offsets.plan(self._cleaned(home)).run()
