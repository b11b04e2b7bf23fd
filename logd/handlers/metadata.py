"""Metadata: brokers, topics, and who leads what; and topics made by being asked for.

Versions 0–13. 0: an empty list asks for every topic; 1: null does, empty asks for none. 4: the client may forbid
creation. 5: offline replicas. 7: leader epochs (KIP-320). 8–10: operations allowed on the cluster, 8: on topics
(KIP-430). 9: flexible. 10: topic ids in the answer, 12: in the question (KIP-516). 13: an error for all of it
(KIP-1102).

A topic that is created by asking is answered ready in the same response when its creation is quick. Kafka answers
that it is unknown and lets the client ask again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import (
    NOT_ASKED,
    cluster_operations,
    may_create_topic,
    topic_operations,
)
from logd.handlers.offline_replicas import offline_replicas
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.types import ZERO_UUID
from replication.metadata_commands import CreateTopics, NewTopic
from replication.partition_state import NO_LEADER, PartitionState
from replication.topic_names import METADATA_TOPIC, is_internal_topic, topic_name_problem

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.types import NodeId
    from replication.metadata_image import Topic

_FIRST_VERSION_WITH_NULL: Final = 1
_FIRST_VERSION_WITH_LISTENER_ERROR: Final = 6
_VERSIONS_WITH_CLUSTER_OPERATIONS: Final = (8, 9, 10)
_FIRST_VERSION_WITH_QUESTIONS_BY_ID: Final = 12
_CREATION_WAIT_MS: Final = 1000
"""Less than any client waits for an answer. A topic that takes longer answers LEADER_NOT_AVAILABLE."""

_Question = MetadataRequest.MetadataRequestTopic
_Topic = MetadataResponse.MetadataResponseTopic
_Partition = MetadataResponse.MetadataResponsePartition


def handle(
    broker: Broker, request: MetadataRequest, context: RequestContext
) -> MetadataResponse | Awaitable[MetadataResponse]:
    """Answer from memory, unless topics have to be created first."""
    questions = request.topics
    if questions is None or (not questions and context.version < _FIRST_VERSION_WITH_NULL):
        return _Answer(broker, request, context).all_topics()
    if not all(_is_answerable(question, context.version) for question in questions):
        return _invalid(questions)
    missing = _missing(broker, request, context, questions)
    if missing:
        return _create_and_answer(broker, request, context, questions, missing)
    return _Answer(broker, request, context).topics(questions, {})


def _is_answerable(question: _Question, version: int) -> bool:
    """Whether the topic is named in a way that the version allows."""
    if question.topic_id == ZERO_UUID:
        return question.name is not None
    return version >= _FIRST_VERSION_WITH_QUESTIONS_BY_ID


def _invalid(questions: Iterable[_Question]) -> MetadataResponse:
    topics = [
        _Topic(error_code=ErrorCode.INVALID_REQUEST, name=question.name or "", topic_id=question.topic_id)
        for question in questions
    ]
    return MetadataResponse(topics=topics, error_code=ErrorCode.INVALID_REQUEST)


def _missing(
    broker: Broker, request: MetadataRequest, context: RequestContext, questions: Iterable[_Question]
) -> list[str]:
    """Return the topics that this request is to create. Internal ones are their coordinators' business."""
    if not (request.allow_auto_topic_creation and broker.config.auto_create_topics_enable):
        return []
    existing = broker.metadata.image.topics
    names = {question.name: None for question in questions if question.topic_id == ZERO_UUID}
    return [
        name
        for name in names
        if name is not None
        and name not in existing
        and name != METADATA_TOPIC
        and not is_internal_topic(name)
        and topic_name_problem(name) is None
        and may_create_topic(broker, context, name)
    ]


async def _create_and_answer(
    broker: Broker,
    request: MetadataRequest,
    context: RequestContext,
    questions: Iterable[_Question],
    names: list[str],
) -> MetadataResponse:
    failures = await _create(broker, names)
    return _Answer(broker, request, context).topics(questions, failures)


async def _create(broker: Broker, names: list[str]) -> dict[str, ErrorCode]:
    """Create topics with the broker's defaults; return why some of them do not exist afterwards."""
    command = CreateTopics([NewTopic(name) for name in names])
    try:
        creations = await within(_CREATION_WAIT_MS, broker.metadata.submit(command))
    except TimeoutError:
        return dict.fromkeys(names, ErrorCode.LEADER_NOT_AVAILABLE)
    except BrokerError as refusal:
        return dict.fromkeys(names, refusal.code)
    # Somebody else may have created a topic in the meantime, which is as good.
    return {
        creation.name: creation.code
        for creation in creations
        if creation.code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
    }


class _Answer:
    """Builds one response."""

    __slots__ = ("_broker", "_context", "_reachable", "_request", "_unreachable_code", "_visible")

    def __init__(self, broker: Broker, request: MetadataRequest, context: RequestContext) -> None:
        self._broker = broker
        self._request = request
        self._context = context
        live = broker.metadata.image.live_brokers()
        self._visible: frozenset[NodeId] = frozenset(registration.node_id for registration in live)
        self._reachable: frozenset[NodeId] = frozenset(
            registration.node_id for registration in live if context.listener in registration.endpoints
        )
        """Brokers that listen where the client came in; it cannot be sent to others."""
        self._unreachable_code = (
            ErrorCode.LISTENER_NOT_FOUND
            if context.version >= _FIRST_VERSION_WITH_LISTENER_ERROR
            else ErrorCode.LEADER_NOT_AVAILABLE
        )

    def all_topics(self) -> MetadataResponse:
        return self._response(
            [
                self._topic(topic)
                for topic in self._broker.metadata.image.topics.values()
                if self._may_describe(topic.name)
            ]
        )

    def topics(self, questions: Iterable[_Question], failures: dict[str, ErrorCode]) -> MetadataResponse:
        """Answer each topic once; `failures` says why topics are missing, where that is known."""
        answers: dict[str | bytes, _Topic] = {}
        for question in questions:
            if question.topic_id != ZERO_UUID:
                answers[question.topic_id] = self._by_id(question.topic_id)
            elif question.name is not None:
                answers[question.name] = self._by_name(question.name, failures)
        return self._response(list(answers.values()))

    def _by_name(self, name: str, failures: dict[str, ErrorCode]) -> _Topic:
        if not self._may_describe(name):
            return _Topic(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED, name=name)
        topic = self._broker.metadata.image.topics.get(name)
        if topic is not None:
            return self._topic(topic)
        code = failures.get(name) or ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if topic_name_problem(name) is not None:
            code = ErrorCode.INVALID_TOPIC_EXCEPTION
        return _Topic(error_code=code, name=name, is_internal=is_internal_topic(name))

    def _by_id(self, topic_id: bytes) -> _Topic:
        topic = self._broker.metadata.image.topics_by_id.get(topic_id)
        if topic is None:
            return _Topic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id)
        if not self._may_describe(topic.name):
            return _Topic(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED, name=None, topic_id=topic_id)
        return self._topic(topic)

    def _topic(self, topic: Topic) -> _Topic:
        asked = self._request.include_topic_authorized_operations
        return _Topic(
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.internal,
            partitions=[
                self._partition(topic.name, index, state) for index, state in topic.partitions.items()
            ],
            topic_authorized_operations=(
                topic_operations(self._broker, self._context, topic.name) if asked else NOT_ASKED
            ),
        )

    def _partition(self, topic: str, index: int, state: PartitionState) -> _Partition:
        leader_id, code = state.leader_id, ErrorCode.NONE
        offline = offline_replicas(self._broker, topic, index, state, self._visible)
        if leader_id in offline:
            leader_id = NO_LEADER
        if leader_id not in self._reachable:
            code = self._unreachable_code if leader_id in self._visible else ErrorCode.LEADER_NOT_AVAILABLE
            leader_id = NO_LEADER
        return _Partition(
            error_code=code,
            partition_index=index,
            leader_id=leader_id,
            leader_epoch=state.leader_epoch,
            replica_nodes=list(state.assigned_replicas),
            isr_nodes=list(state.in_sync_replicas),
            offline_replicas=offline,
        )

    def _response(self, topics: list[_Topic]) -> MetadataResponse:
        broker, context = self._broker, self._context
        asked = (
            context.version in _VERSIONS_WITH_CLUSTER_OPERATIONS
            and self._request.include_cluster_authorized_operations
        )
        return MetadataResponse(
            brokers=[
                MetadataResponse.MetadataResponseBroker(
                    node_id=registration.node_id,
                    host=(endpoint := registration.endpoints[context.listener]).host,
                    port=endpoint.port,
                    rack=registration.rack,
                )
                for registration in broker.metadata.image.live_brokers()
                if registration.node_id in self._reachable
            ],
            cluster_id=broker.cluster_id,
            # Any broker takes administrative requests, so the one that is asked may as well.
            controller_id=broker.node_id,
            topics=topics,
            cluster_authorized_operations=cluster_operations(broker, context) if asked else NOT_ASKED,
        )

    def _may_describe(self, name: str) -> bool:
        return self._broker.authorise(self._context, Operation.DESCRIBE, ResourceType.TOPIC, name)
