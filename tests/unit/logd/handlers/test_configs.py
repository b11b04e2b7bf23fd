"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources in this process.

What holds for Apache Kafka as well is asked in tests/compat/test_config_answers.py; here is what a client of a broker
without access rules cannot see, and what is this broker's own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from logd.authorisation import Operation
from logd.config.broker_keys import BROKER_KEYS
from logd.config.other_keys import KEYS_WITHOUT_EFFECT, SHOWN_WHEN_SET
from logd.handlers import create_topics, describe_configs, incremental_alter_configs, list_config_resources
from logd.handlers.authorized_operations import CLUSTER_NAME
from logd.handlers.config_changes import AskedChange, change_configs
from protocol.configs import ConfigOperation
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.create_topics import CreateTopicsRequest
from protocol.messages.describe_configs import DescribeConfigsRequest
from protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from protocol.messages.list_config_resources import ListConfigResourcesRequest
from replication.metadata_commands import AlterConfigs, ConfigChange
from tests.support.config_talk import (
    BROKER,
    DELETE,
    FROM_CLUSTER,
    FROM_NODE,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    TOPIC,
    Talk,
)
from tests.support.handler_broker import HandlerBroker, answer, with_broker
from tests.support.node import Node, play

INVALID_REQUEST = ErrorCode.INVALID_REQUEST


async def describe(broker: HandlerBroker, kind: int, name: str, *keys: str, version: int = 4) -> Any:
    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=list(keys) or None
    )
    request = DescribeConfigsRequest(
        resources=[resource], include_synonyms=True, include_documentation=version >= 3
    )
    return (await answer(describe_configs.handle, broker, request, version)).results[0]


async def alter(broker: HandlerBroker, kind: int, name: str, key: str, value: str | None) -> ErrorCode:
    asked = IncrementalAlterConfigsRequest
    config = asked.AlterableConfig(
        name=key, config_operation=SET if value is not None else DELETE, value=value
    )
    resource = asked.AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])
    response = await answer(incremental_alter_configs.handle, broker, asked(resources=[resource]), 1)
    return ErrorCode(response.responses[0].error_code)


async def make_topic(broker: HandlerBroker, **configs: str) -> Any:
    asked = CreateTopicsRequest
    topic = asked.CreatableTopic(
        name="t",
        num_partitions=1,
        replication_factor=1,
        configs=[
            asked.CreatableTopicConfig(name=key.replace("_", "."), value=configs[key]) for key in configs
        ],
    )
    response = await answer(create_topics.handle, broker, asked(topics=[topic], timeout_ms=5000), 7)
    return response.topics[0]


@pytest.mark.parametrize(
    ("kind", "name", "resource", "code"),
    [
        (TOPIC, "t", "t", ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        (GROUP, "g", "g", ErrorCode.GROUP_AUTHORIZATION_FAILED),
        (BROKER, "1", CLUSTER_NAME, ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
        (LOGGER, "1", CLUSTER_NAME, ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
        (METRICS, "m", CLUSTER_NAME, ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
    ],
)
def test_who_may_not(kind: int, name: str, resource: str, code: ErrorCode) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await make_topic(broker)
        assert (await describe(broker, kind, name)).error_code == 0
        broker.denied.add((Operation.DESCRIBE_CONFIGS, resource))
        result = await describe(broker, kind, name)
        assert (result.error_code, result.configs) == (code, [])
        broker.denied.add((Operation.ALTER_CONFIGS, resource))
        assert await alter(broker, kind, name, "retention.ms", "5") is code
        assert dict(broker.metadata.image.topic_configs("t")) == {}

    with_broker(scenario)


def test_who_may_not_list() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        broker.denied.add((Operation.DESCRIBE_CONFIGS, CLUSTER_NAME))
        response = await answer(list_config_resources.handle, broker, ListConfigResourcesRequest(), 1)
        assert response.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        assert response.config_resources == []

    with_broker(scenario)


def test_a_resource_is_described_once() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await make_topic(broker)
        asked = DescribeConfigsRequest.DescribeConfigsResource
        names = ["t", "1", "t", *["u"] * 200]
        kinds = [TOPIC, BROKER, *[TOPIC] * 201]
        request = DescribeConfigsRequest(
            resources=[
                asked(resource_type=kind, resource_name=name) for kind, name in zip(kinds, names, strict=True)
            ]
        )
        results = (await answer(describe_configs.handle, broker, request, 4)).results
        assert [result.resource_name for result in results] == names
        codes = [result.error_code for result in results]
        assert codes[:4] == [0, 0, INVALID_REQUEST, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
        assert set(codes[4:]) == {INVALID_REQUEST}
        assert results[0].configs and not results[2].configs

    with_broker(scenario)


@pytest.mark.parametrize("kind", [TOPIC, BROKER, LOGGER])
def test_what_is_much_too_long_is_refused_in_a_few_words(kind: int) -> None:
    long = "1" * 30_000

    async def scenario(broker: HandlerBroker) -> None:
        await make_topic(broker)
        asked = IncrementalAlterConfigsRequest
        for name, key, value in (
            ("t" if kind == TOPIC else "1", long, long),
            ("t" if kind == TOPIC else "1", "compression.type", long),
            ("t" if kind == TOPIC else "1", "compression.type", long * 2),
            (long, "compression.type", "gzip"),
        ):
            config = asked.AlterableConfig(name=key, config_operation=SET, value=value)
            resource = asked.AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])
            version = 0 if len(value) < 2**15 else 1
            response = await answer(
                incremental_alter_configs.handle, broker, asked(resources=[resource]), version
            )
            assert response.responses[0].error_code
            assert len(response.responses[0].error_message) < 2000
        assert (await describe(broker, kind, long)).error_code

    with_broker(scenario)


def test_client_metrics_have_no_settings() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        result = await describe(broker, METRICS, "x")
        assert (result.error_code, result.configs) == (0, [])
        assert await alter(broker, METRICS, "x", "interval.ms", "5") is INVALID_REQUEST

    with_broker(scenario)


def test_a_created_topic_is_answered_as_it_is_described() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        created = await make_topic(broker, retention_ms="5", cleanup_policy="compact, delete")
        described = await describe(broker, TOPIC, "t")
        assert [
            (config.name, config.value, config.config_source, config.read_only, config.is_sensitive)
            for config in created.configs
        ] == [
            (config.name, config.value, config.config_source, config.read_only, config.is_sensitive)
            for config in described.configs
        ]

    with_broker(scenario, "log.retention.hours=2", "log.segment.bytes=2000000", "log.roll.hours=3")


def test_every_property_of_a_broker_is_described() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        rows = {row.name: row for row in (await describe(broker, BROKER, "1")).configs}
        assert {key.name for key in BROKER_KEYS} - SHOWN_WHEN_SET <= set(rows)
        assert list(rows) == sorted(rows)
        for key in KEYS_WITHOUT_EFFECT:
            if key.name in rows:
                assert key.without_effect in rows[key.name].documentation
                assert rows[key.name].read_only == (not key.dynamic)
        assert "no effect" not in rows["message.max.bytes"].documentation
        assert (rows["num.io.threads"].value, rows["num.io.threads"].config_source) == ("3", 4)
        assert (rows["node.id"].value, rows["broker.id"].value) == ("1", "1")
        assert rows["broker.rack"].value is None
        assert "reserved.broker.max.id" not in rows
        assert rows["log.message.downconversion.enable"].value == "false"

    with_broker(scenario, "num.io.threads=3", "log.message.downconversion.enable=false")


def test_topic_properties_without_effect_say_so() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        await make_topic(broker)
        (row,) = (await describe(broker, TOPIC, "t", "preallocate")).configs
        assert "no effect" in row.documentation

    with_broker(scenario)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("mesage.max.bytes", "message.max.bytes"),
        ("ssl.keystore.location", "TLS"),
        ("listeners", "while the broker runs"),
        ("log.cleaner.enable", "while the broker runs"),
        ("retention.ms", "log.retention.ms"),
    ],
)
def test_what_a_broker_refuses_is_said_with_a_hint(key: str, hint: str) -> None:
    async def scenario(broker: HandlerBroker) -> None:
        asked = IncrementalAlterConfigsRequest
        config = asked.AlterableConfig(name=key, config_operation=SET, value="1")
        resource = asked.AlterConfigsResource(resource_type=BROKER, resource_name="", configs=[config])
        response = await answer(incremental_alter_configs.handle, broker, asked(resources=[resource]), 1)
        assert response.responses[0].error_code == INVALID_REQUEST
        assert hint in response.responses[0].error_message

    with_broker(scenario)


def test_a_throttle_set_by_a_reassignment_is_taken_and_kept() -> None:
    async def scenario(node: Node) -> None:
        talk = Talk(await node.client())
        key = "leader.replication.throttled.rate"
        assert await talk.alter(BROKER, "1", (key, SET, "1000")) is ErrorCode.NONE
        _, rows = await talk.describe(BROKER, "1", key)
        assert (rows[key].value, rows[key].config_source) == ("1000", FROM_NODE)
        assert await talk.alter(BROKER, "1", (key, DELETE, None)) is ErrorCode.NONE
        assert (await talk.describe(BROKER, "1", key))[1] == {}

    play(scenario)


def test_a_failed_disk_is_said_of_every_resource() -> None:
    class Failing:
        async def submit(self, command: AlterConfigs) -> Any:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, "it failed before")

    class Broker:
        metadata = Failing()

        def authorise(self, *_: Any) -> bool:
            return True

    asked = [AskedChange(TOPIC, name, [("retention.ms", SET, "5")], replace=False) for name in ("a", "b")]
    asked.append(AskedChange(99, "c", [], replace=False))
    answers = asyncio.run(change_configs(Broker(), None, asked, validate_only=False))  # type: ignore[arg-type]
    assert [one.code for one in answers] == [*[ErrorCode.KAFKA_STORAGE_ERROR] * 2, INVALID_REQUEST]


# -- what is stored and cannot be used -----------------------------------------------------------------------------


def test_a_setting_that_nobody_knows_does_not_stop_a_start(caplog: pytest.LogCaptureFixture) -> None:
    """Left by another version, say, or by Kafka, which takes any name."""

    class Anything:
        def broker_problem(self, *_: Any, **__: Any) -> None:
            return None

        def topic_problem(self, *_: Any) -> None:
            return None

    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        broker = node.broker
        broker._metadata_log._controller._changer._rules = Anything()  # type: ignore[assignment]
        operations = {
            "no.such": (ConfigOperation.SET, "1"),
            "message.max.bytes": (ConfigOperation.SET, "many"),
            "max.connections": (ConfigOperation.SET, "88"),
        }
        await broker.metadata.submit(AlterConfigs([ConfigChange(BROKER, "", operations)]))
        assert (broker.config.max_connections, broker.config.topic_defaults["max.message.bytes"]) == (
            88,
            1_048_588,
        )
        old = {
            "message.format.version": (ConfigOperation.SET, "2.8"),
            "flush.messages": (ConfigOperation.SET, "1"),
        }
        await broker.metadata.submit(AlterConfigs([ConfigChange(TOPIC, "t", old)]))
        await node.restart()
        assert node.broker.config.max_connections == 88
        assert node.partition("t").log.config.flush_messages == 1
        for told in ("no.such", "many", "message.format.version"):
            assert told in caplog.text
        talk = Talk(await node.client())
        _, rows = await talk.describe(BROKER, "")
        assert {name: row.config_source for name, row in rows.items()} == {"max.connections": FROM_CLUSTER}
        assert await talk.alter(BROKER, "", ("max.connections", SET, "99")) is ErrorCode.NONE
        assert node.broker.config.max_connections == 99

    play(scenario)


# -- loggers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def untouched_levels() -> Iterator[None]:
    loggers = [logging.getLogger(), logging.getLogger("logd"), logging.getLogger("logd.broker")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("untouched_levels")
def test_a_logger_without_a_level_has_that_of_the_next_above() -> None:
    async def scenario(broker: HandlerBroker) -> None:
        async def levels() -> dict[str, str]:
            rows = (await describe(broker, LOGGER, "1")).configs
            assert {row.config_source for row in rows} == {6}
            assert not any(row.read_only for row in rows)
            return {row.name: row.value for row in rows}

        logging.getLogger("logd").setLevel(logging.NOTSET)
        assert await alter(broker, LOGGER, "1", "root", "WARN") is ErrorCode.NONE
        assert await alter(broker, LOGGER, "1", "logd.broker", "DEBUG") is ErrorCode.NONE
        found = await levels()
        assert (found["root"], found["logd"], found["logd.broker"]) == ("WARN", "WARN", "DEBUG")
        assert logging.getLogger("logd.broker").isEnabledFor(logging.DEBUG)
        assert await alter(broker, LOGGER, "1", "logd.broker", None) is ErrorCode.NONE
        assert (await levels())["logd.broker"] == "WARN"

    with_broker(scenario)
