"""CreateTopics and DeleteTopics over every version; answers compared with those of Apache Kafka 4.3.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from logd.authorisation import Operation
from logd.handlers import create_topics, delete_topics
from logd.handlers.authorized_operations import CLUSTER_NAME
from protocol.errors import ErrorCode
from protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from protocol.types import ZERO_UUID
from tests.support.handler_broker import HandlerBroker, answer, with_broker
from tests.support.metadata_store import run_inline

New = CreateTopicsRequest.CreatableTopic
Config = CreateTopicsRequest.CreatableTopicConfig
Assignment = CreateTopicsRequest.CreatableReplicaAssignment
State = DeleteTopicsRequest.DeleteTopicState


def new(name: str, partitions: int = 1, factor: int = 1, **fields: Any) -> New:
    return New(name=name, num_partitions=partitions, replication_factor=factor, **fields)


async def create(
    broker: HandlerBroker, version: int, *topics: New, validate_only: bool = False, timeout_ms: int = 5000
) -> CreateTopicsResponse:
    request = CreateTopicsRequest(topics=list(topics), validate_only=validate_only, timeout_ms=timeout_ms)
    response = await answer(create_topics.handle, broker, request, version)
    assert isinstance(response, CreateTopicsResponse)
    return response


async def delete(
    broker: HandlerBroker, version: int, *topics: str | State, timeout_ms: int = 5000
) -> DeleteTopicsResponse:
    if version >= 6:
        states = [State(name=topic) if isinstance(topic, str) else topic for topic in topics]
        request = DeleteTopicsRequest(topics=states, timeout_ms=timeout_ms)
    else:
        request = DeleteTopicsRequest(topic_names=[str(topic) for topic in topics], timeout_ms=timeout_ms)
    response = await answer(delete_topics.handle, broker, request, version)
    assert isinstance(response, DeleteTopicsResponse)
    return response


@pytest.mark.parametrize("version", range(2, 8))
def test_created_topics_in_every_version(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await create(
            broker, version, new("t", 3, 1, configs=[Config(name="retention.ms", value="5")])
        )
        (result,) = response.topics
        assert (result.name, result.error_code, result.error_message) == ("t", 0, None)
        topic = broker.metadata.image.topics["t"]
        assert len(topic.partitions) == 3
        assert dict(broker.metadata.image.topic_configs("t")) == {"retention.ms": "5"}
        assert result.topic_id == (topic.topic_id if version >= 7 else ZERO_UUID)
        if version >= 5:
            assert (result.num_partitions, result.replication_factor) == (3, 1)
            configs = {config.name: config for config in result.configs or []}
            assert list(configs) == sorted(configs)
            assert (configs["retention.ms"].value, configs["retention.ms"].config_source) == ("5", 1)
            assert (configs["segment.bytes"].value, configs["segment.bytes"].config_source) == ("2000000", 4)
            assert (configs["cleanup.policy"].value, configs["cleanup.policy"].config_source) == ("delete", 5)
            assert not any(config.read_only or config.is_sensitive for config in configs.values())

    with_broker(scenario, "log.segment.bytes=2000000")


@pytest.mark.parametrize("version", range(2, 8))
def test_refusals_stand_on_their_topic(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, version, new("old"))
        response = await create(
            broker,
            version,
            new("old"),
            new("a/b"),
            new("p", 0),
            new("r", 1, 2),
            new("m", -1, -1, assignments=[Assignment(partition_index=1, broker_ids=[1])]),
            new("c", configs=[Config(name="retention.ms", value="soon")]),
            new("u", configs=[Config(name="no.such.property", value="1")]),
            new("fine", -1, -1),
        )
        assert [result.error_code for result in response.topics] == [
            ErrorCode.TOPIC_ALREADY_EXISTS,
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            ErrorCode.INVALID_PARTITIONS,
            ErrorCode.INVALID_REPLICATION_FACTOR,
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            ErrorCode.INVALID_CONFIG,
            ErrorCode.INVALID_CONFIG,
            ErrorCode.NONE,
        ]
        assert all(result.error_message for result in response.topics[:-1])
        assert set(broker.metadata.image.topics) == {"old", "fine"}

    with_broker(scenario)


def test_a_topic_named_twice_is_refused_once_and_not_created() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await create(broker, 7, new("twice"), new("once"), new("twice", 2))
        assert [(result.name, result.error_code) for result in response.topics] == [
            ("twice", ErrorCode.INVALID_REQUEST),
            ("once", ErrorCode.NONE),
        ]
        assert set(broker.metadata.image.topics) == {"once"}

    with_broker(scenario)


def test_validate_only() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await create(broker, 7, new("t", 2), new("a/b"), validate_only=True)
        assert [result.error_code for result in response.topics] == [
            ErrorCode.NONE,
            ErrorCode.INVALID_TOPIC_EXCEPTION,
        ]
        assert response.topics[0].num_partitions == 2
        assert not broker.metadata.image.topics

    with_broker(scenario)


def test_creation_needs_the_right_to_create() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        broker.denied = {(Operation.CREATE, CLUSTER_NAME), (Operation.CREATE, "a")}
        response = await create(broker, 7, new("a"), new("b"))
        assert [result.error_code for result in response.topics] == [
            ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            ErrorCode.NONE,
        ]

    with_broker(scenario)


def slow_pool() -> tuple[asyncio.Event, Callable[[Callable[[], Any]], Any]]:
    gate = asyncio.Event()
    gate.set()

    async def run(work: Callable[[], Any]) -> Any:
        await gate.wait()
        return await run_inline(work)

    return gate, run


def test_what_takes_longer_than_the_client_waits_times_out_and_goes_on() -> None:
    gate, run = slow_pool()

    async def scenario(broker: HandlerBroker) -> None:
        gate.clear()
        response = await create(broker, 7, new("t"), new("u"), timeout_ms=5)
        assert [result.error_code for result in response.topics] == [ErrorCode.REQUEST_TIMED_OUT] * 2
        gate.set()
        assert (await create(broker, 7, new("t"))).topics[0].error_code == ErrorCode.TOPIC_ALREADY_EXISTS
        gate.clear()
        deleted = await delete(broker, 6, "t", timeout_ms=0)
        assert deleted.responses[0].error_code == ErrorCode.REQUEST_TIMED_OUT
        gate.set()
        deleted = await delete(broker, 6, "t")
        assert deleted.responses[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    with_broker(scenario, run_blocking=run)


@pytest.mark.parametrize("version", range(1, 7))
def test_delete_by_name_in_every_version(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, 7, new("a"), new("b"), new("c"))
        response = await delete(broker, version, "a", "nope", "b", "b")
        assert [(result.name, result.error_code) for result in response.responses] == [
            ("a", ErrorCode.NONE),
            ("nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            ("b", ErrorCode.INVALID_REQUEST),
        ]
        if version >= 5:
            assert [result.error_message is None for result in response.responses] == [True, False, False]
        assert set(broker.metadata.image.topics) == {"b", "c"}

    with_broker(scenario)


def test_delete_by_id() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        created = await create(broker, 7, new("a"), new("b"), new("c"), new("d"))
        a, b, c, d = (result.topic_id for result in created.topics)
        unknown = b"\7" * 16
        response = await delete(
            broker,
            6,
            State(topic_id=a),
            State(topic_id=unknown),
            State(),
            State(name="b", topic_id=b),
            State(name="c"),
            State(topic_id=c),
            State(topic_id=d),
            State(topic_id=d),
        )
        invalid = ErrorCode.INVALID_REQUEST
        assert [(result.name, result.topic_id, result.error_code) for result in response.responses] == [
            ("a", a, ErrorCode.NONE),
            (None, unknown, ErrorCode.UNKNOWN_TOPIC_ID),
            (None, ZERO_UUID, invalid),
            ("b", b, invalid),
            ("c", c, invalid),
            ("d", d, invalid),
        ]
        assert set(broker.metadata.image.topics) == {"b", "c", "d"}

    with_broker(scenario)


def test_a_topic_deleted_meanwhile_is_unknown_in_the_words_of_the_question() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, 7, new("a"))
        first, second = await asyncio.gather(delete(broker, 6, "a"), delete(broker, 6, "a"))
        assert first.responses[0].error_code == ErrorCode.NONE
        assert second.responses[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    with_broker(scenario)


@pytest.mark.parametrize(
    ("version", "code"), [(2, ErrorCode.INVALID_REQUEST), (3, ErrorCode.TOPIC_DELETION_DISABLED)]
)
def test_deletion_can_be_switched_off(version: int, code: ErrorCode) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, 7, new("a"))
        assert (await delete(broker, version, "a")).responses[0].error_code == code
        assert "a" in broker.metadata.image.topics

    with_broker(scenario, "delete.topic.enable=false")


def test_deletion_needs_the_right_to_delete_and_an_id_does_not_give_the_name_away() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        created = await create(broker, 7, new("a"))
        broker.denied = {(Operation.DELETE, "a")}
        for state in (State(name="a"), State(topic_id=created.topics[0].topic_id)):
            (result,) = (await delete(broker, 6, state)).responses
            assert result.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
            assert result.name == state.name

    with_broker(scenario)
