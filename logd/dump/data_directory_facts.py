"""What a data directory says of its partitions as a whole: its state, checkpoints, and the metadata in it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logd.dump.cluster_facts import ClusterFacts, read_cluster_facts
from logd.dump.kinds import OFFSET_CHECKPOINTS
from logd.dump.verify_context import DirectoryState, PartitionContext, VerifyOptions
from logd.metadata.files import METADATA_DIRECTORY, METADATA_PARTITION, METADATA_TOPIC_ID
from storage.checkpoint import CLEANER_OFFSETS, LOG_START_OFFSETS, RECOVERY_POINTS, read_offsets
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN
from storage.directories.data_directory import LOCK_FILE
from storage.directories.meta_properties import META_PROPERTIES, MetaProperties, read_meta_properties
from storage.errors import MalformedFile, StorageFailure
from storage.fs import has_content

if TYPE_CHECKING:
    from protocol.types import Offset, TopicPartition
    from storage.fs import FileSystem


@dataclass(slots=True)
class DataDirectoryFacts:
    """Read before any log is, so that a running broker's logs are ahead of it and never behind."""

    path: str
    state: DirectoryState
    checkpoints: dict[str, dict[TopicPartition, Offset]] = field(default_factory=dict)
    """By file name; a file that cannot be read is in `malformed`."""
    cluster: ClusterFacts = field(default_factory=ClusterFacts)
    properties: MetaProperties | None = None
    malformed: list[MalformedFile] = field(default_factory=list)

    def context_of(self, partition: TopicPartition | None, options: VerifyOptions) -> PartitionContext:
        """What is known of one partition in the directory."""
        compacted = options.compacted
        context = PartitionContext(self.state, may_have_gaps=compacted, walk_records=options.walk_records)
        if partition is None:
            return context
        context.gaps_known = self.cluster.known or compacted
        context.may_have_gaps = (
            compacted
            or self.cluster.may_have_gaps(partition.topic)
            or partition in self.checkpoints.get(CLEANER_OFFSETS, {})
        )
        context.recovery_point = self.checkpoints.get(RECOVERY_POINTS, {}).get(partition)
        context.log_start_offset = self.checkpoints.get(LOG_START_OFFSETS, {}).get(partition, 0)
        context.topic_id = self.cluster.topic_ids.get(partition.topic)
        record = self.cluster.partitions.get(partition)
        if record is not None and self.cluster.known and self.state is not DirectoryState.RUNNING:
            context.leader_epoch = record.leader_epoch
        if partition == METADATA_PARTITION:
            context.topic_id = METADATA_TOPIC_ID
        return context


def read_data_directory(fs: FileSystem, path: str) -> DataDirectoryFacts:
    """Look around in a directory that may be a data directory. Raises: StorageFailure."""
    facts = DataDirectoryFacts(path, directory_state(fs, path))
    for name in OFFSET_CHECKPOINTS:
        facts.checkpoints[name] = _read_checkpoint(fs, f"{path}/{name}", facts)
    own = f"{path}/{METADATA_DIRECTORY}/{RECOVERY_POINTS}"  # of the metadata log, kept beside it
    facts.checkpoints[RECOVERY_POINTS] |= _read_checkpoint(fs, own, facts)
    facts.cluster = read_cluster_facts(fs, path)
    try:
        facts.properties = read_meta_properties(fs, f"{path}/{META_PROPERTIES}")
    except MalformedFile as error:
        facts.malformed.append(error)
    return facts


def directory_state(fs: FileSystem, path: str) -> DirectoryState:
    """Whether a directory is a data directory, and in which state."""
    if not fs.exists(posixpath.join(path, META_PROPERTIES)):
        return DirectoryState.UNKNOWN
    if fs.is_locked(posixpath.join(path, LOCK_FILE)):
        return DirectoryState.RUNNING
    clean = fs.exists(posixpath.join(path, CLEAN_SHUTDOWN))
    return DirectoryState.CLEAN if clean else DirectoryState.UNCLEAN


def _read_checkpoint(fs: FileSystem, path: str, facts: DataDirectoryFacts) -> dict[TopicPartition, Offset]:
    try:
        return read_offsets(fs, path) if has_content(fs, path) else {}
    except MalformedFile as error:
        facts.malformed.append(error)
    except StorageFailure:
        if facts.state is not DirectoryState.RUNNING:
            raise
    return {}
