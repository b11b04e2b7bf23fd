"""DeleteGroups: groups that have no members go, with all that they have committed.

Versions 0–3 (KIP-229). 2: flexible. 3: error messages (KIP-1043). A group that is named twice is answered once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.many_groups import ask_in_portions
from protocol.errors import ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

#: Groups whose tombstones are written as one batch: that it is not too large for the log does not hang on others.
_PORTION: Final = 1

_Result = DeleteGroupsResponse.DeletableGroupResult


async def handle(
    broker: Broker, request: DeleteGroupsRequest, context: RequestContext
) -> DeleteGroupsResponse:
    results: list[_Result] = []
    allowed: list[str] = []
    for group_id in dict.fromkeys(request.groups_names):
        if broker.authorise(context, Operation.DELETE, ResourceType.GROUP, group_id):
            allowed.append(group_id)
        else:
            results.append(_result(group_id, ErrorCode.GROUP_AUTHORIZATION_FAILED))
    async for portion in ask_in_portions(broker, allowed, context, _PORTION, _request):
        if isinstance(portion.outcome, DeleteGroupsResponse):
            results += portion.outcome.results
        else:
            assert isinstance(portion.outcome, ErrorCode)
            results += [_result(group_id, portion.outcome) for group_id in portion.group_ids]
    return DeleteGroupsResponse(results=results)


def _request(group_ids: list[str]) -> DeleteGroupsRequest:
    return DeleteGroupsRequest(groups_names=group_ids)


def _result(group_id: str, code: ErrorCode) -> _Result:
    return _Result(group_id=group_id, error_code=code)
