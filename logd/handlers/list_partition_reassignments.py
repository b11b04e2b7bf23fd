"""ListPartitionReassignments: with one broker no partition is ever on its way to another. Version 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


def handle(
    broker: Broker, _request: ListPartitionReassignmentsRequest, context: RequestContext
) -> ListPartitionReassignmentsResponse:
    """List nothing."""
    if not may_on_cluster(broker, context, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        return ListPartitionReassignmentsResponse(error_code=code, error_message=code.text)
    return ListPartitionReassignmentsResponse(error_message=None)
