"""What may be asked of the metadata, and what is answered: plain values.

The controller decides a command (`replication.controller`); a store makes the decision durable
(`replication.metadata_ports.MetadataStore`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from protocol.errors import ErrorCode
from protocol.types import ZERO_UUID, NodeId, ProducerId
from replication.broker_registration import BrokerRegistration

USE_DEFAULT = -1
"""As a number of partitions or replicas: whatever the broker's default is."""


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to be created."""

    name: str
    partitions: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignments: Sequence[tuple[int, Sequence[NodeId]]] = ()
    """(partition number, replicas), preferred leader first. When given, both numbers above must be USE_DEFAULT."""
    configs: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True)
class CreateTopics:
    """Create topics. Reply: one TopicCreation for each, in the same order; names must be distinct."""

    topics: Sequence[NewTopic]
    validate_only: bool = False
    """Check everything, change nothing."""


@dataclass(frozen=True, slots=True)
class TopicCreation:
    """How creating one topic went. With a code other than NONE only name, code and message mean anything."""

    name: str
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None
    topic_id: bytes = ZERO_UUID
    partitions: int = -1
    replication_factor: int = -1
    configs: Mapping[str, str] = field(default_factory=dict)
    """The settings made on the topic, without defaults."""


@dataclass(frozen=True, slots=True)
class DeleteTopics:
    """Delete topics by id. Reply: one code for each, in the same order: NONE or UNKNOWN_TOPIC_ID."""

    topic_ids: Sequence[bytes]
    """Must be distinct."""


@dataclass(frozen=True, slots=True)
class RegisterBroker:
    """Register an incarnation of a broker that is ready to serve. Reply: its BrokerRegistration, unfenced."""

    registration: BrokerRegistration
    """`broker_epoch` and `fenced` are filled in by the controller."""


@dataclass(frozen=True, slots=True)
class RaiseLeaderEpochs:
    """Start a new term for every partition that `node_id` leads. Reply: how many there were.

    For a start after an unclean stop: the logs may have lost their unsynced tails, so offsets that somebody read may
    be given to other records. The new epoch marks the place, and clients and followers that compare epochs notice
    (KIP-320). After a clean stop nothing is lost, and epochs stay.
    """

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class AllocateProducerIds:
    """Hand the next block of producer ids to a broker. Reply: ProducerIdBlock."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class ProducerIdBlock:
    """`size` producer ids from `first` on, that nobody else was or will be given."""

    first: ProducerId
    size: int


Command: TypeAlias = CreateTopics | DeleteTopics | RegisterBroker | RaiseLeaderEpochs | AllocateProducerIds
