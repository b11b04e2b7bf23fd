"""Which replicas of a partition are out of use, as Metadata and DescribeTopicPartitions tell it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logd.broker import Broker
    from protocol.types import NodeId
    from replication.partition_state import PartitionState


def offline_replicas(
    broker: Broker, topic: str, index: int, state: PartitionState, live: Collection[NodeId]
) -> list[NodeId]:
    """Return the nodes whose replica is offline: the node is not `live`; or it is this one, and the partition's data
    directory, or its log alone, has failed. Such a replica leads nothing, whatever the metadata says still.
    """
    return [
        node
        for node in state.assigned_replicas
        if node not in live or (node == broker.node_id and broker.replicas.is_offline(topic, index))
    ]
