"""Metadata in all its versions: what is asked for, what is created by asking, what stands on which topic.

Answers were compared with those of Apache Kafka 4.3.1 to the same questions; where ours differ, the test says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from logd.authorisation import Operation
from logd.handlers import metadata
from logd.handlers.authorized_operations import CLUSTER_NAME, NOT_ASKED
from protocol.errors import ErrorCode
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.records_metadata import BrokerRegistrationChangeRecord, PartitionChangeRecord
from protocol.types import ZERO_UUID
from replication.metadata_commands import CreateTopics, DeleteTopics, NewTopic, RegisterBroker
from replication.metadata_image import MetadataDelta
from tests.support.handler_broker import CLUSTER_ID, HandlerBroker, answer, with_broker
from tests.support.metadata_store import NODE_ID, run_inline
from tests.support.metadata_world import registration

VERSIONS = range(14)
LATEST = 13
Question = MetadataRequest.MetadataRequestTopic


async def ask(
    broker: HandlerBroker, version: int, *names: str | bytes | None, **request: Any
) -> MetadataResponse:
    """Ask for topics by name or id."""
    listener = request.pop("listener", "PLAINTEXT")
    topics = [
        Question(topic_id=name, name=None) if isinstance(name, bytes) else Question(name=name)
        for name in names
    ]
    response = await answer(
        metadata.handle, broker, MetadataRequest(topics=topics, **request), version, listener=listener
    )
    assert isinstance(response, MetadataResponse)
    return response


async def create(broker: HandlerBroker, name: str, partitions: int = 1) -> bytes:
    (creation,) = await broker.metadata.submit(CreateTopics([NewTopic(name, partitions, 1)]))
    assert isinstance(creation.topic_id, bytes)
    return creation.topic_id


def codes(response: MetadataResponse) -> dict[str | None, int]:
    return {topic.name: topic.error_code for topic in response.topics}


@pytest.mark.parametrize("version", VERSIONS)
def test_cluster_brokers_and_topics_in_every_version(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        topic_id = await create(broker, "t", 2)
        response = await ask(broker, version, "t")
        (node,) = response.brokers
        assert (node.node_id, node.host, node.port) == (NODE_ID, "host", 9001)
        assert response.cluster_id == (CLUSTER_ID if version >= 2 else None)
        assert response.controller_id == (NODE_ID if version >= 1 else -1)
        (topic,) = response.topics
        assert (topic.error_code, topic.name, topic.is_internal) == (0, "t", False)
        assert topic.topic_id == (topic_id if version >= 10 else ZERO_UUID)
        assert [partition.partition_index for partition in topic.partitions] == [0, 1]
        for partition in topic.partitions:
            assert (partition.error_code, partition.leader_id) == (0, NODE_ID)
            assert partition.leader_epoch == (0 if version >= 7 else -1)
            assert partition.replica_nodes == partition.isr_nodes == [NODE_ID]
            assert partition.offline_replicas == []

    with_broker(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_null_asks_for_all_and_an_empty_list_for_none_but_in_version_0(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, "a")
        await create(broker, "__consumer_offsets")
        if version >= 1:
            everything = await answer(metadata.handle, broker, MetadataRequest(topics=None), version)
            nothing = await ask(broker, version)
            assert nothing.topics == []
            assert len(nothing.brokers) == 1
        else:
            everything = await ask(broker, version)
        assert sorted(topic.name for topic in everything.topics) == ["__consumer_offsets", "a"]
        if version >= 1:
            assert {topic.name: topic.is_internal for topic in everything.topics} == {
                "a": False,
                "__consumer_offsets": True,
            }

    with_broker(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_topic_asked_for_is_created_and_ready_in_the_same_answer(version: int) -> None:
    # Kafka answers UNKNOWN_TOPIC_OR_PARTITION, and the client asks again.
    async def scenario(broker: HandlerBroker) -> None:
        response = await ask(broker, version, "new.topic")
        (topic,) = response.topics
        assert (topic.error_code, topic.name, len(topic.partitions)) == (0, "new.topic", 1)
        assert "new.topic" in broker.metadata.image.topics

    with_broker(scenario)


@pytest.mark.parametrize("by", ["request", "broker"])
def test_creation_can_be_forbidden(by: str) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await ask(broker, 4, "new", allow_auto_topic_creation=by == "broker")
        assert codes(response) == {"new": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert not broker.metadata.image.topics

    with_broker(scenario, f"auto.create.topics.enable={'false' if by == 'broker' else 'true'}")


def test_what_cannot_be_created_says_why() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, "old.topic")
        names = [
            "a/b",
            "",
            "..",
            "x" * 250,
            "old_topic",
            "__consumer_offsets",
            "__transaction_state",
            "__cluster_metadata",
            "fine",
        ]
        response = await ask(broker, LATEST, *names)
        invalid, unknown = ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        # Kafka answers a collision with "unknown" for ever, and creates internal topics on request.
        assert codes(response) == dict(
            zip(names, [invalid] * 5 + [unknown] * 3 + [ErrorCode.NONE], strict=True)
        )
        assert {topic.name for topic in response.topics if topic.is_internal} == {
            "__consumer_offsets",
            "__transaction_state",
        }
        assert set(broker.metadata.image.topics) == {"old.topic", "fine"}

    with_broker(scenario)


def test_defaults_that_no_broker_can_meet_are_named() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        broker.metadata._controller._creator._replication_factor = 3
        assert codes(await ask(broker, LATEST, "t")) == {"t": ErrorCode.INVALID_REPLICATION_FACTOR}

    with_broker(scenario)


def test_clients_that_ask_at_the_same_time_all_get_the_topic() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        responses = await asyncio.gather(*(ask(broker, LATEST, "t", f"own{number}") for number in range(10)))
        assert all(set(codes(response).values()) == {0} for response in responses)
        assert len(broker.metadata.image.topics) == 11

    with_broker(scenario)


def test_a_slow_creation_is_answered_as_not_available_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "_CREATION_WAIT_MS", 5)
    gate = asyncio.Event()
    gate.set()

    async def slow(work: Callable[[], Any]) -> Any:
        await gate.wait()
        return await run_inline(work)

    async def scenario(broker: HandlerBroker) -> None:
        gate.clear()
        assert codes(await ask(broker, LATEST, "t")) == {"t": ErrorCode.LEADER_NOT_AVAILABLE}
        gate.set()
        monkeypatch.setattr(metadata, "_CREATION_WAIT_MS", 10_000)  # a busy machine takes longer than 5 ms
        assert codes(await ask(broker, LATEST, "t")) == {"t": ErrorCode.NONE}

    with_broker(scenario, run_blocking=slow)


@pytest.mark.parametrize("version", [10, 11, 12, 13])
def test_questions_by_id(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        topic_id = await create(broker, "t")
        unknown = b"\7" * 16
        response = await ask(broker, version, topic_id, unknown)
        if version < 12:
            assert [topic.error_code for topic in response.topics] == [ErrorCode.INVALID_REQUEST] * 2
            assert [topic.name for topic in response.topics] == ["", ""]
            assert response.brokers == []
            return
        known, missing = response.topics
        assert (known.error_code, known.name, known.topic_id) == (0, "t", topic_id)
        assert (missing.error_code, missing.name, missing.topic_id) == (
            ErrorCode.UNKNOWN_TOPIC_ID,
            None,
            unknown,
        )
        assert (await ask(broker, version, topic_id, "t")).topics[0].name == "t"

    with_broker(scenario)


@pytest.mark.parametrize("version", [10, 11, 12, 13])
def test_a_topic_without_name_and_id_is_an_invalid_request(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        response = await ask(broker, version, None)
        assert [topic.error_code for topic in response.topics] == [ErrorCode.INVALID_REQUEST]
        assert response.error_code == (ErrorCode.INVALID_REQUEST if version >= 13 else 0)

    with_broker(scenario)


def test_a_deleted_topic_is_unknown_by_id() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        topic_id = await create(broker, "t")
        await broker.metadata.submit(DeleteTopics([topic_id]))
        assert codes(await ask(broker, LATEST, topic_id)) == {None: ErrorCode.UNKNOWN_TOPIC_ID}

    with_broker(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_operations_allowed_are_told_when_asked(version: int) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, "t")
        asked: dict[str, bool] = {}
        if version >= 8:
            asked["include_topic_authorized_operations"] = True
        if 8 <= version <= 10:
            asked["include_cluster_authorized_operations"] = True
        response = await ask(broker, version, "t", **asked)
        # 3576 and 8096 are Kafka's answers without an authoriser.
        assert response.topics[0].topic_authorized_operations == (3576 if version >= 8 else NOT_ASKED)
        assert response.cluster_authorized_operations == (8096 if 8 <= version <= 10 else NOT_ASKED)
        response = await ask(broker, version, "t")
        assert response.topics[0].topic_authorized_operations == NOT_ASKED

    with_broker(scenario)


def test_what_may_not_be_described_is_not_told() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        topic_id = await create(broker, "secret")
        await create(broker, "open")
        broker.denied = {(Operation.DESCRIBE, "secret")}
        everything = await answer(metadata.handle, broker, MetadataRequest(topics=None), LATEST)
        assert [topic.name for topic in everything.topics] == ["open"]
        (named,) = (await ask(broker, LATEST, "secret")).topics
        assert (named.error_code, named.topic_id) == (ErrorCode.TOPIC_AUTHORIZATION_FAILED, ZERO_UUID)
        (identified,) = (await ask(broker, LATEST, topic_id)).topics
        assert (identified.error_code, identified.name) == (ErrorCode.TOPIC_AUTHORIZATION_FAILED, None)

    with_broker(scenario)


def test_creation_needs_the_right_to_create() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        broker.denied = {(Operation.CREATE, CLUSTER_NAME), (Operation.CREATE, "a")}
        assert codes(await ask(broker, LATEST, "a", "b")) == {
            "a": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            "b": ErrorCode.NONE,
        }

    with_broker(scenario)


@pytest.mark.parametrize(
    ("version", "code"), [(5, ErrorCode.LEADER_NOT_AVAILABLE), (6, ErrorCode.LISTENER_NOT_FOUND)]
)
def test_a_leader_without_the_clients_listener(version: int, code: ErrorCode) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await create(broker, "t")
        response = await ask(broker, version, "t", listener="INTERNAL")
        (partition,) = response.topics[0].partitions
        assert (partition.error_code, partition.leader_id) == (code, -1)
        assert response.brokers == []

    with_broker(scenario)


def test_offline_replicas_and_partitions_without_leader() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await broker.metadata.submit(RegisterBroker(registration(2)))
        (creation,) = await broker.metadata.submit(CreateTopics([NewTopic("t", assignments=((0, (2, 1)),))]))
        image = broker.metadata.image
        delta = MetadataDelta()
        image.replay(
            99,
            BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=image.brokers[2].broker_epoch, fenced=1),
            delta,
        )
        (partition,) = (await ask(broker, 5, "t")).topics[0].partitions
        assert (partition.error_code, partition.leader_id) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
        assert (partition.replica_nodes, partition.offline_replicas) == ([2, 1], [2])
        image.replay(
            100, PartitionChangeRecord(partition_id=0, topic_id=creation.topic_id, leader=1, isr=[1]), delta
        )
        (partition,) = (await ask(broker, 7, "t")).topics[0].partitions
        assert (partition.error_code, partition.leader_id, partition.leader_epoch) == (0, 1, 1)
        assert (partition.isr_nodes, partition.offline_replicas) == ([1], [2])
        assert len((await ask(broker, 7, "t")).brokers) == 1

    with_broker(scenario)
