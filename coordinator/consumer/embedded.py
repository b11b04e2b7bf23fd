"""What consumers with the classic protocol say and are told in the bytes that it leaves to them (ConsumerProtocol).

    int16 version | Subscription or Assignment in that version; a later one begins like the last that is known

Source: Kafka ConsumerProtocol.java.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from coordinator.consumer.assignment import NO_TARGET
from protocol.codec import encode_bytes, reader_for
from protocol.errors import ProtocolViolation
from protocol.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription

if TYPE_CHECKING:
    from coordinator.consumer.assignment import Owned, Target
    from coordinator.ports import TopicCatalog

_VERSION: Final = Struct(">h")
_VERSION_MAX: Final = ConsumerProtocolSubscription.VERSIONS[1]


def read_subscription(metadata: bytes) -> ConsumerProtocolSubscription:
    """Raises: ProtocolViolation."""
    version = _version(metadata)
    subscription: ConsumerProtocolSubscription
    subscription, _ = reader_for(ConsumerProtocolSubscription, version)(metadata, _VERSION.size)
    return subscription


def read_assignment(data: bytes, catalog: TopicCatalog) -> tuple[Target, bool]:
    """Return the partitions of topics that exist, and whether there is more in it that only its assignor knows.

    Raises: ProtocolViolation.
    """
    if not data:
        return NO_TARGET, False
    assignment: ConsumerProtocolAssignment
    assignment, _ = reader_for(ConsumerProtocolAssignment, _version(data))(data, _VERSION.size)
    partitions: dict[bytes, frozenset[int]] = {}
    for topic in assignment.assigned_partitions:
        topic_id = catalog.topic_id(topic.topic)
        if topic_id is not None:
            partitions[topic_id] = frozenset(topic.partitions)
    return partitions, bool(assignment.user_data)


def write_assignment(partitions: Target | Owned, catalog: TopicCatalog, metadata: bytes) -> bytes:
    """Return an assignment in the version of a member's subscription. Raises: ProtocolViolation."""
    topics = []
    for topic_id, numbers in partitions.items():
        name = catalog.topic_name(topic_id)
        if name is not None:
            topics.append(ConsumerProtocolAssignment.TopicPartition(topic=name, partitions=sorted(numbers)))
    version = _version(metadata)
    return _VERSION.pack(version) + encode_bytes(
        ConsumerProtocolAssignment(assigned_partitions=topics), version
    )


def _version(data: bytes) -> int:
    if len(data) < _VERSION.size:
        raise ProtocolViolation("bytes of a consumer without a version")
    version: int = _VERSION.unpack_from(data)[0]
    if version < 0:
        raise ProtocolViolation(f"bytes of a consumer in version {version}")
    return min(version, _VERSION_MAX)
