"""Whose the data directories of a node are: checked when it starts, and written into new ones.

All directories of a node belong to one cluster and to it. The one that holds the metadata log says, too, whether what
is in them was written by this broker or by another program.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from protocol.types import NodeId, uuid_to_str
from storage.data_directory import DataDirectory
from storage.meta_properties import OWNER_LOGD, MetaProperties, check_meta_properties

if TYPE_CHECKING:
    from storage.fs import FileSystem

Identified: TypeAlias = list[tuple[DataDirectory, MetaProperties | None]]
"""Directories with their identity, None for a new one."""


def home_directory(fs: FileSystem, directories: Sequence[DataDirectory], path: str | None) -> DataDirectory:
    """The data directory at `path`, or one of its own where it is none of `directories`; their first without a path."""
    if path is None:
        return directories[0]
    path = posixpath.abspath(path)
    return next((each for each in directories if each.path == path), None) or DataDirectory(fs, path)


def identify(directories: Sequence[DataDirectory], cluster_id: str | None, node_id: NodeId) -> Identified:
    """The directories with their identities, checked against each other and what is given.

    Raises: DirectoryRefused, StorageFailure.
    """
    found = [(directory, directory.identity()) for directory in directories]
    for directory, identity in found:
        if identity is not None:
            check_meta_properties(identity, directory.path, cluster_id=cluster_id, node_id=node_id)
            cluster_id = identity.cluster_id
    return found


def claim(found: Identified, cluster_id: str | None, node_id: NodeId, unique_id: Callable[[], bytes]) -> str:
    """Makes new directories this node's, durably; returns the cluster id: the one found, else the one given, else a
    new one. Raises: StorageFailure.
    """
    for _, identity in found:
        cluster_id = cluster_id if identity is None else identity.cluster_id
    if cluster_id is None:
        cluster_id = uuid_to_str(unique_id())
    for directory, identity in found:
        if identity is None or not identity.directory_id:
            directory.claim(MetaProperties(cluster_id, node_id, uuid_to_str(unique_id()), OWNER_LOGD))
    return cluster_id


def has_foreign(home: DataDirectory, directories: Sequence[DataDirectory]) -> bool:
    """Whether another program wrote what is in the directories, and it was not taken over completely; `home` is the one
    that holds the metadata log. Raises: DirectoryRefused, StorageFailure.
    """
    identity = home.identity()
    if identity is not None and identity.owner == OWNER_LOGD:
        return False
    identities = (directory.identity() for directory in directories)
    return any(identity is not None and identity.owner != OWNER_LOGD for identity in identities)
