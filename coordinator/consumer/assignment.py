"""Partitions by topic id, in the shapes in which members own, are given and report them.

`Owned` remembers in which epoch each partition was given, so that a commit with an older epoch can be judged per
partition (Kafka 4.3). Both are values: never changed, only replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse

Owned: TypeAlias = Mapping[bytes, Mapping[int, int]]
"""Member epoch in which each partition was given, by topic id and partition."""

Target: TypeAlias = Mapping[bytes, frozenset[int]]
"""Partitions by topic id."""

NOTHING_OWNED: Owned = {}
NO_TARGET: Target = {}


class TopicPartitions(Protocol):
    """What the struct of that name has in requests, responses and records."""

    topic_id: bytes
    partitions: list[int]


def covers(owned: Owned, reported: Iterable[TopicPartitions]) -> bool:
    """Whether all that a member reports is among `owned`."""
    return all(
        partition in owned.get(topic.topic_id, {}) for topic in reported for partition in topic.partitions
    )


def holds_any(reported: Sequence[TopicPartitions] | None, partitions: Owned) -> bool:
    """Whether a member that reports this still has any of `partitions`; one that reports nothing may."""
    if reported is None:
        return True
    return any(
        partition in partitions.get(topic.topic_id, {})
        for topic in reported
        for partition in topic.partitions
    )


def owned_in_epoch(target: Target, epoch: int) -> Owned:
    """Return the partitions as given in `epoch`."""
    return {topic_id: dict.fromkeys(partitions, epoch) for topic_id, partitions in target.items()}


def without_epochs(owned: Owned) -> Target:
    return {topic_id: frozenset(partitions) for topic_id, partitions in owned.items()}


def target_of(topics: Iterable[TopicPartitions]) -> Target:
    return {topic.topic_id: frozenset(topic.partitions) for topic in topics}


def assignment_response(owned: Owned) -> ConsumerGroupHeartbeatResponse.Assignment:
    """Return what a member is told to own."""
    return ConsumerGroupHeartbeatResponse.Assignment(
        topic_partitions=[
            ConsumerGroupHeartbeatResponse.TopicPartitions(topic_id=topic_id, partitions=sorted(partitions))
            for topic_id, partitions in owned.items()
        ]
    )
