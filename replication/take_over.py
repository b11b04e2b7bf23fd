"""Taking over the metadata of a Kafka node: may it be done, and which records do it.

Pure. What may be taken over is the cluster of one node: this node alone voted, alone is registered and live, and alone
holds every partition. Features that Kafka finalises for parts which are not here are taken back, so that nothing is
promised that is not there: their data stays as it is. metadata.version is raised to the level that our records follow;
the other features stay at their levels.
Each partition begins a new term of its leader, so that what is written from here on can be told from what Kafka wrote.
Source: Kafka metadata/PartitionRegistration.java, server/common/Feature.java, MetadataVersion.java.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from protocol.configs import ConfigResourceType
from protocol.messages.records_metadata import FeatureLevelRecord, PartitionChangeRecord
from protocol.types import TopicPartition
from replication.features import METADATA_VERSION

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from protocol.types import NodeId
    from replication.metadata_image import MetadataImage, Topic
    from replication.partition_state import PartitionState

_TAKEN_FEATURES: Final = {
    METADATA_VERSION: (7, 30),
    "kraft.version": (0, 1),
    "transaction.version": (0, 2),
    "group.version": (0, 1),
    "share.version": (0, 2),
    "streams.version": (0, 1),
    "eligible.leader.replicas.version": (0, 1),
}
"""(lowest, highest) finalised level, both inclusive, that can be taken over: what Kafka 4.0 to 4.3 can be at."""


def take_over_problem(image: MetadataImage, node_id: NodeId, voters: Collection[NodeId]) -> str | None:
    """Return in words why node `node_id` cannot take the cluster in `image` over, and what to do; None when it can.

    `voters` are the members of the metadata quorum, empty when nothing names them.
    """
    return (
        _quorum_problem(voters, node_id)
        or _brokers_problem(image, node_id)
        or _features_problem(image.features)
        or image.unsupported.problem()
        or _configs_problem(image)
        or next(filter(None, (_topic_problem(topic, node_id) for topic in image.topics.values())), None)
    )


def take_over_records(
    image: MetadataImage,
    node_id: NodeId,
    homes: Mapping[TopicPartition, bytes],
    supported: Mapping[str, tuple[int, int]],
) -> Iterator[Message]:
    """Yield the records that make the cluster this node's, at `supported` levels of its features.

    `homes` has the id of the log directory that holds each partition found on disk.
    """
    for feature, level in image.features.items():
        lowest, highest = supported.get(feature, (0, 0))
        if not lowest <= level <= highest:
            yield FeatureLevelRecord(name=feature, feature_level=highest)
    for topic in image.topics.values():
        for index, state in topic.partitions.items():
            home = homes.get(TopicPartition(topic.name, index))
            directories = None if home is None or state.directories == (home,) else [home]
            yield PartitionChangeRecord(
                partition_id=index,
                topic_id=topic.topic_id,
                leader=node_id,
                isr=None if state.in_sync_replicas == (node_id,) else [node_id],
                leader_recovery_state=0 if state.leader_recovery_state else -1,
                directories=directories,
                eligible_leader_replicas=[] if state.eligible_leader_replicas else None,
                last_known_elr=[] if state.last_known_leaders else None,
            )


def _quorum_problem(voters: Collection[NodeId], node_id: NodeId) -> str | None:
    if voters and set(voters) != {node_id}:
        names = ", ".join(str(voter) for voter in sorted(voters))
        return f"the nodes {names} vote on its metadata, not node {node_id} alone: only a single node can be taken over"
    return None


def _brokers_problem(image: MetadataImage, node_id: NodeId) -> str | None:
    others = [broker.node_id for broker in image.live_brokers() if broker.node_id != node_id]
    if others:
        return (
            f"broker {others[0]} is registered too, and is not fenced: stop it and remove it with "
            "kafka-cluster unregister before the last clean stop"
        )
    if node_id not in image.brokers:
        return f"node {node_id} is no broker, it is a controller alone: only a node that is both can be taken over"
    return None


def _features_problem(features: Mapping[str, int]) -> str | None:
    for feature, level in features.items():
        lowest, highest = _TAKEN_FEATURES.get(feature, (0, 0))
        if highest == 0:
            return (
                f"its feature {feature} is finalised at level {level} and is not known to this version: "
                f"remove it with kafka-features downgrade --feature {feature}=0, or use a newer logd"
            )
        if level > highest:
            return (
                f"its feature {feature} is finalised at level {level}, this version knows up to {highest}: "
                "downgrade it with kafka-features, or use a newer logd"
            )
        if level < lowest:
            return (
                f"its feature {feature} is finalised at level {level}, this version knows from {lowest} on: "
                "upgrade it with kafka-features"
            )
    return None


def _configs_problem(image: MetadataImage) -> str | None:
    for resource_type, name in image.configured():
        if resource_type == ConfigResourceType.CLIENT_METRICS:
            return (
                f"the metadata holds the client metrics subscription {name!r}, which logd does not have: "
                f"remove with kafka-client-metrics --delete --name {name}"
            )
    return None


def _topic_problem(topic: Topic, node_id: NodeId) -> str | None:
    for index, state in topic.partitions.items():
        if state.assigned_replicas != (node_id,) or _moves(state):
            names = ", ".join(str(replica) for replica in state.assigned_replicas)
            return (
                f"partition {topic.name}-{index} has replicas on the nodes {names}, not on node {node_id} alone: "
                "reassign it with kafka-reassign-partitions before the last clean stop"
            )
    return None


def _moves(state: PartitionState) -> bool:
    return bool(state.adding_replicas or state.removing_replicas)
