"""AlterPartitionReassignments: put partitions on other brokers, or stop doing so.

Versions 0–1. 1: the replication factor may be kept (KIP-860). There is one broker: to leave a partition where it is
succeeds at once, any other place does not exist, and nothing is ever under way that could be stopped.
Source: ReplicationControlManager.java (alterPartitionReassignments).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
)
from replication.placement import Placer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.types import NodeId
    from replication.metadata_image import Topic

_Topic = AlterPartitionReassignmentsResponse.ReassignableTopicResponse
_Partition = AlterPartitionReassignmentsResponse.ReassignablePartitionResponse


def handle(
    broker: Broker, request: AlterPartitionReassignmentsRequest, context: RequestContext
) -> AlterPartitionReassignmentsResponse:
    """Answer from memory."""
    response = AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change, error_message=None
    )
    if not may_on_cluster(broker, context, Operation.ALTER):
        response.error_code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        response.error_message = ErrorCode.CLUSTER_AUTHORIZATION_FAILED.text
        return response
    image = broker.metadata.image
    placer = Placer(image)
    for asked in request.topics:
        topic = image.topics.get(asked.name)
        answers = []
        for partition in asked.partitions:
            answer = _Partition(partition_index=partition.partition_index, error_message=None)
            try:
                _check(
                    placer,
                    topic,
                    partition.partition_index,
                    partition.replicas,
                    may_change_factor=request.allow_replication_factor_change,
                )
            except BrokerError as refusal:
                answer.error_code = refusal.code
                answer.error_message = refusal.message
            answers.append(answer)
        response.responses.append(_Topic(name=asked.name, partitions=answers))
    return response


def _check(
    placer: Placer,
    topic: Topic | None,
    index: int,
    replicas: Sequence[NodeId] | None,
    *,
    may_change_factor: bool,
) -> None:
    """Raises: BrokerError unless the partition exists and stays where it is."""
    state = None if topic is None else topic.partitions.get(index)
    if state is None:
        raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if replicas is None:
        raise BrokerError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    problem = placer.assignment_problem(index, replicas)
    if problem is not None:
        raise BrokerError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)
    if not may_change_factor and len(replicas) != len(state.assigned_replicas):
        raise BrokerError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"partition {index} has {len(state.assigned_replicas)} replicas, and its assignment {len(replicas)}",
        )
    if set(replicas) != set(state.assigned_replicas):
        raise BrokerError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "moving partitions is not supported")
