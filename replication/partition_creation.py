"""Judges partitions that are to be added to topics; where they go is placement.py's.

The order of the checks is Kafka's: a client sees the same error of several that apply.
Source: Kafka controller/ReplicationControlManager.java (createPartitions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from replication.directories import DirectoryChooser
from replication.metadata_commands import (
    RECORDS_PER_COMMAND_MAX,
    CreatePartitions,
    MorePartitions,
    PartitionCreation,
)
from replication.metadata_image import MetadataImage, Topic
from replication.partition_state import PartitionState, partition_record
from replication.placement import Placer
from replication.topic_creation import TOO_MANY_RECORDS

if TYPE_CHECKING:
    from replication.metadata_ports import Entropy


class PartitionCreator:
    """Turns CreatePartitions into records. Reads the image, changes nothing."""

    __slots__ = ("_image", "_placer")

    def __init__(self, image: MetadataImage) -> None:
        self._image = image
        self._placer = Placer(image)

    def create(
        self, command: CreatePartitions, entropy: Entropy
    ) -> tuple[list[Message], list[PartitionCreation]]:
        """Return the records that add every partition that may be added, and one answer per topic.

        Too many for one command: none is added, and POLICY_VIOLATION answers every topic.
        """
        records: list[Message] = []
        creations: list[PartitionCreation] = []
        chooser = DirectoryChooser(self._image)
        for more in command.topics:
            try:
                topic, additional = self._checked(more)
                if len(records) + additional > RECORDS_PER_COMMAND_MAX:
                    return [], _refuse_all(command)
                added = self._added(more, topic, additional, entropy)
            except BrokerError as refusal:
                creations.append(PartitionCreation(more.name, refusal.code, refusal.message))
                continue
            first = len(topic.partitions)
            records += [
                partition_record(topic.topic_id, index, chooser.place(state))
                for index, state in enumerate(added, first)
            ]
            creations.append(PartitionCreation(more.name))
        return records, creations

    def _checked(self, more: MorePartitions) -> tuple[Topic, int]:
        """Return the topic and how many partitions it is to gain. Raises: BrokerError."""
        topic = self._image.topics.get(more.name)
        if topic is None:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        present = len(topic.partitions)
        if more.partitions == present:
            raise BrokerError(
                ErrorCode.INVALID_PARTITIONS, f"topic {more.name!r} has {present} partitions already"
            )
        if more.partitions < present:
            raise BrokerError(
                ErrorCode.INVALID_PARTITIONS,
                f"topic {more.name!r} has {present} partitions; their number can only grow, not be {more.partitions}",
            )
        additional = more.partitions - present
        if more.assignments is not None and len(more.assignments) != additional:
            raise BrokerError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"{additional} partitions are to be added, and {len(more.assignments)} are assigned",
            )
        return topic, additional

    def _added(
        self, more: MorePartitions, topic: Topic, additional: int, entropy: Entropy
    ) -> list[PartitionState]:
        """Lay out the new partitions with as many replicas as the topic's first has. Raises: BrokerError."""
        factor = len(topic.partitions[0].assigned_replicas)
        if more.assignments is None:
            return self._placer.place(additional, factor, entropy)
        first = len(topic.partitions)
        return [
            self._placer.assigned(index, replicas, factor)
            for index, replicas in enumerate(more.assignments, first)
        ]


def _refuse_all(command: CreatePartitions) -> list[PartitionCreation]:
    return [
        PartitionCreation(topic.name, ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
        for topic in command.topics
    ]
