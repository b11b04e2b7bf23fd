"""Decides every change of the cluster's metadata: which records a command amounts to, and what it is answered.

Pure: `decide` reads the image, proposes records, and changes nothing. `MetadataImage.replay` takes them in once they
are durable. Several commands may be decided before the first of them is replayed, as long as no two decisions
`touch` the same thing.

Refusals that concern one topic stand in the reply; a refusal of the whole command is raised as BrokerError.
Source: Kafka controller/ReplicationControlManager.java, ClusterControlManager.java, ProducerIdControlManager.java,
ConfigurationControlManager.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, assert_never

from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.messages.records_metadata import (
    BrokerRegistrationChangeRecord,
    PartitionChangeRecord,
    ProducerIdsRecord,
    RemoveTopicRecord,
    UnregisterBrokerRecord,
)
from protocol.types import NodeId, Offset
from replication.broker_registration import registration_record
from replication.config_changes import ConfigChanger
from replication.directories import assignment_record, leadership_changes
from replication.features import SUPPORTED_FEATURES, feature_records, new_features
from replication.metadata_commands import (
    AllocateProducerIds,
    AlterConfigs,
    AssignDirectories,
    Command,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    LoseDirectory,
    ProducerIdBlock,
    RaiseLeaderEpochs,
    RegisterBroker,
    TakeOverNode,
    UnregisterBroker,
    UpdateFeatures,
)
from replication.metadata_image import MetadataImage
from replication.partition_creation import PartitionCreator
from replication.topic_creation import TopicCreator
from replication.topic_names import collision_key

if TYPE_CHECKING:
    from replication.metadata_ports import ConfigRules, Entropy

PRODUCER_ID_BLOCK_SIZE = 1000
"""Ids per block: one durable write per so many producers, and at most so many ids lost by a restart (Kafka's)."""

PRODUCER_ID_MAX = 2**63 - 1

_UNFENCE = -1  # BrokerRegistrationChangeRecord.fenced


class Decision(NamedTuple):
    """What a command amounts to."""

    records: Sequence[Message]
    """Take effect together or not at all. Empty: nothing to make durable."""
    reply: object
    touches: frozenset[str] = frozenset()
    """What the decision rests on or changes, as opaque keys: a refusal, too, rests on what it found."""


class Controller:
    """Proposes changes to one image."""

    __slots__ = ("_changer", "_creator", "_image", "_partition_creator")

    def __init__(
        self, image: MetadataImage, *, partitions: int, replication_factor: int, rules: ConfigRules
    ) -> None:
        """`partitions` and `replication_factor` are for topics that do not say; `rules` judge settings."""
        self._image = image
        self._creator = TopicCreator(
            image, partitions=partitions, replication_factor=replication_factor, rules=rules
        )
        self._partition_creator = PartitionCreator(image)
        self._changer = ConfigChanger(image, rules)

    def decide(self, command: Command, next_offset: Offset, entropy: Entropy) -> Decision:  # noqa: PLR0911, PLR0912 - flat
        """Return what `command` amounts to now; `next_offset` is what the first of its records will get.

        Raises: BrokerError when the command is refused as a whole.
        """
        match command:
            case CreateTopics():
                return self._create_topics(command, entropy)
            case DeleteTopics():
                return self._delete_topics(command)
            case CreatePartitions():
                return self._create_partitions(command, entropy)
            case AlterConfigs():
                return self._alter_configs(command)
            case AllocateProducerIds():
                return self._allocate_producer_ids(command)
            case RegisterBroker():
                return self._register_broker(command, next_offset)
            case UnregisterBroker():
                return self._unregister_broker(command)
            case RaiseLeaderEpochs():
                return self._raise_leader_epochs(command)
            case TakeOverNode():
                return self._take_over(command)
            case LoseDirectory():
                return self._lose_directory(command)
            case AssignDirectories():
                return self._assign_directories(command)
            case UpdateFeatures():
                return self._update_features(command)
            case _:
                assert_never(command)

    def _create_topics(self, command: CreateTopics, entropy: Entropy) -> Decision:
        records, creations = self._creator.create(command, entropy)
        touches = frozenset(_topic_key(topic.name) for topic in command.topics)
        return Decision(() if command.validate_only else records, creations, touches)

    def _delete_topics(self, command: DeleteTopics) -> Decision:
        topics = [self._image.topics_by_id.get(topic_id) for topic_id in command.topic_ids]
        return Decision(
            records=[RemoveTopicRecord(topic_id=topic.topic_id) for topic in topics if topic is not None],
            reply=[ErrorCode.UNKNOWN_TOPIC_ID if topic is None else ErrorCode.NONE for topic in topics],
            touches=frozenset(_topic_key(topic.name) for topic in topics if topic is not None),
        )

    def _create_partitions(self, command: CreatePartitions, entropy: Entropy) -> Decision:
        records, creations = self._partition_creator.create(command, entropy)
        touches = frozenset(_topic_key(topic.name) for topic in command.topics)
        return Decision(() if command.validate_only else records, creations, touches)

    def _alter_configs(self, command: AlterConfigs) -> Decision:
        records, alterations = self._changer.alter(command)
        touches = frozenset(
            _topic_key(change.resource_name)
            if change.resource_type == ConfigResourceType.TOPIC
            else "broker-configs"
            for change in command.changes
        )
        return Decision(() if command.validate_only else records, alterations, touches)

    def _allocate_producer_ids(self, command: AllocateProducerIds) -> Decision:
        registration = self._image.live_broker(command.node_id)
        if registration is None:
            raise BrokerError(
                ErrorCode.BROKER_ID_NOT_REGISTERED, f"broker {command.node_id} is not registered"
            )
        first = self._image.next_producer_id
        if first > PRODUCER_ID_MAX - PRODUCER_ID_BLOCK_SIZE:
            raise BrokerError(ErrorCode.UNKNOWN_SERVER_ERROR, "all producer ids have been handed out")
        record = ProducerIdsRecord(
            broker_id=command.node_id,
            broker_epoch=registration.broker_epoch,
            next_producer_id=first + PRODUCER_ID_BLOCK_SIZE,
        )
        return Decision(
            [record], ProducerIdBlock(first, PRODUCER_ID_BLOCK_SIZE), frozenset(("producer-ids",))
        )

    def _register_broker(self, command: RegisterBroker, next_offset: Offset) -> Decision:
        registration = command.registration._replace(broker_epoch=next_offset, fenced=True)
        node_id = registration.node_id
        for feature, level in self._image.features.items():
            lowest, highest = registration.features.get(feature, (0, 0))
            if not lowest <= level <= highest:
                raise BrokerError(
                    ErrorCode.UNSUPPORTED_VERSION,
                    f"broker {node_id} supports {feature} from {lowest} to {highest}, the cluster is at {level}",
                )
        records: list[Message] = [
            registration_record(registration),
            BrokerRegistrationChangeRecord(broker_id=node_id, broker_epoch=next_offset, fenced=_UNFENCE),
            *leadership_changes(self._image, node_id, registration.log_dirs),
            *new_features(self._image, registration),
        ]
        return Decision(records, registration._replace(fenced=False), self._touching_all(node_id))

    def _lose_directory(self, command: LoseDirectory) -> Decision:
        node_id = command.node_id
        registration = self._image.brokers[node_id]
        left = [directory for directory in registration.log_dirs if directory != command.directory_id]
        records: list[Message] = [
            BrokerRegistrationChangeRecord(
                broker_id=node_id, broker_epoch=registration.broker_epoch, log_dirs=left
            ),
            *leadership_changes(self._image, node_id, left),
        ]
        return Decision(records, None, self._touching_all(node_id))

    def _assign_directories(self, command: AssignDirectories) -> Decision:
        records = (
            assignment_record(self._image, command.node_id, assignment) for assignment in command.assignments
        )
        return Decision(
            [record for record in records if record is not None], None, self._touching_all(command.node_id)
        )

    def _unregister_broker(self, command: UnregisterBroker) -> Decision:
        """Kafka takes a live broker's partitions away from it; the broker then cannot go on. Here it is refused."""
        node_id = command.node_id
        registration = self._image.brokers.get(node_id)
        if registration is None:
            raise BrokerError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"broker {node_id} is not registered")
        if not registration.fenced:
            raise BrokerError(
                ErrorCode.INVALID_REQUEST, f"broker {node_id} is live: stop it before it is unregistered"
            )
        if any(
            node_id in state.assigned_replicas
            for topic in self._image.topics.values()
            for state in topic.partitions.values()
        ):
            raise BrokerError(
                ErrorCode.INVALID_REQUEST, f"broker {node_id} holds replicas: delete or move them first"
            )
        record = UnregisterBrokerRecord(broker_id=node_id, broker_epoch=registration.broker_epoch)
        return Decision([record], None, frozenset((f"broker:{node_id}",)))

    def _raise_leader_epochs(self, command: RaiseLeaderEpochs) -> Decision:
        node_id = command.node_id
        records: list[Message] = [
            PartitionChangeRecord(partition_id=index, topic_id=topic.topic_id, leader=node_id)
            for topic in self._image.topics.values()
            for index, state in topic.partitions.items()
            if state.leader_id == node_id
        ]
        return Decision(records, len(records), self._touching_all(node_id))

    def _update_features(self, command: UpdateFeatures) -> Decision:
        records = feature_records(self._image, command)
        return Decision(() if command.validate_only else records, None, frozenset(("features",)))

    def _touching_all(self, node_id: NodeId) -> frozenset[str]:
        """What a decision touches that concerns a broker, what it supports, and any topic."""
        return frozenset((f"broker:{node_id}", "features", *map(_topic_key, self._image.topics)))

    def _take_over(self, command: TakeOverNode) -> Decision:
        from replication.take_over import take_over_records  # noqa: PLC0415 - once in the life of a directory

        records = list(take_over_records(self._image, command.node_id, command.homes, SUPPORTED_FEATURES))
        return Decision(records, len(records), frozenset(map(_topic_key, self._image.topics)))


def _topic_key(name: str) -> str:
    return f"topic:{collision_key(name)}"
