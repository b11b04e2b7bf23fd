"""Writing to a topic that is new: Kafka's metadata may name a leader that does not know of it yet."""

from __future__ import annotations

import asyncio

from logd.cluster_client import ClusterClient
from protocol.errors import BrokerError, ErrorCode
from protocol.types import Buffer

_PATIENCE_S = 60
_NOT_YET = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


async def produce(cluster: ClusterClient, topic: str, partition: int, batch: Buffer) -> None:
    """Write a batch as soon as there is somebody who takes it."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                leader = await cluster.leader(topic, partition)
                await leader.produce(topic, partition, batch)
            except BrokerError as error:
                if error.code not in _NOT_YET:
                    raise
                await asyncio.sleep(0.05)
            else:
                return
