"""What may be asked of the metadata, and what is answered: plain values.

The controller decides a command (`replication.controller`); a store makes the decision durable
(`replication.metadata_ports.MetadataStore`). Named tuples, because they are made at every start and cost it less than
data classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from protocol.configs import ConfigOperation
from protocol.errors import ErrorCode
from protocol.types import ZERO_UUID, NodeId, ProducerId, TopicPartition
from replication.broker_registration import BrokerRegistration

RECORDS_PER_COMMAND_MAX = 10_000
"""So that one command fits one batch and stalls nobody for long (Kafka: MAX_RECORDS_PER_USER_OP)."""

USE_DEFAULT = -1
"""As a number of partitions or replicas: whatever the broker's default is."""


class NewTopic(NamedTuple):
    """A topic to be created."""

    name: str
    partitions: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignments: Sequence[tuple[int, Sequence[NodeId]]] = ()
    """(partition number, replicas), preferred leader first. When given, both numbers above must be USE_DEFAULT."""
    configs: Sequence[tuple[str, str | None]] = ()


class CreateTopics(NamedTuple):
    """Create topics. Reply: one TopicCreation for each, in the same order; names must be distinct."""

    topics: Sequence[NewTopic]
    validate_only: bool = False
    """Check everything, change nothing."""


class TopicCreation(NamedTuple):
    """How creating one topic went. With a code other than NONE only name, code and message mean anything."""

    name: str
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None
    topic_id: bytes = ZERO_UUID
    partitions: int = -1
    replication_factor: int = -1
    configs: Mapping[str, str] = MappingProxyType({})
    """The settings made on the topic, without defaults."""


class DeleteTopics(NamedTuple):
    """Delete topics by id. Reply: one code for each, in the same order: NONE or UNKNOWN_TOPIC_ID."""

    topic_ids: Sequence[bytes]
    """Must be distinct."""


class MorePartitions(NamedTuple):
    """A topic that is to have so many partitions from now on."""

    name: str
    partitions: int
    assignments: Sequence[Sequence[NodeId]] | None = None
    """Replicas of each partition that is added, preferred leader first; None: wherever there is room."""


class CreatePartitions(NamedTuple):
    """Add partitions to topics. Reply: one PartitionCreation for each, in the same order; names must be distinct."""

    topics: Sequence[MorePartitions]
    validate_only: bool = False
    """Check everything, change nothing."""


class PartitionCreation(NamedTuple):
    """How adding partitions to one topic went."""

    name: str
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None


class ConfigChange(NamedTuple):
    """A change of the settings of one resource: a topic, or a broker (named "" for the settings of all of them)."""

    resource_type: int
    resource_name: str
    operations: Mapping[str, tuple[ConfigOperation, str | None]]
    """By property; only DELETE goes without a value."""
    replace: bool = False
    """Settings that are not named are removed."""


class AlterConfigs(NamedTuple):
    """Change settings. Reply: one ConfigAlteration for each, in the same order; resources must be distinct."""

    changes: Sequence[ConfigChange]
    validate_only: bool = False
    """Check everything, change nothing."""


class ConfigAlteration(NamedTuple):
    """How changing the settings of one resource went."""

    code: ErrorCode = ErrorCode.NONE
    message: str | None = None


class RegisterBroker(NamedTuple):
    """Register an incarnation of a broker that is ready to serve. Reply: its BrokerRegistration, unfenced."""

    registration: BrokerRegistration
    """`broker_epoch` and `fenced` are filled in by the controller."""


class UnregisterBroker(NamedTuple):
    """Forget a broker that is gone for good. Reply: None.

    Refused with BROKER_ID_NOT_REGISTERED, or INVALID_REQUEST while the broker is in use.
    """

    node_id: NodeId


class RaiseLeaderEpochs(NamedTuple):
    """Start a new term for every partition that `node_id` leads. Reply: how many there were.

    For a start after an unclean stop: the logs may have lost their unsynced tails, so offsets that somebody read may
    be given to other records. The new epoch marks the place, and clients and followers that compare epochs notice
    (KIP-320). After a clean stop nothing is lost, and epochs stay.
    """

    node_id: NodeId


class TakeOverNode(NamedTuple):
    """Make a stopped Kafka node's cluster this node's. Reply: how many records that took.

    The caller has made sure that it may be done (`replication.take_over`). Doing it twice does no harm.
    """

    node_id: NodeId
    homes: Mapping[TopicPartition, bytes]
    """Id of the log directory of each partition found on disk."""


class LoseDirectory(NamedTuple):
    """A data directory of `node_id` works no longer: nothing in it is led, and nothing new goes there. Reply: None."""

    node_id: NodeId
    directory_id: bytes


class DirectoryAssignment(NamedTuple):
    """The directory in which a broker has its replica of a partition."""

    topic_id: bytes
    partition: int
    directory_id: bytes


class AssignDirectories(NamedTuple):
    """Take down where `node_id` has its replicas (KIP-858: AssignReplicasToDirs). Reply: None."""

    node_id: NodeId
    assignments: Sequence[DirectoryAssignment]


class FeatureUpdate(NamedTuple):
    """The level that a feature is to be finalised at; 0 takes it back."""

    feature: str
    level: int
    upgrade_type: int
    """Which way the level may change; see `replication.features`."""


class UpdateFeatures(NamedTuple):
    """Change the levels of features, all or none. Reply: None. Refused with INVALID_UPDATE_VERSION."""

    updates: Sequence[FeatureUpdate]
    """Features must be distinct."""
    validate_only: bool = False
    """Check everything, change nothing."""


class AllocateProducerIds(NamedTuple):
    """Hand the next block of producer ids to a broker. Reply: ProducerIdBlock."""

    node_id: NodeId


class ProducerIdBlock(NamedTuple):
    """`size` producer ids from `first` on, that nobody else was or will be given."""

    first: ProducerId
    size: int


Command: TypeAlias = (
    CreateTopics
    | DeleteTopics
    | CreatePartitions
    | AlterConfigs
    | RegisterBroker
    | UnregisterBroker
    | RaiseLeaderEpochs
    | TakeOverNode
    | LoseDirectory
    | AssignDirectories
    | UpdateFeatures
    | AllocateProducerIds
)
