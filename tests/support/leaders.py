"""Writing to a topic that is new: Kafka's metadata may name a leader that does not know of it yet."""

from __future__ import annotations

from logd.clients.cluster_client import ClusterClient
from protocol.errors import ErrorCode
from protocol.types import Buffer
from tests.support.patience import insist_async, refused_with

NOT_YET = refused_with(
    ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
)
"""The topic is so new that nobody leads it."""


async def produce(cluster: ClusterClient, topic: str, partition: int, batch: Buffer) -> None:
    """Write a batch as soon as there is somebody who takes it."""

    async def write() -> None:
        leader = await cluster.leader(topic, partition)
        await leader.produce(topic, partition, batch)

    await insist_async(write, NOT_YET)
