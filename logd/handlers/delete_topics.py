"""DeleteTopics: by name, or from version 6 on by topic id.

Versions 1–6. 3: TOPIC_DELETION_DISABLED where older clients read INVALID_REQUEST. 4: flexible. 5: error messages.
6: topic ids (KIP-516). A topic is gone for clients once its removal is durable; its files go later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from protocol.types import ZERO_UUID
from replication.metadata_commands import DeleteTopics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext
    from replication.metadata_image import Topic

_FIRST_VERSION_WITH_DELETION_DISABLED: Final = 3
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 6

_State = DeleteTopicsRequest.DeleteTopicState
_Result = DeleteTopicsResponse.DeletableTopicResult


async def handle(
    broker: Broker, request: DeleteTopicsRequest, context: RequestContext
) -> DeleteTopicsResponse:
    """Answer every topic of the request once."""
    states = request.topics
    if context.version < _FIRST_VERSION_WITH_TOPIC_IDS:
        states = [_State(name=name) for name in request.topic_names]
    results, doomed = _judge(broker, states, context)
    if doomed:
        codes = await _delete(broker, list(doomed), request.timeout_ms)
        for (topic_id, result), code in zip(doomed.items(), codes, strict=True):
            lost_race = code is ErrorCode.UNKNOWN_TOPIC_ID and result.topic_id == ZERO_UUID  # asked by name
            _refuse(result, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if lost_race else code)
            result.topic_id = topic_id
    return DeleteTopicsResponse(responses=results)


def _judge(
    broker: Broker, states: Sequence[_State], context: RequestContext
) -> tuple[list[_Result], dict[bytes, _Result]]:
    """Return an answer per topic, and those of them that are to be deleted by topic id."""
    results: dict[tuple[str | None, bytes], _Result] = {}
    doomed: dict[bytes, _Result] = {}
    for state in states:
        key = (state.name, state.topic_id)
        if key in results:
            _refuse(results[key], ErrorCode.INVALID_REQUEST, "the topic is named twice")
            continue
        result = _Result(name=state.name, topic_id=state.topic_id)
        try:
            topic = _find(broker, context, state)
        except BrokerError as refusal:
            _refuse(result, refusal.code, refusal.message)
        else:
            result.name = topic.name
            if topic.topic_id in doomed:
                other = doomed[topic.topic_id]
                other.topic_id = topic.topic_id
                _refuse(other, ErrorCode.INVALID_REQUEST, "the topic is given by name and by id")
                continue
            doomed[topic.topic_id] = result
        results[key] = result
    return list(results.values()), {id_: result for id_, result in doomed.items() if not result.error_code}


def _find(broker: Broker, context: RequestContext, state: _State) -> Topic:
    """Return the topic that the client means and may delete. Raises: BrokerError."""
    if not broker.config.delete_topic_enable:
        early = context.version < _FIRST_VERSION_WITH_DELETION_DISABLED
        raise BrokerError(ErrorCode.INVALID_REQUEST if early else ErrorCode.TOPIC_DELETION_DISABLED)
    image = broker.metadata.image
    if state.name is None:
        if state.topic_id == ZERO_UUID:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "neither name nor id of the topic is given")
        topic = image.topics_by_id.get(state.topic_id)
        unknown = ErrorCode.UNKNOWN_TOPIC_ID
    else:
        if state.topic_id != ZERO_UUID:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "both name and id of the topic are given")
        topic = image.topics.get(state.name)
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic is None:
        raise BrokerError(unknown)
    if not broker.authorise(context, Operation.DELETE, ResourceType.TOPIC, topic.name):
        raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    return topic


async def _delete(broker: Broker, topic_ids: Sequence[bytes], timeout_ms: int) -> Sequence[ErrorCode]:
    """Submit the command; what concerns all topics alike is put on each."""
    try:
        return await within(timeout_ms, broker.metadata.submit(DeleteTopics(topic_ids)))
    except TimeoutError:
        code = ErrorCode.REQUEST_TIMED_OUT
    except BrokerError as refusal:
        code = refusal.code
    return [code] * len(topic_ids)


def _refuse(result: _Result, code: ErrorCode, message: str | None = None) -> None:
    result.error_code = code
    result.error_message = (message or code.text) if code else None
