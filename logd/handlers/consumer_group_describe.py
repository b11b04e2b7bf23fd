"""ConsumerGroupDescribe: members of consumer groups, what they own and are to own (KIP-848).

Versions 0–1, flexible. 1: which protocol each member uses (KIP-1099). A group that is named twice is described once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import group_operations
from logd.handlers.group_requests import has_consumer_groups
from logd.handlers.many_groups import ask_in_portions
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

#: Groups described in one go.
_PORTION: Final = 100

_Described = ConsumerGroupDescribeResponse.DescribedGroup
_Member = ConsumerGroupDescribeResponse.Member


async def handle(
    broker: Broker, request: ConsumerGroupDescribeRequest, context: RequestContext
) -> ConsumerGroupDescribeResponse:
    groups: list[_Described] = []
    allowed: list[str] = []
    for group_id in dict.fromkeys(request.group_ids):
        if not has_consumer_groups(broker):
            groups.append(_refused(group_id, ErrorCode.UNSUPPORTED_VERSION))
        elif not group_id:
            groups.append(_refused(group_id, ErrorCode.INVALID_GROUP_ID))
        elif broker.authorise(context, Operation.DESCRIBE, ResourceType.GROUP, group_id):
            allowed.append(group_id)
        else:
            groups.append(_refused(group_id, ErrorCode.GROUP_AUTHORIZATION_FAILED))
    async for portion in ask_in_portions(broker, allowed, context, _PORTION, _request):
        if isinstance(portion.outcome, ConsumerGroupDescribeResponse):
            groups += [_visible(broker, context, group) for group in portion.outcome.groups]
        else:
            assert isinstance(portion.outcome, ErrorCode)
            groups += [_refused(group_id, portion.outcome) for group_id in portion.group_ids]
    if request.include_authorized_operations:
        for group in groups:
            if group.error_code == ErrorCode.NONE:
                group.authorized_operations = group_operations(broker, context, group.group_id)
    return ConsumerGroupDescribeResponse(groups=groups)


def _visible(broker: Broker, context: RequestContext, group: _Described) -> _Described:
    """Return the group, or a refusal where it works on a topic that the client must not know of."""
    names = {name for member in group.members for name in _topics(member)}
    if all(broker.authorise(context, Operation.DESCRIBE, ResourceType.TOPIC, name) for name in names):
        return group
    return _Described(
        group_id=group.group_id,
        error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        error_message="The group works on topics that the client may not describe.",
    )


def _topics(member: _Member) -> set[str]:
    assigned = (*member.assignment.topic_partitions, *member.target_assignment.topic_partitions)
    return {*member.subscribed_topic_names, *(topic.topic_name for topic in assigned)}


def _request(group_ids: list[str]) -> ConsumerGroupDescribeRequest:
    return ConsumerGroupDescribeRequest(group_ids=group_ids)


def _refused(group_id: str, code: ErrorCode) -> _Described:
    return _Described(group_id=group_id, error_code=code)
