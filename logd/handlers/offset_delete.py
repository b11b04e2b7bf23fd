"""OffsetDelete: a group forgets what it has committed for topics that it is not subscribed to.

Version 0 (KIP-496). Which code lands where is told in `coordinator.offsets.delete`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message


def handle(
    broker: Broker, request: OffsetDeleteRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    if not broker.authorise(context, Operation.DELETE, ResourceType.GROUP, request.group_id):
        return _refused(ErrorCode.GROUP_AUTHORIZATION_FAILED)
    if not request.group_id:
        return _refused(ErrorCode.INVALID_GROUP_ID)
    if not all(_may_read(broker, context, topic.name) for topic in request.topics):
        return _delete_rest(broker, request, context)
    return broker.groups.call(request.group_id, request, context, _refused)


def _may_read(broker: Broker, context: RequestContext, topic: str) -> bool:
    return broker.authorise(context, Operation.READ, ResourceType.TOPIC, topic)


async def _delete_rest(
    broker: Broker, request: OffsetDeleteRequest, context: RequestContext
) -> OffsetDeleteResponse:
    """Delete what the client may, and refuse the topics that it may not read."""
    denied = [topic for topic in request.topics if not _may_read(broker, context, topic.name)]
    request.topics = [topic for topic in request.topics if _may_read(broker, context, topic.name)]
    try:
        response = await broker.groups.ask(request.group_id, request, context)
    except BrokerError as refusal:
        return _refused(refusal.code)
    assert isinstance(response, OffsetDeleteResponse)
    response.topics += [_denied(topic) for topic in denied]
    return response


def _denied(
    topic: OffsetDeleteRequest.OffsetDeleteRequestTopic,
) -> OffsetDeleteResponse.OffsetDeleteResponseTopic:
    return OffsetDeleteResponse.OffsetDeleteResponseTopic(
        name=topic.name,
        partitions=[
            OffsetDeleteResponse.OffsetDeleteResponsePartition(
                partition_index=asked.partition_index, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED
            )
            for asked in topic.partitions
        ],
    )


def _refused(code: ErrorCode) -> OffsetDeleteResponse:
    return OffsetDeleteResponse(error_code=code)
