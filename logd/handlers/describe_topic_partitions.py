"""DescribeTopicPartitions: topics and their partitions, a page at a time (KIP-966).

Version 0. Topics come in the order of their names; a page ends after as many partitions as the client, and
max.request.partition.size.limit, allow, and its cursor names where the next begins. No topics named: all of them.
Nothing is created by asking.
Source: DescribeTopicPartitionsRequestHandler.java, KRaftMetadataCache.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import topic_operations
from logd.handlers.offline_replicas import offline_replicas
from protocol.errors import ErrorCode
from protocol.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
)
from replication.partition_state import NO_LEADER, PartitionState
from replication.topic_names import is_internal_topic, topic_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.types import NodeId
    from replication.metadata_image import Topic

_Topic = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic
_Partition = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition


def handle(
    broker: Broker, request: DescribeTopicPartitionsRequest, context: RequestContext
) -> DescribeTopicPartitionsResponse:
    """Answer from memory."""
    names = {topic.name for topic in request.topics}
    cursor = request.cursor
    if cursor is not None and (cursor.partition_index < 0 or (names and cursor.topic_name not in names)):
        # There is no place for an error that concerns the request as a whole.
        topics = [_Topic(name=topic.name, error_code=ErrorCode.INVALID_REQUEST) for topic in request.topics]
        return DescribeTopicPartitionsResponse(topics=topics)
    return _Page(broker, request, context).fill(names)


class _Page:
    """Builds one response."""

    __slots__ = ("_alive", "_broker", "_context", "_request", "_response", "_room")

    def __init__(
        self, broker: Broker, request: DescribeTopicPartitionsRequest, context: RequestContext
    ) -> None:
        self._broker = broker
        self._request = request
        self._context = context
        self._alive: frozenset[NodeId] = frozenset(
            registration.node_id
            for registration in broker.metadata.image.live_brokers()
            if context.listener in registration.endpoints
        )
        """Brokers that listen where the client came in."""
        self._response = DescribeTopicPartitionsResponse()
        self._room = max(
            min(broker.config.max_request_partition_size_limit, request.response_partition_limit), 1
        )
        """Partitions that the page still takes."""

    def fill(self, names: set[str]) -> DescribeTopicPartitionsResponse:
        """Describe the named topics, all for an empty set."""
        hidden: list[_Topic] = []
        for name in self._from_cursor(names or self._broker.metadata.image.topics):
            if not self._broker.authorise(self._context, Operation.DESCRIBE, ResourceType.TOPIC, name):
                if names:
                    hidden.append(_Topic(name=name, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED))
            elif not self._add(name):
                break
        self._response.topics += hidden
        return self._response

    def _from_cursor(self, names: Iterable[str]) -> Iterator[str]:
        cursor = self._request.cursor
        first = "" if cursor is None else cursor.topic_name
        return iter(sorted(name for name in names if name >= first))

    def _add(self, name: str) -> bool:
        """Put a topic on the page; whether there is room for more."""
        if not self._room:
            self._continue_at(name, 0)
            return False
        topic = self._broker.metadata.image.topics.get(name)
        if topic is None:
            self._response.topics.append(_unknown(name))
            return True
        cursor = self._request.cursor
        first = 0 if cursor is None or cursor.topic_name != name else cursor.partition_index
        count = len(topic.partitions)
        stop = min(first + self._room, count)
        self._response.topics.append(self._topic(topic, range(first, stop)))
        if stop < count:
            self._continue_at(name, stop)
            return False
        self._room -= max(stop - first, 0)
        return True

    def _continue_at(self, name: str, index: int) -> None:
        self._response.next_cursor = DescribeTopicPartitionsResponse.Cursor(
            topic_name=name, partition_index=index
        )

    def _topic(self, topic: Topic, indexes: range) -> _Topic:
        return _Topic(
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.internal,
            partitions=[self._partition(topic.name, index, topic.partitions[index]) for index in indexes],
            topic_authorized_operations=topic_operations(self._broker, self._context, topic.name),
        )

    def _partition(self, topic: str, index: int, state: PartitionState) -> _Partition:
        offline = offline_replicas(self._broker, topic, index, state, self._alive)
        leads = state.leader_id in self._alive and state.leader_id not in offline
        return _Partition(
            partition_index=index,
            leader_id=state.leader_id if leads else NO_LEADER,
            leader_epoch=state.leader_epoch,
            replica_nodes=list(state.assigned_replicas),
            isr_nodes=list(state.in_sync_replicas),
            eligible_leader_replicas=list(state.eligible_leader_replicas),
            last_known_elr=list(state.last_known_leaders),
            offline_replicas=offline,
        )


def _unknown(name: str) -> _Topic:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic_name_problem(name) is not None:
        code = ErrorCode.INVALID_TOPIC_EXCEPTION
    return _Topic(name=name, error_code=code, is_internal=is_internal_topic(name))
