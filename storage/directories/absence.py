"""A partition that the metadata gives to this node and that no data directory holds: may it be made, or was it lost?

Made: a topic that was created just before a crash; one whose files a crash took before anything of them was synced;
one that was deleted and created again. Lost: its data directory is offline, missing from log.dirs, or replaced by an
empty one; or the directory is here, and its recovery points say that the partition had records on disk.

What a recovery point says is certain after a clean stop, which writes them all anew. After a crash it may be that of a
former topic of the same name, of which there is then a directory that was set aside: by its deletion, or by this start.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from protocol.types import (
    MIGRATING_DIRECTORY,
    UNASSIGNED_DIRECTORY,
    Offset,
    TopicPartition,
    uuid_to_str,
)
from storage.directories.directory_names import DELETE_SUFFIX, may_be_set_aside

if TYPE_CHECKING:
    from storage.directories.data_directories import DataDirectories
    from storage.directories.data_directory import DataDirectory
    from storage.fs import FileSystem


class Absence(NamedTuple):
    """Why a partition is lost, for now at least."""

    reason: str
    home: DataDirectory | None = None
    """The directory that held it, if that is here and works."""
    recovery_point: Offset = 0


class AbsenceJudge:
    """Judges absent partitions at a start, after everything that is there was opened."""

    def __init__(
        self,
        fs: FileSystem,
        directories: DataDirectories,
        *,
        set_aside: Collection[TopicPartition],
        registered: Collection[bytes],
    ) -> None:
        """`set_aside`: partitions of which this start put a former life out of the way; `registered`: ids of the
        directories that the node had when it was last known to work.
        """
        self._fs = fs
        self._directories = directories
        self._set_aside = set_aside
        self._missing = sorted(set(registered) - directories.online_ids)

    def judge(self, topic_partition: TopicPartition, directory_id: bytes) -> Absence | None:
        """Why the partition is lost; None: it may be made. `directory_id` is where the metadata has it.

        Raises: StorageFailure.
        """
        if directory_id in (UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY):
            return self._judge_anywhere(topic_partition)
        home = self._directories.find(directory_id)
        if home is None:
            return _not_here(directory_id)
        if not home.is_online:
            return Absence(f"its data directory {home.path} is offline: {home.failure}")
        return self._judge_in(home, topic_partition)

    def _judge_anywhere(self, topic_partition: TopicPartition) -> Absence | None:
        """As long as a directory is missing, the partition may be in that one."""
        for home in self._directories.all:
            if not home.is_online:
                return Absence(f"it may be in data directory {home.path}, which is offline: {home.failure}")
        if self._missing:
            return _not_here(self._missing[0])
        found = (self._judge_in(home, topic_partition) for home in self._directories.all)
        return next((absence for absence in found if absence is not None), None)

    def _judge_in(self, home: DataDirectory, topic_partition: TopicPartition) -> Absence | None:
        recovery_point = home.recovery_points.loaded.get(topic_partition, 0)
        if not recovery_point or (not home.was_clean and self._had_former_life(home, topic_partition)):
            return None
        return Absence(
            f"it had records up to offset {recovery_point} on disk, and {home.path}/{topic_partition} is gone: "
            "restore that directory and start again, or delete the topic",
            home,
            recovery_point,
        )

    def _had_former_life(self, home: DataDirectory, topic_partition: TopicPartition) -> bool:
        return topic_partition in self._set_aside or any(
            may_be_set_aside(name, topic_partition, DELETE_SUFFIX) for name in self._fs.listdir(home.path)
        )


def _not_here(directory_id: bytes) -> Absence:
    return Absence(
        f"its data directory, directory.id={uuid_to_str(directory_id)}, is not among those of log.dirs that work: "
        "bring it back and start again, or delete the topic"
    )
