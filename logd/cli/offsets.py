"""Offsets of many partitions at once, asked of their leaders (ListOffsets)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from logd.clients.cluster_client import RETRY_PAUSE_S, ClusterClient, broker_error, has_moved
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from protocol.types import NodeId, Offset, TimestampMs, TopicPartition

END: TimestampMs = -1
START: TimestampMs = -2

_Topic = ListOffsetsRequest.ListOffsetsTopic
_Partition = ListOffsetsRequest.ListOffsetsPartition


async def list_offsets(
    cluster: ClusterClient,
    partitions: Iterable[TopicPartition],
    timestamp: TimestampMs,
    *,
    read_committed: bool = False,
) -> dict[TopicPartition, Offset | BrokerError]:
    """The first offset at or after `timestamp` in each partition, -1 where there is none; START and END ask for those.

    A leader that has moved is asked for once more. What is refused stays with its partition.
    """
    wanted = list(partitions)
    answers = await _ask_all(cluster, wanted, timestamp, read_committed)
    moved = [each for each in wanted if has_moved(answers[each])]
    if moved:
        for each in moved:
            cluster.forget_leader(*each)
        await asyncio.sleep(RETRY_PAUSE_S)
        answers |= await _ask_all(cluster, moved, timestamp, read_committed)
    return answers


async def _ask_all(
    cluster: ClusterClient, partitions: list[TopicPartition], timestamp: TimestampMs, read_committed: bool
) -> dict[TopicPartition, Offset | BrokerError]:
    answers: dict[TopicPartition, Offset | BrokerError] = {}
    by_leader: dict[NodeId, list[TopicPartition]] = defaultdict(list)
    for each in partitions:
        try:
            by_leader[await cluster.leader_id(*each)].append(each)
        except BrokerError as error:
            answers[each] = error
    for answer in await asyncio.gather(
        *(_ask(cluster, leader, rows, timestamp, read_committed) for leader, rows in by_leader.items())
    ):
        answers |= answer
    return answers


async def _ask(
    cluster: ClusterClient,
    leader: NodeId,
    partitions: list[TopicPartition],
    timestamp: TimestampMs,
    read_committed: bool,
) -> dict[TopicPartition, Offset | BrokerError]:
    topics: dict[str, list[_Partition]] = defaultdict(list)
    for topic, index in partitions:
        topics[topic].append(_Partition(partition_index=index, timestamp=timestamp))
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=int(read_committed),
        topics=[_Topic(name=name, partitions=rows) for name, rows in topics.items()],
    )
    response: ListOffsetsResponse = await cluster.call(request, node=leader)
    return {
        TopicPartition(topic.name, row.partition_index): (
            row.offset if row.error_code == ErrorCode.NONE else broker_error(row.error_code, None)
        )
        for topic in response.topics
        for row in topic.partitions
    }
