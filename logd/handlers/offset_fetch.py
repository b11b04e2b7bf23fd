"""OffsetFetch: what groups have committed.

Versions 1–10; what they brought, and which code lands where, is told in `coordinator.offsets.fetch`. Here: whether the
client may know of the groups and topics, and several groups in one request, each of which has its own coordinator. A
group that is named twice is refused with INVALID_REQUEST the second time; Kafka answers twice, however large it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message

_FIRST_VERSION_WITH_GROUP_ERROR: Final = 2
_FIRST_VERSION_WITH_GROUPS: Final = 8
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 10
_NO_OFFSET: Final = -1

#: Groups asked about before others have their turn.
_SLICE: Final = 100

_AskedGroup = OffsetFetchRequest.OffsetFetchRequestGroup
_Group = OffsetFetchResponse.OffsetFetchResponseGroup


def handle(
    broker: Broker, request: OffsetFetchRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    if context.version < _FIRST_VERSION_WITH_GROUPS:
        return _flat(broker, request, context)
    if len(request.groups) == 1:
        (group,) = request.groups
        if _may_describe_group(broker, context, group.group_id) and _may_describe_all(
            broker, context, group.topics
        ):
            return broker.groups.call(group.group_id, request, context, partial(_refused_group, group))
    return _gather(broker, request, context)


# -- one group -------------------------------------------------------------------------------------------


def _flat(
    broker: Broker, request: OffsetFetchRequest, context: RequestContext
) -> Message | Awaitable[Message] | None:
    """Answer for the one group of versions before 8."""
    if not _may_describe_group(broker, context, request.group_id):
        return _refused_flat(request, context.version, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    if _may_describe_all(broker, context, request.topics):
        refused = partial(_refused_flat, request, context.version)
        return broker.groups.call(request.group_id, request, context, refused)
    return _flat_rest(broker, request, context)


async def _flat_rest(
    broker: Broker, request: OffsetFetchRequest, context: RequestContext
) -> OffsetFetchResponse:
    """Answer where some topics may be hidden from the client."""
    hidden: list[Any] = []
    if request.topics is not None:
        request.topics, hidden = _sort_out(broker, context, request.topics)
    try:
        response = await broker.groups.ask(request.group_id, request, context)
    except BrokerError as refusal:
        return _refused_flat(request, context.version, refusal.code)
    assert isinstance(response, OffsetFetchResponse)
    response.topics = _visible(broker, context, response.topics)
    response.topics += [_refused_flat_topic(topic, ErrorCode.TOPIC_AUTHORIZATION_FAILED) for topic in hidden]
    return response


def _refused_flat(request: OffsetFetchRequest, version: int, code: ErrorCode) -> OffsetFetchResponse:
    if version >= _FIRST_VERSION_WITH_GROUP_ERROR:
        return OffsetFetchResponse(error_code=code)
    return OffsetFetchResponse(topics=[_refused_flat_topic(topic, code) for topic in request.topics or ()])


def _refused_flat_topic(
    topic: OffsetFetchRequest.OffsetFetchRequestTopic, code: ErrorCode
) -> OffsetFetchResponse.OffsetFetchResponseTopic:
    return OffsetFetchResponse.OffsetFetchResponseTopic(
        name=topic.name,
        partitions=[
            OffsetFetchResponse.OffsetFetchResponsePartition(
                partition_index=index, committed_offset=_NO_OFFSET, error_code=code
            )
            for index in topic.partition_indexes
        ],
    )


# -- several groups --------------------------------------------------------------------------------------


async def _gather(
    broker: Broker, request: OffsetFetchRequest, context: RequestContext
) -> OffsetFetchResponse:
    """Ask the coordinator of each group."""
    seen: set[str] = set()
    response = OffsetFetchResponse()
    for group in request.groups:
        if group.group_id in seen:
            response.groups.append(_group_error(group, ErrorCode.INVALID_REQUEST))
            continue
        seen.add(group.group_id)
        response.groups.append(await _group(broker, group, context, request.require_stable))
        if not len(seen) % _SLICE:
            await asyncio.sleep(0)
    return response


async def _group(broker: Broker, group: _AskedGroup, context: RequestContext, stable: bool) -> _Group:
    if not _may_describe_group(broker, context, group.group_id):
        return _group_error(group, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    hidden: list[Any] = []
    if group.topics is not None:
        group.topics, hidden = _sort_out(broker, context, group.topics)
    one = OffsetFetchRequest(groups=[group], require_stable=stable)
    try:
        response = await broker.groups.ask(group.group_id, one, context)
    except BrokerError as refusal:
        return _group_error(group, refusal.code)
    assert isinstance(response, OffsetFetchResponse)
    (answer,) = response.groups
    if answer.error_code == ErrorCode.NONE:
        answer.topics = _visible(broker, context, answer.topics)
        answer.topics += [_refused_topic(topic, ErrorCode.TOPIC_AUTHORIZATION_FAILED) for topic in hidden]
    return answer


def _refused_group(group: _AskedGroup, code: ErrorCode) -> OffsetFetchResponse:
    return OffsetFetchResponse(groups=[_group_error(group, code)])


def _group_error(group: _AskedGroup, code: ErrorCode) -> _Group:
    return _Group(group_id=group.group_id, error_code=code)


def _refused_topic(
    topic: OffsetFetchRequest.OffsetFetchRequestTopics, code: ErrorCode
) -> OffsetFetchResponse.OffsetFetchResponseTopics:
    return OffsetFetchResponse.OffsetFetchResponseTopics(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            OffsetFetchResponse.OffsetFetchResponsePartitions(
                partition_index=index, committed_offset=_NO_OFFSET, error_code=code
            )
            for index in topic.partition_indexes
        ],
    )


# -- who may know ----------------------------------------------------------------------------------------


def _may_describe_group(broker: Broker, context: RequestContext, group_id: str) -> bool:
    return broker.authorise(context, Operation.DESCRIBE, ResourceType.GROUP, group_id)


def _may_describe_all(broker: Broker, context: RequestContext, topics: Iterable[Any] | None) -> bool:
    """Whether nothing of the answer has to be hidden; without a list of topics that shows afterwards."""
    return topics is not None and all(_may_describe(broker, context, topic) for topic in topics)


def _may_describe(broker: Broker, context: RequestContext, topic: Any) -> bool:
    """Whether the client may know of a topic; one whose id is not known has its own error."""
    name = topic.name
    if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS and not name:
        known = broker.metadata.image.topics_by_id.get(topic.topic_id)
        if known is None:
            return True
        name = known.name
    return broker.authorise(context, Operation.DESCRIBE, ResourceType.TOPIC, name)


def _sort_out(broker: Broker, context: RequestContext, topics: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return the topics that the client may know of, and the others."""
    allowed: list[Any] = []
    hidden: list[Any] = []
    for topic in topics:
        (allowed if _may_describe(broker, context, topic) else hidden).append(topic)
    return allowed, hidden


def _visible(broker: Broker, context: RequestContext, topics: Iterable[Any]) -> list[Any]:
    return [topic for topic in topics if _may_describe(broker, context, topic)]
