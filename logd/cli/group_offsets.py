"""Committed offsets of a group: read, set and taken away by its coordinator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient, broker_error
from logd.clients.coordinators import Coordinators
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from protocol.types import Offset, TopicPartition

# The last versions that ask for one group, and that name topics by their names.
_FETCH_OF_ONE_GROUP = 7
_COMMIT_BY_NAME = 8

_COORDINATION = frozenset(
    (
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
    )
)


class Committed(NamedTuple):
    """What a group committed for a partition."""

    offset: Offset
    leader_epoch: int
    metadata: str


async def committed_offsets(
    cluster: ClusterClient, coordinators: Coordinators, group_id: str
) -> dict[TopicPartition, Committed | BrokerError]:
    """Everything that a group has committed, in the order of topics and partitions; nothing for an unknown group."""

    async def fetch(coordinator: Client) -> OffsetFetchResponse:
        request = OffsetFetchRequest(group_id=group_id, topics=None)
        response: OffsetFetchResponse = await cluster.call_on(
            coordinator, request, version=_FETCH_OF_ONE_GROUP
        )
        if response.error_code != ErrorCode.NONE:
            raise broker_error(response.error_code, None)
        return response

    response = await coordinators.run(group_id, fetch)
    found: dict[TopicPartition, Committed | BrokerError] = {}
    for topic in response.topics:
        for row in topic.partitions:
            key = TopicPartition(topic.name, row.partition_index)
            if row.error_code != ErrorCode.NONE:
                found[key] = broker_error(row.error_code, None)
            elif row.committed_offset >= 0:
                found[key] = Committed(row.committed_offset, row.committed_leader_epoch, row.metadata or "")
    return dict(sorted(found.items()))


async def commit_offsets(
    cluster: ClusterClient,
    coordinators: Coordinators,
    group_id: str,
    offsets: Mapping[TopicPartition, Offset],
) -> dict[TopicPartition, BrokerError | None]:
    """Set offsets of a group without members, as one commit. What is refused stays with its partition."""
    topics: dict[str, list[OffsetCommitRequest.OffsetCommitRequestPartition]] = defaultdict(list)
    for (topic, partition), offset in offsets.items():
        topics[topic].append(
            OffsetCommitRequest.OffsetCommitRequestPartition(
                partition_index=partition, committed_offset=offset, committed_metadata=""
            )
        )
    request = OffsetCommitRequest(
        group_id=group_id,
        topics=[
            OffsetCommitRequest.OffsetCommitRequestTopic(name=name, partitions=rows)
            for name, rows in topics.items()
        ],
    )

    async def commit(coordinator: Client) -> OffsetCommitResponse:
        response: OffsetCommitResponse = await cluster.call_on(coordinator, request, version=_COMMIT_BY_NAME)
        _check_coordinator(row.error_code for topic in response.topics for row in topic.partitions)
        return response

    response = await coordinators.run(group_id, commit)
    return {
        TopicPartition(topic.name, row.partition_index): _error(row.error_code)
        for topic in response.topics
        for row in topic.partitions
    }


async def delete_offsets(
    cluster: ClusterClient, coordinators: Coordinators, group_id: str, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, BrokerError | None]:
    """Forget committed offsets. Raises BrokerError where the group refuses; the rest stays with its partition."""
    topics: dict[str, list[OffsetDeleteRequest.OffsetDeleteRequestPartition]] = defaultdict(list)
    for topic, partition in partitions:
        topics[topic].append(OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=partition))
    request = OffsetDeleteRequest(
        group_id=group_id,
        topics=[
            OffsetDeleteRequest.OffsetDeleteRequestTopic(name=name, partitions=rows)
            for name, rows in topics.items()
        ],
    )

    async def delete(coordinator: Client) -> OffsetDeleteResponse:
        response: OffsetDeleteResponse = await cluster.call_on(coordinator, request)
        if response.error_code != ErrorCode.NONE:
            raise broker_error(response.error_code, None)
        return response

    response = await coordinators.run(group_id, delete)
    return {
        TopicPartition(topic.name, row.partition_index): _error(row.error_code)
        for topic in response.topics
        for row in topic.partitions
    }


def _check_coordinator(codes: Iterable[int]) -> None:
    """Raise what the whole request failed with, so that it is tried again; a commit says it of each partition."""
    for code in codes:
        if code in _COORDINATION:
            raise broker_error(code, None)


def _error(code: int) -> BrokerError | None:
    return None if code == ErrorCode.NONE else broker_error(code, None)
