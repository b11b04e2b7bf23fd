"""What `logd produce` and `logd consume` ask first: whether a topic is there, and which partitions it has."""

from __future__ import annotations

import asyncio

from logd.cli.errors import CommandError
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.errors import ErrorCode
from protocol.types import TopicPartition

_PAUSE_S = 0.1
_PASSING = (ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE)


async def partitions_of(
    cluster: ClusterClient, topic: str, *, timeout_s: float, create: bool = False
) -> list[int]:
    """Return the partitions of a topic in order; wait up to `timeout_s` where they are about to appear.

    Nothing is created unless `create` is set: then a missing topic is, with the broker's defaults.
    Raises: CommandError when it is missing; BrokerError as the broker refuses.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    is_created = False
    while True:
        row = (await cluster.metadata([topic])).topics[0]
        if row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            if not create:
                raise CommandError(
                    f"there is no topic {topic}", f"create it with `logd topic create {topic}`"
                )
            if not is_created:
                await _create(cluster, topic, timeout_s)
                is_created = True
                continue
        elif row.error_code not in _PASSING:
            raise broker_error(row.error_code, None)
        elif row.partitions:
            return sorted(each.partition_index for each in row.partitions)
        if loop.time() >= deadline:
            raise CommandError(f"topic {topic} still has no partitions after {timeout_s:g} s")
        await asyncio.sleep(_PAUSE_S)


def check_partition(topic: str, partition: int, existing: list[int]) -> None:
    """Raises CommandError for a partition that is not there."""
    if partition not in existing:
        numbers = "only 0" if len(existing) == 1 else f"0 to {existing[-1]}"
        raise CommandError(f"topic {topic} has no partition {partition}, {numbers}")


def partition_text(partition: TopicPartition) -> str:
    """How a partition is called in what people read, as kcat calls it."""
    return f"{partition.topic} [{partition.partition}]"


async def _create(cluster: ClusterClient, topic: str, timeout_s: float) -> None:
    from protocol.messages.create_topics import CreateTopicsRequest  # noqa: PLC0415 - only with --create

    wanted = CreateTopicsRequest.CreatableTopic(name=topic, num_partitions=-1, replication_factor=-1)
    request = CreateTopicsRequest(topics=[wanted], timeout_ms=int(timeout_s * 1000))
    answer = (await cluster.call(request)).topics[0]
    # Whoever else made it meanwhile has done what was wanted.
    if answer.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
        raise broker_error(answer.error_code, answer.error_message)
