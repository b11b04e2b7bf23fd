"""OffsetCommit: a group says what it has read.

Versions 2–10; what they brought, and which code lands where, is told in `coordinator.offsets.commit`. Here: whether the
client may read the group and the topics. A topic that it may not read does
not keep others from being committed.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.group_requests import may_read_topic
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message

_FIRST_VERSION_WITH_TOPIC_IDS: Final = 10

_AskedTopic = OffsetCommitRequest.OffsetCommitRequestTopic
_Topic = OffsetCommitResponse.OffsetCommitResponseTopic
_Partition = OffsetCommitResponse.OffsetCommitResponsePartition


def handle(
    broker: Broker, request: OffsetCommitRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    if not broker.authorise(context, Operation.READ, ResourceType.GROUP, request.group_id):
        return _refused(request, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    if not all(_may_read(broker, context, topic) for topic in request.topics):
        return _commit_rest(broker, request, context)
    return broker.groups.call(request.group_id, request, context, partial(_refused, request))


def _may_read(broker: Broker, context: RequestContext, topic: _AskedTopic) -> bool:
    return may_read_topic(broker, context, topic, by_id=context.version >= _FIRST_VERSION_WITH_TOPIC_IDS)


async def _commit_rest(
    broker: Broker, request: OffsetCommitRequest, context: RequestContext
) -> OffsetCommitResponse:
    """Commit what the client may, and refuse the topics that it may not read."""
    allowed: list[_AskedTopic] = []
    refused: list[_Topic] = []
    for topic in request.topics:
        if _may_read(broker, context, topic):
            allowed.append(topic)
        else:
            refused.append(_topic(topic, ErrorCode.TOPIC_AUTHORIZATION_FAILED))
    if not allowed:
        return OffsetCommitResponse(topics=refused)
    request.topics = allowed
    try:
        response = await broker.groups.ask(request.group_id, request, context)
    except BrokerError as refusal:
        response = _refused(request, refusal.code)
    assert isinstance(response, OffsetCommitResponse)
    response.topics = refused + response.topics
    return response


def _refused(request: OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse:
    return OffsetCommitResponse(topics=[_topic(topic, code) for topic in request.topics])


def _topic(topic: _AskedTopic, code: ErrorCode) -> _Topic:
    return _Topic(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            _Partition(partition_index=asked.partition_index, error_code=code) for asked in topic.partitions
        ],
    )
