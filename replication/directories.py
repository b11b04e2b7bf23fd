"""Which data directory of a broker a replica is in, and what it means for leadership that one fails or comes back.

A broker registers the directories that work, by id. A replica in any other is offline: it does not lead. When its
directory is registered again, a partition that nobody leads is led by it again, in a new epoch.
Source: KIP-858; apache/kafka controller/ReplicationControlManager.java (handleDirectoriesOffline,
handleAssignReplicasToDirs).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from protocol.messages.records_metadata import PartitionChangeRecord
from protocol.types import LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY, NodeId
from replication.partition_state import NO_LEADER, NO_LEADER_CHANGE, PartitionState

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from replication.metadata_commands import DirectoryAssignment
    from replication.metadata_image import MetadataImage


def directory_of(state: PartitionState, node_id: NodeId) -> bytes:
    """Id of the directory in which a broker has, or is to have, its replica; LOST_DIRECTORY if it has none."""
    for replica, directory in zip(state.assigned_replicas, state.directories, strict=False):
        if replica == node_id:
            return directory
    return UNASSIGNED_DIRECTORY if node_id in state.assigned_replicas else LOST_DIRECTORY


class DirectoryChooser:
    """Chooses directories for the new replicas of one command: of each broker the one that holds the fewest.

    Kafka leaves that to the broker, which reports its choice. Chosen here, it is durable before the log is made, so
    that nothing is ever written to a replica of which nobody knows where it is.
    """

    __slots__ = ("_counts", "_image")

    def __init__(self, image: MetadataImage) -> None:
        self._image = image
        self._counts: dict[NodeId, Counter[bytes]] = {}
        """Replicas by directory; only of brokers that have a choice."""

    def place(self, state: PartitionState) -> PartitionState:
        """Return the first state of a new partition with a directory for each of its replicas."""
        return state._replace(directories=tuple(map(self._choose, state.assigned_replicas)))

    def _choose(self, node_id: NodeId) -> bytes:
        log_dirs = self._image.brokers[node_id].log_dirs
        if len(log_dirs) <= 1:
            return log_dirs[0] if log_dirs else UNASSIGNED_DIRECTORY
        counts = self._counts.get(node_id)
        if counts is None:
            counts = self._counts[node_id] = _replicas_by_directory(self._image, node_id, log_dirs)
        chosen = min(log_dirs, key=counts.__getitem__)
        counts[chosen] += 1
        return chosen


def _replicas_by_directory(
    image: MetadataImage, node_id: NodeId, log_dirs: Collection[bytes]
) -> Counter[bytes]:
    counts: Counter[bytes] = Counter(dict.fromkeys(log_dirs, 0))
    for topic in image.topics.values():
        counts.update(directory_of(state, node_id) for state in topic.partitions.values())
    return counts


def leadership_changes(image: MetadataImage, node_id: NodeId, online: Collection[bytes]) -> Iterator[Message]:
    """Yield the records that take from a broker what it leads in directories that are not `online`, and that have it
    lead again what nobody does, in those that are.
    """
    for topic in image.topics.values():
        for index, state in topic.partitions.items():
            leader = _leader_change(state, node_id, _is_online(directory_of(state, node_id), online))
            if leader != NO_LEADER_CHANGE:
                yield PartitionChangeRecord(partition_id=index, topic_id=topic.topic_id, leader=leader)


def assignment_record(
    image: MetadataImage, node_id: NodeId, assignment: DirectoryAssignment
) -> Message | None:
    """Return the record that says where a replica is; None for a partition that is not there any more."""
    topic_id, index, directory_id = assignment
    topic = image.topics_by_id.get(topic_id)
    state = None if topic is None else topic.partitions.get(index)
    if state is None or node_id not in state.assigned_replicas:
        return None
    directories = [
        directory_id if replica == node_id else directory_of(state, replica)
        for replica in state.assigned_replicas
    ]
    is_online = _is_online(directory_id, image.brokers[node_id].log_dirs)
    return PartitionChangeRecord(
        partition_id=index,
        topic_id=topic_id,
        directories=directories,
        leader=_leader_change(state, node_id, is_online),
    )


def _is_online(directory_id: bytes, online: Collection[bytes]) -> bool:
    return directory_id in online or directory_id in (UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY)


def _leader_change(state: PartitionState, node_id: NodeId, is_online: bool) -> NodeId:
    """Return who leads next; NO_LEADER_CHANGE if that stays. The in-sync set stays as it is: its last member's data
    is what a later leader must have.
    """
    if not is_online:
        return NO_LEADER if state.leader_id == node_id else NO_LEADER_CHANGE
    if state.leader_id == NO_LEADER and node_id in state.in_sync_replicas:
        return node_id
    return NO_LEADER_CHANGE
