"""Judges topics that are to be created; where their partitions go is placement.py's.

The order of the checks is Kafka's: a client sees the same error of several that apply.
Source: Kafka controller/ReplicationControlManager.java (createTopics), server/ControllerApis.scala (createTopics).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.messages.records_metadata import ConfigRecord, TopicRecord
from replication.directories import DirectoryChooser
from replication.metadata_commands import (
    RECORDS_PER_COMMAND_MAX,
    USE_DEFAULT,
    CreateTopics,
    NewTopic,
    TopicCreation,
)
from replication.metadata_image import MetadataImage
from replication.partition_state import PartitionState, partition_record
from replication.placement import Placer
from replication.topic_names import METADATA_TOPIC, collision_key, topic_name_problem

if TYPE_CHECKING:
    from replication.metadata_ports import ConfigRules, Entropy

TOO_MANY_RECORDS = (
    f"a request may write {RECORDS_PER_COMMAND_MAX} metadata records; create fewer partitions at once"
)


class TopicCreator:
    """Turns CreateTopics into records. Reads the image, changes nothing."""

    __slots__ = ("_image", "_partitions", "_placer", "_replication_factor", "_rules")

    def __init__(
        self, image: MetadataImage, *, partitions: int, replication_factor: int, rules: ConfigRules
    ) -> None:
        """`partitions` and `replication_factor` are for topics that do not say."""
        self._image = image
        self._placer = Placer(image)
        self._partitions = partitions
        self._replication_factor = replication_factor
        self._rules = rules

    def create(self, command: CreateTopics, entropy: Entropy) -> tuple[list[Message], list[TopicCreation]]:
        """Return the records that create every topic that may be created, and one answer per topic."""
        records: list[Message] = []
        creations: list[TopicCreation] = []
        claimed: set[str] = set()
        chooser = DirectoryChooser(self._image)
        for topic in command.topics:
            try:
                creation, topic_records = self._create(topic, claimed, chooser, entropy)
            except BrokerError as refusal:
                if refusal.code is ErrorCode.POLICY_VIOLATION:
                    return [], _refuse_all(command)
                creations.append(TopicCreation(topic.name, refusal.code, refusal.message))
                continue
            records += topic_records
            creations.append(creation)
            if len(records) > RECORDS_PER_COMMAND_MAX:
                return [], _refuse_all(command)
        return records, creations

    def _create(
        self, topic: NewTopic, claimed: set[str], chooser: DirectoryChooser, entropy: Entropy
    ) -> tuple[TopicCreation, list[Message]]:
        """`claimed` holds the collision keys of the topics that this command creates; this one's is added."""
        self._check_name(topic.name, claimed)
        configs = self._checked_configs(topic)
        if topic.assignments:
            partitions = self._assigned_partitions(topic)
        else:
            partitions = self._placed_partitions(topic, entropy)
        claimed.add(collision_key(topic.name))
        topic_id = new_topic_id(entropy)
        records: list[Message] = [TopicRecord(name=topic.name, topic_id=topic_id)]
        records += [
            ConfigRecord(
                resource_type=ConfigResourceType.TOPIC, resource_name=topic.name, name=name, value=value
            )
            for name, value in configs.items()
        ]
        for index, state in enumerate(partitions):
            records.append(partition_record(topic_id, index, chooser.place(state)))
        creation = TopicCreation(
            topic.name,
            topic_id=topic_id,
            partitions=len(partitions),
            replication_factor=len(partitions[0].assigned_replicas),
            configs=configs,
        )
        return creation, records

    def _check_name(self, name: str, claimed: set[str]) -> None:
        if name == METADATA_TOPIC:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"{METADATA_TOPIC} cannot be created")
        problem = topic_name_problem(name)
        if problem is not None:
            raise BrokerError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
        if name in self._image.topics:
            raise BrokerError(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name!r} already exists")
        other = self._image.colliding_topic(name)
        if other is not None:
            raise BrokerError(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"topic name {name!r} collides with existing topic {other!r}",
            )
        if collision_key(name) in claimed:
            raise BrokerError(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"topic name {name!r} collides with another one in the request",
            )

    def _checked_configs(self, topic: NewTopic) -> dict[str, str]:
        nulls = [name for name, value in topic.configs if value is None]
        if nulls:
            raise BrokerError(ErrorCode.INVALID_CONFIG, f"no value given for {', '.join(nulls)}")
        configs = {name: value for name, value in topic.configs if value is not None}
        problem = self._rules.topic_problem(configs, {}) if configs else None
        if problem is not None:
            raise BrokerError(ErrorCode.INVALID_CONFIG, problem)
        return configs

    def _placed_partitions(self, topic: NewTopic, entropy: Entropy) -> list[PartitionState]:
        factor, count = topic.replication_factor, topic.partitions
        if factor < USE_DEFAULT or factor == 0:
            raise BrokerError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"replication factor {factor} is neither positive nor -1 (default)",
            )
        if count < USE_DEFAULT or count == 0:
            raise BrokerError(
                ErrorCode.INVALID_PARTITIONS,
                f"{count} partitions are neither a positive number nor -1 (default)",
            )
        factor = self._replication_factor if factor == USE_DEFAULT else factor
        count = self._partitions if count == USE_DEFAULT else count
        if count > RECORDS_PER_COMMAND_MAX:
            raise BrokerError(ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
        return self._placer.place(count, factor, entropy)

    def _assigned_partitions(self, topic: NewTopic) -> list[PartitionState]:
        if topic.replication_factor != USE_DEFAULT or topic.partitions != USE_DEFAULT:
            raise BrokerError(
                ErrorCode.INVALID_REQUEST,
                "with a manual assignment, the number of partitions and the replication factor must be -1",
            )
        partitions: dict[int, PartitionState] = {}
        factor = len(topic.assignments[0][1])
        for index, replicas in topic.assignments:
            if index in partitions:
                raise BrokerError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"partition {index} is assigned more than once"
                )
            partitions[index] = self._placer.assigned(index, replicas, factor)
        if set(partitions) != set(range(len(partitions))):
            raise BrokerError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "assigned partitions must be numbered from 0 without gaps",
            )
        return [partitions[index] for index in range(len(partitions))]


def new_topic_id(entropy: Entropy) -> bytes:
    """Return a random id (UUID version 4) whose text form does not begin with '-'.

    A leading '-' would make tools take the id for an option; Kafka avoids it too (Uuid.java). The first byte decides.
    """
    while True:
        raw = bytearray(entropy.uuid())
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        if raw[0] >> 2 != _DASH:
            return bytes(raw)


_DASH = 62  # the value of '-' in URL-safe base64


def _refuse_all(command: CreateTopics) -> list[TopicCreation]:
    return [
        TopicCreation(topic.name, ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS) for topic in command.topics
    ]
