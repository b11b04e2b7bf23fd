"""What the metadata log in a data directory says of the topics whose files lie there.

Read as far as it can be read: damage in it is the matter of its own check, and whoever asks for what is missing is told
that it is not known. A topic that was compacted once may have gaps in its offsets for good, so what counts is whether
any record of its configuration ever said so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logd.metadata.batches import read_metadata_batch
from logd.metadata.files import METADATA_DIRECTORY
from logd.metadata.snapshot import read_snapshot, snapshots_in
from protocol.configs import ConfigResourceType
from protocol.messages.records_metadata import (
    ConfigRecord,
    PartitionChangeRecord,
    PartitionRecord,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from protocol.types import NodeId, TopicPartition
from replication.metadata_image import UnusableMetadata
from replication.partition_state import NO_LEADER_CHANGE
from storage.batch_scan import iter_checked
from storage.errors import CorruptLog, StorageFailure
from storage.fs import OpenMode
from storage.recovery.leftovers import base_offset_of
from storage.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.messages.message import Message
    from storage.fs import FileSystem

_ALWAYS_COMPACTED = frozenset({"__consumer_offsets", "__transaction_state"})
_CLEANUP_POLICIES = frozenset({"cleanup.policy", "log.cleanup.policy"})


@dataclass(slots=True)
class ClusterFacts:
    """Topics as the metadata has them; `known` is False where there is no metadata, or not all of it was read."""

    known: bool = False
    topic_ids: dict[str, bytes] = field(default_factory=dict)
    partitions: dict[TopicPartition, PartitionRecord] = field(default_factory=dict)
    directory_ids: dict[NodeId, list[bytes]] = field(default_factory=dict)
    compacted: set[str] = field(default_factory=set)
    """Topics that are or were compacted."""
    all_compacted: bool = False
    """A broker's default says, or said, that topics are compacted."""

    def may_have_gaps(self, topic: str) -> bool:
        """Whether offsets may be missing from the topic's logs because a cleaner took records out."""
        return self.all_compacted or topic in _ALWAYS_COMPACTED or topic in self.compacted


def read_cluster_facts(fs: FileSystem, data_dir: str) -> ClusterFacts:
    """What the directory's `__cluster_metadata-0` says, from its newest snapshot on."""
    facts = ClusterFacts()
    directory = f"{data_dir}/{METADATA_DIRECTORY}"
    if not fs.is_dir(directory):
        return facts
    names: dict[bytes, str] = {}
    try:
        for record in _records(fs, directory):
            _take_in(facts, names, record)
        facts.known = bool(facts.directory_ids)
    except (CorruptLog, UnusableMetadata, StorageFailure):
        pass
    return facts


def _records(fs: FileSystem, directory: str) -> Iterator[Message]:
    from_offset = 0
    snapshots = snapshots_in(fs, directory)
    if snapshots:
        from_offset = snapshots[-1].end_offset
        yield from read_snapshot(fs, f"{directory}/{snapshots[-1].file_name}")
    for name in fs.listdir(directory):
        if base_offset_of(name) is None or not name.endswith(LOG_SUFFIX):
            continue
        file = fs.open(f"{directory}/{name}", OpenMode.READ)
        for _, header, batch in iter_checked(file, 0, file.size(), due=None, gaps=True):
            if header.last_offset >= from_offset:
                for offset, record in read_metadata_batch(batch):
                    if offset >= from_offset:
                        yield record


def _take_in(facts: ClusterFacts, names: dict[bytes, str], record: Message) -> None:
    match record:
        case TopicRecord():
            names[record.topic_id] = record.name
            facts.topic_ids[record.name] = record.topic_id
        case PartitionRecord() if record.topic_id in names:
            facts.partitions[TopicPartition(names[record.topic_id], record.partition_id)] = record
        case PartitionChangeRecord() if record.topic_id in names:
            partition = facts.partitions.get(TopicPartition(names[record.topic_id], record.partition_id))
            if partition is not None and record.replicas is not None:
                partition.replicas = record.replicas
            if partition is not None and record.directories is not None:
                partition.directories = record.directories
            if partition is not None and record.leader != NO_LEADER_CHANGE:
                partition.leader_epoch += 1
        case RemoveTopicRecord() if record.topic_id in names:
            name = names.pop(record.topic_id)
            facts.topic_ids.pop(name, None)
            facts.compacted.discard(name)
            for each in [each for each in facts.partitions if each.topic == name]:
                del facts.partitions[each]
        case RegisterBrokerRecord():
            facts.directory_ids[record.broker_id] = list(record.log_dirs)
        case ConfigRecord() if record.name in _CLEANUP_POLICIES and "compact" in (record.value or ""):
            if record.resource_type == ConfigResourceType.TOPIC:
                facts.compacted.add(record.resource_name)
            elif record.resource_type == ConfigResourceType.BROKER:
                facts.all_compacted = True
