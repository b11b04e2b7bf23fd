"""ListGroups: the groups that this node coordinates.

Versions 0–5. 3: flexible. 4: by state (KIP-518). 5: by type (KIP-848). While a partition is being loaded nobody knows
all groups: COORDINATOR_LOAD_IN_PROGRESS. Who may not describe the cluster sees the groups that it may describe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import BrokerError
from protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


async def handle(broker: Broker, request: ListGroupsRequest, context: RequestContext) -> ListGroupsResponse:
    response = ListGroupsResponse()
    try:
        answers = await broker.groups.ask_all(request, context)
    except BrokerError as refusal:
        response.error_code = refusal.code
        return response
    sees_all = may_on_cluster(broker, context, Operation.DESCRIBE)
    for answer in answers:
        assert isinstance(answer, ListGroupsResponse)
        response.groups += [
            group
            for group in answer.groups
            if sees_all or broker.authorise(context, Operation.DESCRIBE, ResourceType.GROUP, group.group_id)
        ]
    return response
