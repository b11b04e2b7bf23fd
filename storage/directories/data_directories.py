"""The data directories of one node: opened together, failing alone, found by their ids.

What concerns the whole node refuses the start: a directory that another broker uses, one of another cluster or node,
two with one id. A directory that merely does not work (no permission, a disk that fails, a damaged meta.properties)
is offline, and the others serve; the start is refused when none works.
Source: KIP-112, KIP-858; apache/kafka core/…/log/LogManager.scala (createAndValidateLogDirs).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from protocol.types import NodeId, uuid_to_str
from storage.directories.clean_shutdown import take_clean_shutdown
from storage.directories.data_directory import DataDirectory
from storage.directories.meta_properties import OWNER_LOGD, MetaProperties
from storage.directories.ownership import Identified, check_identities
from storage.errors import DirectoryRefused, DirectoryUnusable, StorageFailure

if TYPE_CHECKING:
    from storage.fs import FileSystem


class DataDirectories:
    """The directories at `paths`, in that order, and the one with the metadata log, which may be one more."""

    def __init__(
        self,
        fs: FileSystem,
        paths: Sequence[str],
        *,
        home_path: str | None,
        node_id: NodeId,
        unique_id: Callable[[], bytes],
    ) -> None:
        """`home_path`: see `LogManager`; `unique_id` draws 16 random bytes."""
        self.all = [DataDirectory(fs, path) for path in dict.fromkeys(map(os.path.abspath, paths))]
        self.home = _home_directory(fs, self.all, home_path)
        self.owned = list(dict.fromkeys((*self.all, self.home)))
        """Every directory that is locked."""
        self._fs = fs
        self._node_id = node_id
        self._unique_id = unique_id

    @property
    def online(self) -> list[DataDirectory]:
        """Those of partitions that work."""
        return [directory for directory in self.all if directory.is_online]

    @property
    def online_ids(self) -> frozenset[bytes]:
        return frozenset(directory.directory_id for directory in self.online)

    def find(self, directory_id: bytes) -> DataDirectory | None:
        """The directory with that id; None when it is not here, or was offline before its id was known."""
        return next((found for found in self.all if found.directory_id == directory_id), None)

    def around(self, path: str) -> DataDirectory | None:
        """The directory that holds `path`, or is it."""
        return next((found for found in self.owned if (path + "/").startswith(found.path + "/")), None)

    def open(
        self, cluster_id: str | None, prepare: Callable[[], None] | None = None
    ) -> tuple[str, list[str]]:
        """Locks the directories and makes them ours; returns the cluster id and warnings. See `LogManager.open`.

        Raises: DirectoryRefused, StorageFailure; `release` is then up to the caller.
        """
        warnings: list[str] = []
        found: Identified = []
        self._each(self.owned, DataDirectory.acquire)
        self._each(self.owned, lambda directory: found.append((directory, directory.identity())))
        cluster_id = check_identities(found, cluster_id, self._node_id)
        self._check_distinct(
            [directory for directory, identity in found if identity and identity.directory_id]
        )
        if prepare is not None:
            prepare()
        cluster_id = self._claim(found, cluster_id)
        self._each(self.all, self._take_clean_shutdown)
        self._each(self.all, lambda directory: directory.read_checkpoints(warnings))
        if self.home not in self.all:
            self.home.was_clean = all(directory.was_clean for directory in self.online)
        return cluster_id, warnings

    def _claim(self, found: Identified, cluster_id: str | None) -> str:
        """Makes new directories this node's, durably; returns the cluster id, a new one if there is none yet."""
        known = cluster_id or uuid_to_str(self._unique_id())
        self._each(
            [directory for directory, identity in found if identity is None or not identity.directory_id],
            lambda directory: directory.claim(
                MetaProperties(known, self._node_id, uuid_to_str(self._unique_id()), OWNER_LOGD)
            ),
        )
        return known

    def _check_distinct(self, directories: Sequence[DataDirectory]) -> None:
        for directory in directories:
            first = self.find(directory.directory_id)
            if first is not None and first is not directory:
                raise DirectoryRefused(
                    f"data directories {first.path} and {directory.path} have the same directory.id: one is a copy "
                    "of the other; take one of them out of log.dirs"
                )

    def _take_clean_shutdown(self, directory: DataDirectory) -> None:
        directory.was_clean = take_clean_shutdown(self._fs, directory.path)

    def _each(self, directories: Sequence[DataDirectory], step: Callable[[DataDirectory], None]) -> None:
        """Takes a step with each directory that is online; one where it fails is offline.

        Raises: what failed, where the node cannot do without.
        """
        for directory in directories:
            if not directory.is_online:
                continue
            try:
                step(directory)
            except (DirectoryUnusable, StorageFailure) as failure:
                if len(self.all) == 1 or directory not in self.all:
                    raise
                directory.fail(str(failure))
        self.check_any_online()

    def check_any_online(self) -> None:
        """Raises: DirectoryRefused when no directory works."""
        if not self.online:
            raise DirectoryRefused(
                "no data directory works: " + "; ".join(directory.failure or "" for directory in self.all)
            )

    def release(self) -> None:
        """Gives the locks back."""
        for directory in self.owned:
            directory.release()


def _home_directory(fs: FileSystem, directories: Sequence[DataDirectory], path: str | None) -> DataDirectory:
    """The data directory at `path`, or one of its own where it is none of `directories`; their first without a path."""
    if path is None:
        return directories[0]
    path = os.path.abspath(path)
    return next((each for each in directories if each.path == path), None) or DataDirectory(fs, path)
