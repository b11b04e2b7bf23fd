"""What the nodes that lead partitions say of their compaction (DescribeCompaction), and asking for it.

Both are APIs of logd's own: of another broker nothing of it can be known.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

from logd.cli.connection import refusal
from logd.clients.cluster_client import ClusterClient
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.compact_partitions import CompactPartitionsRequest
from protocol.messages.describe_compaction import DescribeCompactionRequest, DescribeCompactionResponse
from protocol.messages.message import Message
from protocol.types import NodeId, TopicPartition

Described = DescribeCompactionResponse.DescribedPartition


async def describe_compaction(
    cluster: ClusterClient, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, Described | BrokerError]:
    """What each partition's leader says. Raises: BrokerError UNSUPPORTED_VERSION where a node is no logd."""
    return await _ask_leaders(
        cluster, partitions, DescribeCompactionRequest, DescribeCompactionRequest.DescribableTopic
    )


async def ask_for_compaction(
    cluster: ClusterClient, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int | BrokerError]:
    """The ticket that each partition's leader gives. Raises: as `describe_compaction`."""
    rows = await _ask_leaders(
        cluster, partitions, CompactPartitionsRequest, CompactPartitionsRequest.CompactableTopic
    )
    return {name: row if isinstance(row, BrokerError) else row.ticket for name, row in rows.items()}


def subject_of(name: TopicPartition) -> str:
    return f"partition {name.partition} of {name.topic}"


def dirty_ratio(row: Described) -> float | None:
    """Dirty share of what may be cleaned, as min.cleanable.dirty.ratio means it; None where there is nothing."""
    total = row.clean_bytes + row.dirty_bytes
    return row.dirty_bytes / total if total else None


def _refusal(name: TopicPartition, code: int, message: str | None) -> BrokerError | None:
    if code == ErrorCode.POLICY_VIOLATION and message is not None:
        return BrokerError(ErrorCode.POLICY_VIOLATION, message)  # it says which topic
    return refusal(subject_of(name), code, message)


async def _ask_leaders(
    cluster: ClusterClient,
    partitions: Collection[TopicPartition],
    request_type: Callable[..., Message],
    topic_type: Callable[..., object],
) -> dict[TopicPartition, Any]:
    """The row of each partition in its leader's answer, or its refusal; both APIs have the same shape."""
    found: dict[TopicPartition, Any] = {}

    async def ask(node: NodeId, topics: dict[str, list[int]]) -> None:
        wanted = [topic_type(name=name, partitions=indexes) for name, indexes in topics.items()]
        response = await cluster.call(request_type(topics=wanted), node=node)
        for topic in response.topics:
            for row in topic.partitions:
                name = TopicPartition(topic.name, row.partition_index)
                found[name] = _refusal(name, row.error_code, row.error_message) or row

    await asyncio.gather(*(ask(*each) for each in (await _by_leader(cluster, partitions)).items()))
    return found


async def _by_leader(
    cluster: ClusterClient, partitions: Collection[TopicPartition]
) -> dict[NodeId, dict[str, list[int]]]:
    """Raises: BrokerError for a partition without a leader."""
    by_leader: dict[NodeId, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic, index in partitions:
        by_leader[await cluster.leader_id(topic, index)][topic].append(index)
    return by_leader
