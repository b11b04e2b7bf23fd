"""What requests about compaction have in common: each partition once, and which may be asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.replicas import LocalPartition

#: Partitions dealt with in one turn of the loop.
PER_TURN: Final = 10


class _Topic(Protocol):
    name: str
    partitions: list[int]


def by_topic(topics: Iterable[_Topic]) -> dict[str, Sequence[int]]:
    """Partitions of each topic, none of them twice, in the order of the request."""
    found: dict[str, dict[int, None]] = {}
    for topic in topics:
        found.setdefault(topic.name, {}).update(dict.fromkeys(topic.partitions))
    return {name: list(indexes) for name, indexes in found.items()}


def compacted_partition(
    broker: Broker, context: RequestContext, operation: Operation, topic: str, index: int
) -> LocalPartition:
    """The partition of a topic that is compacted. Raises: BrokerError."""
    if not broker.authorise(context, operation, ResourceType.TOPIC, topic):
        raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    partition = broker.partition(topic, index)
    if partition.refusal is not None:
        raise BrokerError(partition.refusal)
    if not partition.log.config.compacts:
        policy = ",".join(sorted(partition.log.config.cleanup_policy))
        text = f"topic {topic} is not compacted: cleanup.policy={policy}"
        raise BrokerError(ErrorCode.POLICY_VIOLATION, text)
    return partition
