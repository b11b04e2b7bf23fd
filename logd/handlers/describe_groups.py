"""DescribeGroups: state and members of classic groups.

Versions 0–6. 3: authorised operations (KIP-430). 4: static members (KIP-345). 5: flexible. 6: GROUP_ID_NOT_FOUND with
a message (KIP-1043). A group that is named twice is described once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import group_operations
from logd.handlers.many_groups import ask_in_portions
from protocol.errors import ErrorCode
from protocol.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_FIRST_VERSION_WITH_OPERATIONS: Final = 3

#: Groups described in one go.
_PORTION: Final = 100

_Described = DescribeGroupsResponse.DescribedGroup


async def handle(
    broker: Broker, request: DescribeGroupsRequest, context: RequestContext
) -> DescribeGroupsResponse:
    groups: list[_Described] = []
    allowed: list[str] = []
    for group_id in dict.fromkeys(request.groups):
        if broker.authorise(context, Operation.DESCRIBE, ResourceType.GROUP, group_id):
            allowed.append(group_id)
        else:
            groups.append(_refused(group_id, ErrorCode.GROUP_AUTHORIZATION_FAILED))
    async for portion in ask_in_portions(broker, allowed, context, _PORTION, _request):
        if isinstance(portion.outcome, DescribeGroupsResponse):
            groups += portion.outcome.groups
        else:
            assert isinstance(portion.outcome, ErrorCode)
            groups += [_refused(group_id, portion.outcome) for group_id in portion.group_ids]
    if context.version >= _FIRST_VERSION_WITH_OPERATIONS and request.include_authorized_operations:
        for group in groups:
            if group.error_code == ErrorCode.NONE:
                group.authorized_operations = group_operations(broker, context, group.group_id)
    return DescribeGroupsResponse(groups=groups)


def _request(group_ids: list[str]) -> DescribeGroupsRequest:
    return DescribeGroupsRequest(groups=group_ids)


def _refused(group_id: str, code: ErrorCode) -> _Described:
    return _Described(group_id=group_id, error_code=code)
