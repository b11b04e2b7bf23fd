"""Whose the data directories of a node are: checked when it starts, and written into new ones.

All directories of a node belong to one cluster and to it. The one that holds the metadata log says, too, whether what
is in them was written by this broker or by another program.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from protocol.types import NodeId
from storage.directories.data_directory import DataDirectory
from storage.directories.meta_properties import OWNER_LOGD, MetaProperties, check_meta_properties
from storage.errors import DirectoryUnusable, StorageFailure

Identified: TypeAlias = list[tuple[DataDirectory, MetaProperties | None]]
"""Directories with their identity, None for a new one."""


def identify(directories: Sequence[DataDirectory], cluster_id: str | None, node_id: NodeId) -> Identified:
    """The directories with their identities, checked against each other and what is given.

    Raises: DirectoryRefused, StorageFailure.
    """
    found = [(directory, directory.identity()) for directory in directories]
    check_identities(found, cluster_id, node_id)
    return found


def check_identities(found: Identified, cluster_id: str | None, node_id: NodeId) -> str | None:
    """Checks whose the directories are, against each other and what is given; returns the cluster id, None where none
    is known yet. Raises: DirectoryRefused.
    """
    for directory, identity in found:
        if identity is not None:
            check_meta_properties(identity, directory.path, cluster_id=cluster_id, node_id=node_id)
            cluster_id = identity.cluster_id
    return cluster_id


def has_foreign(home: DataDirectory, directories: Sequence[DataDirectory]) -> bool:
    """Whether another program wrote what is in the directories, and it was not taken over completely; `home` is the one
    that holds the metadata log. A directory that does not work says nothing: opening it will tell.
    """
    identities = {}
    for directory in directories:
        with suppress(DirectoryUnusable, StorageFailure):
            identities[directory] = directory.identity()
    identity = identities.get(home)
    if identity is not None and identity.owner == OWNER_LOGD:
        return False
    return any(identity is not None and identity.owner != OWNER_LOGD for identity in identities.values())
