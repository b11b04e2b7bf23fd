"""Taking over the data directories of a Kafka node that was stopped cleanly.

    look      everything is read and judged, nothing is changed: a refusal leaves the directories as they were
    prepare   locked: `owner` in meta.properties says that a take-over began, files that left their logs are removed
    (start)   the clean markers are taken, the metadata log goes on in a new epoch, the logs are opened
    finish    the records that make the cluster ours are durable: `owner` says so, and from now on a start is ordinary

A crash before the markers are taken leaves a Kafka directory that was stopped cleanly, and the next start looks again.
A crash behind leaves a directory of ours, and the next start finishes. Kafka must not be started on it any more: it
would go back to leader epochs that are in use, and set aside what its metadata does not know.
Source of the layout: Kafka core/…/log/LogManager.scala, raft/KafkaRaftManager.scala.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from logd.metadata.files import METADATA_DIRECTORY
from logd.metadata.survey import MetadataSurvey, has_log, survey_bootstrap, survey_metadata
from logd.start.take_over_problems import directories_problem
from replication.features import METADATA_LEVEL, METADATA_VERSION, SUPPORTED_FEATURES
from replication.metadata_commands import TakeOverNode
from replication.metadata_image import UnusableMetadata
from replication.take_over import take_over_problem
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN
from storage.directories.meta_properties import (
    META_PROPERTIES,
    OWNER_LOGD,
    OWNER_TAKING_OVER,
    write_meta_properties,
)
from storage.directories.ownership import identify
from storage.directories.survey import Survey, has_partitions, survey_directory
from storage.errors import CorruptLog, DirectoryRefused

if TYPE_CHECKING:
    from protocol.types import NodeId, TopicPartition
    from replication.metadata_ports import MetadataStore
    from storage.directories.data_directory import DataDirectory
    from storage.directories.manager import LogManager
    from storage.fs import FileSystem

log = logging.getLogger("logd.take_over")

_RESERVED: Final = frozenset((METADATA_DIRECTORY,))
"""Names in a data directory that are no partitions."""

RunBlocking: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a function in the pool."""


class _Found(NamedTuple):
    """What is to be taken over, as it was when it was looked at."""

    metadata: MetadataSurvey
    directories: Mapping[str, Survey]
    """By path."""


class _Unseen(Enum):
    """Why nothing was looked at; what is said in the end."""

    INTERRUPTED = "finished the take-over from Kafka that an earlier start began"
    """A crash interrupted it behind the point of no return."""
    NEVER_USED = "took directories for our own that Kafka formatted and never used"


class TakeOver:
    """One take-over under way."""

    def __init__(self, fs: FileSystem, manager: LogManager, found: _Found | _Unseen) -> None:
        self._fs = fs
        self._manager = manager
        self._found = found

    def prepare(self) -> None:
        """Announce it in the directory itself. The directories are locked. Raises: DirectoryRefused, StorageFailure."""
        fs = self._fs
        surveys = {} if isinstance(self._found, _Unseen) else self._found.directories
        for path in surveys:
            if not fs.exists(f"{path}/{CLEAN_SHUTDOWN}"):
                raise DirectoryRefused(
                    f"data directory {path} was opened by another broker meanwhile: stop that"
                )
        self._write_owner(self._manager.home, OWNER_TAKING_OVER)
        # Should the start crash, recovery would take these for traces of retention, and finish the deletion.
        for survey in surveys.values():
            for path in survey.set_aside:
                fs.remove(path)
            for directory in dict.fromkeys(path.rpartition("/")[0] for path in survey.set_aside):
                fs.sync_dir(directory)

    async def finish(self, metadata: MetadataStore, node_id: NodeId, run_blocking: RunBlocking) -> None:
        """Make the cluster this node's, once the logs are loaded and before anybody is served, and say so.

        Raises: BrokerError, StorageFailure.
        """
        await metadata.submit(TakeOverNode(node_id, self._homes()))
        await run_blocking(self._own_all)
        self._report()

    def _own_all(self) -> None:
        """The home last: it is the one that decides."""
        home = self._manager.home
        for directory in (*(each for each in self._manager.directories if each is not home), home):
            if directory.is_online:
                self._write_owner(directory, OWNER_LOGD)

    def _homes(self) -> dict[TopicPartition, bytes]:
        """Id of the log directory of each partition that is open."""
        homes = {}
        for topic_partition in self._manager.logs:
            directory = self._manager.directory_of(topic_partition)
            assert directory is not None
            homes[topic_partition] = directory.directory_id
        return homes

    def _report(self) -> None:
        """Say what was taken over, and what of it is still under way."""
        for topic_partition, opened in self._manager.logs.items():
            if opened.first_unstable_offset is not None:
                log.info(
                    "a transaction of Kafka's is open topic=%s partition=%d offset=%d: consumers that read committed "
                    "records stop there until its producer, or its time-out, ends it",
                    *topic_partition,
                    opened.first_unstable_offset,
                )
        if isinstance(self._found, _Unseen):
            log.info("%s; do not start Kafka on these directories again", self._found.value)
            return
        image = self._found.metadata.image
        partitions = [found for survey in self._found.directories.values() for found in survey.partitions]
        log.info(
            "took over from Kafka topics=%d partitions=%d bytes=%d configs=%d producer_ids_from=%d "
            "metadata.version=%d->%d features_removed=%s; do not start Kafka on these directories again",
            len(image.topics),
            len(partitions),
            sum(found.size_bytes for found in partitions),
            sum(len(image.configs(*resource)) for resource in image.configured()),
            image.next_producer_id,
            image.features.get(METADATA_VERSION, METADATA_LEVEL),
            METADATA_LEVEL,
            ",".join(sorted(set(image.features) - set(SUPPORTED_FEATURES))) or "none",
        )

    def _write_owner(self, directory: DataDirectory, owner: str) -> None:
        identity = directory.identity()
        if identity is not None and identity.owner != owner:
            path = f"{directory.path}/{META_PROPERTIES}"
            write_meta_properties(self._fs, path, replace(identity, owner=owner))


def look(fs: FileSystem, manager: LogManager, *, cluster_id: str | None, node_id: NodeId) -> TakeOver:
    """Judge the directories of `manager`, in which another program wrote. Changes nothing.

    Raises: DirectoryRefused with what to do; StorageFailure.
    """
    home = manager.home
    found = identify(manager.owned, cluster_id, node_id)
    owned = {directory.path: identity for directory, identity in found if identity is not None}
    identity = owned.get(home.path)
    written = [d for d in manager.directories if fs.is_dir(d.path) and has_partitions(fs, d.path, _RESERVED)]
    if (
        identity is not None
        and identity.owner == OWNER_TAKING_OVER
        and not all(fs.exists(f"{d.path}/{CLEAN_SHUTDOWN}") for d in written)
    ):
        return TakeOver(fs, manager, _Unseen.INTERRUPTED)
    if not has_log(fs, home.path):
        _check_unused(fs, home, written)
        return TakeOver(fs, manager, _Unseen.NEVER_USED)
    kafkas = [d for d in manager.directories if d.path in owned]
    surveys = {d.path: survey_directory(fs, d.path, _RESERVED) for d in kafkas}
    metadata = _read_metadata(fs, home)
    problem = take_over_problem(metadata.image, node_id, metadata.voters) or directories_problem(
        metadata.image, node_id, surveys, owned
    )
    if problem is not None:
        raise DirectoryRefused(f"the Kafka data in {home.path} cannot be taken over: {problem}")
    return TakeOver(fs, manager, _Found(metadata, surveys))


def _check_unused(fs: FileSystem, home: DataDirectory, written: list[DataDirectory]) -> None:
    """A directory that was formatted and never used has nothing to take over but what it was to begin with.

    Raises: DirectoryRefused when it was used, or was to begin with what is not here.
    """
    if written:
        raise DirectoryRefused(
            f"data directory {written[0].path} holds partitions, and there is no metadata log in {home.path}: name "
            "the directory that has it with metadata.log.dir, or in log.dirs"
        )
    try:
        problem = survey_bootstrap(fs, home.path).unsupported.problem()
    except (CorruptLog, UnusableMetadata) as error:
        problem = str(error)
    if problem is not None:
        raise DirectoryRefused(f"data directory {home.path}, formatted by Kafka, cannot be used: {problem}")


def _read_metadata(fs: FileSystem, home: DataDirectory) -> MetadataSurvey:
    try:
        return survey_metadata(fs, home.path)
    except (CorruptLog, UnusableMetadata) as error:
        raise DirectoryRefused(
            f"the Kafka data in {home.path} cannot be taken over, its metadata is not readable: {error}"
        ) from error
