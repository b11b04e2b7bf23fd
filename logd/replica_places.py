"""In which data directories this node's replicas are: what the metadata says at a start, held against what was found.

Not here: judging whether a replica that was not found may be made (`AbsenceJudge`), and making it (replicas.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.types import LOST_DIRECTORY, UNASSIGNED_DIRECTORY, TopicPartition
from replication.directories import directory_of
from replication.metadata_commands import DirectoryAssignment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.types import NodeId
    from replication.metadata_image import MetadataImage, Topic
    from replication.partition_state import PartitionState
    from storage.directories.directory_loader import LoadReport
    from storage.directories.manager import LogManager


class ReplicaPlaces:
    """Compares the metadata with the data directories. The logs on disk are open, or known to be offline."""

    def __init__(self, manager: LogManager, image: MetadataImage, node_id: NodeId) -> None:
        self._manager = manager
        self._image = image
        self._node_id = node_id

    def keep_lost(self, report: LoadReport) -> None:
        """Keep those partitions offline that were not found, and may not be made anew; `report` then has them, too."""
        absent = {
            TopicPartition(topic.name, index): directory_of(state, self._node_id)
            for topic, index, state in self._replicas()
            if not self._manager.holds(TopicPartition(topic.name, index))
        }
        if absent:
            former = self._image.brokers.get(self._node_id)
            registered = () if former is None else former.log_dirs
            report.failed |= self._manager.keep_lost(
                absent, set_aside=report.set_aside, registered=registered
            )

    def assignments(self) -> list[DirectoryAssignment]:
        """Return where replicas are that the metadata has elsewhere, or nowhere."""
        return [
            DirectoryAssignment(topic.topic_id, index, found)
            for topic, index, state in self._replicas()
            if (found := self._found_in(topic.name, index, state)) != directory_of(state, self._node_id)
        ]

    def _replicas(self) -> Iterator[tuple[Topic, int, PartitionState]]:
        """Those that the metadata gives to this node."""
        for topic in self._image.topics.values():
            for index, state in topic.partitions.items():
                if self._node_id in state.assigned_replicas:
                    yield topic, index, state

    def _found_in(self, topic: str, index: int, state: PartitionState) -> bytes:
        """Id of the directory that holds a replica; what the metadata says, where it is not here."""
        topic_partition = TopicPartition(topic, index)
        home = self._manager.directory_of(topic_partition)
        if home is not None:
            return home.directory_id
        told = directory_of(state, self._node_id)
        is_lost = told == UNASSIGNED_DIRECTORY and self._manager.failure_of(topic_partition) is not None
        return LOST_DIRECTORY if is_lost else told
