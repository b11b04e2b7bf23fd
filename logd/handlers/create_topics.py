"""CreateTopics: create topics, or only say whether they could be created.

Versions 2–7. 4: -1 stands for the broker's default of partitions and replicas (KIP-464; taken in every version, as
Kafka does). 5: flexible, the settings of the new topic come back (KIP-525). 7: topic ids (KIP-516).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.handlers.authorized_operations import may_create_topic
from logd.settings.topic_settings import topic_settings
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from replication.metadata_commands import CreateTopics, NewTopic, TopicCreation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext

_FIRST_VERSION_WITH_CONFIGS: Final = 5

_Result = CreateTopicsResponse.CreatableTopicResult


async def handle(
    broker: Broker, request: CreateTopicsRequest, context: RequestContext
) -> CreateTopicsResponse:
    """Answer every topic of the request once, in the order in which they are first named."""
    results: dict[str, _Result | None] = {}
    topics: dict[str, NewTopic] = {}
    for topic in request.topics:
        if topic.name in results:
            results[topic.name] = _refusal(topic.name, ErrorCode.INVALID_REQUEST, "the topic is named twice")
            topics.pop(topic.name, None)
        elif not may_create_topic(broker, context, topic.name):
            results[topic.name] = _refusal(topic.name, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        else:
            results[topic.name] = None
            topics[topic.name] = _new_topic(topic)
    if topics:
        command = CreateTopics(tuple(topics.values()), request.validate_only)
        for creation in await _create(broker, command, request.timeout_ms):
            results[creation.name] = _result(broker, creation, context.version)
    return CreateTopicsResponse(topics=[result for result in results.values() if result is not None])


async def _create(broker: Broker, command: CreateTopics, timeout_ms: int) -> Sequence[TopicCreation]:
    """Submit the command; what concerns all topics alike is put on each."""
    try:
        return await within(timeout_ms, broker.metadata.submit(command))
    except TimeoutError:
        code, message = ErrorCode.REQUEST_TIMED_OUT, "the topic is still being created"
    except BrokerError as refusal:
        code, message = refusal.code, refusal.text
    return [TopicCreation(topic.name, code, message) for topic in command.topics]


def _new_topic(topic: CreateTopicsRequest.CreatableTopic) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.num_partitions,
        topic.replication_factor,
        [(assignment.partition_index, assignment.broker_ids) for assignment in topic.assignments],
        [(config.name, config.value) for config in topic.configs],
    )


def _result(broker: Broker, creation: TopicCreation, version: int) -> _Result:
    if creation.code is not ErrorCode.NONE:
        return _refusal(creation.name, creation.code, creation.message)
    result = _Result(
        name=creation.name,
        topic_id=creation.topic_id,
        error_message=None,
        num_partitions=creation.partitions,
        replication_factor=creation.replication_factor,
    )
    if version >= _FIRST_VERSION_WITH_CONFIGS:
        result.configs = [
            CreateTopicsResponse.CreatableTopicConfigs(
                name=setting.name, value=setting.value, config_source=setting.source
            )
            for setting in topic_settings(creation.configs, broker.config)
        ]
    return result


def _refusal(name: str, code: ErrorCode, message: str | None = None) -> _Result:
    return _Result(name=name, error_code=code, error_message=message or code.text)
