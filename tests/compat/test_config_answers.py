"""What the broker answers to requests about settings: codes, values, where they come from.

Every expectation here holds for Apache Kafka, too: `LOGD_TEST_TARGET=kafka pytest tests/compat/test_config_answers.py`
runs the same questions against it. Where logd deviates on purpose there is no question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.list_config_resources import ListConfigResourcesRequest
from tests.support.config_talk import (
    APPEND,
    BROKER,
    DEFAULT,
    DELETE,
    FROM_CLUSTER,
    FROM_NODE,
    FROM_TOPIC,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    SUBTRACT,
    TOPIC,
    Change,
    Talk,
    synonyms_of,
)

OK = ErrorCode.NONE
INVALID_CONFIG, INVALID_REQUEST = ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST

# min.insync.replicas is not here: a Kafka with eligible leader replicas sets it for the cluster when it is formatted.
TOPIC_DEFAULTS = {
    "cleanup.policy": ("delete", 7, [("log.cleanup.policy", "delete", 5)]),
    "compression.gzip.level": ("-1", 3, [("compression.gzip.level", "-1", 5)]),
    "compression.lz4.level": ("9", 3, [("compression.lz4.level", "9", 5)]),
    "compression.type": ("producer", 2, [("compression.type", "producer", 5)]),
    "compression.zstd.level": ("3", 3, [("compression.zstd.level", "3", 5)]),
    "delete.retention.ms": ("86400000", 5, [("log.cleaner.delete.retention.ms", "86400000", 5)]),
    "file.delete.delay.ms": ("60000", 5, [("log.segment.delete.delay.ms", "60000", 5)]),
    "flush.messages": ("9223372036854775807", 5, [("log.flush.interval.messages", "9223372036854775807", 5)]),
    "flush.ms": ("9223372036854775807", 5, []),
    "follower.replication.throttled.replicas": ("", 7, []),
    "index.interval.bytes": ("4096", 3, [("log.index.interval.bytes", "4096", 5)]),
    "leader.replication.throttled.replicas": ("", 7, []),
    "local.retention.bytes": ("-2", 5, [("log.local.retention.bytes", "-2", 5)]),
    "local.retention.ms": ("-2", 5, [("log.local.retention.ms", "-2", 5)]),
    "max.compaction.lag.ms": (
        "9223372036854775807",
        5,
        [("log.cleaner.max.compaction.lag.ms", "9223372036854775807", 5)],
    ),
    "max.message.bytes": ("1048588", 3, [("message.max.bytes", "1048588", 5)]),
    "message.timestamp.after.max.ms": ("3600000", 5, [("log.message.timestamp.after.max.ms", "3600000", 5)]),
    "message.timestamp.before.max.ms": (
        "9223372036854775807",
        5,
        [("log.message.timestamp.before.max.ms", "9223372036854775807", 5)],
    ),
    "message.timestamp.type": ("CreateTime", 2, [("log.message.timestamp.type", "CreateTime", 5)]),
    "min.cleanable.dirty.ratio": ("0.5", 6, [("log.cleaner.min.cleanable.ratio", "0.5", 5)]),
    "min.compaction.lag.ms": ("0", 5, [("log.cleaner.min.compaction.lag.ms", "0", 5)]),
    "preallocate": ("false", 1, [("log.preallocate", "false", 5)]),
    "remote.log.copy.disable": ("false", 1, []),
    "remote.log.delete.on.disable": ("false", 1, []),
    "remote.storage.enable": ("false", 1, []),
    "retention.bytes": ("-1", 5, [("log.retention.bytes", "-1", 5)]),
    "retention.ms": ("604800000", 5, []),
    "segment.bytes": ("1073741824", 3, [("log.segment.bytes", "1073741824", 5)]),
    "segment.index.bytes": ("10485760", 3, [("log.index.size.max.bytes", "10485760", 5)]),
    "segment.jitter.ms": ("0", 5, []),
    "segment.ms": ("604800000", 5, []),
    "unclean.leader.election.enable": ("false", 1, [("unclean.leader.election.enable", "false", 5)]),
}

Run = Callable[[Callable[[Talk], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(bootstrap: str) -> Run:
    host, _, port = bootstrap.rpartition(":")

    def run(scenario: Callable[[Talk], Coroutine[Any, Any, None]]) -> None:
        async def connected() -> None:
            async with asyncio.timeout(60), await Client.connect(host, int(port)) as client:
                await scenario(Talk(client))

        asyncio.run(connected())

    return run


async def create(talk: Talk, topic: str, **configs: str) -> None:
    await talk.client.create_topic(topic, configs={key.replace("_", "."): configs[key] for key in configs})
    for _ in range(100):
        if (await talk.describe(TOPIC, topic))[0] is OK:
            return
        await asyncio.sleep(0.05)


# -- topics ----------------------------------------------------------------------------------------------------------


def test_a_topic_is_changed_and_goes_back(run: Run, topic: str) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic, retention_ms="5000")
        assert (
            await talk.alter(TOPIC, topic, ("segment.bytes", SET, "2000000"), ("retention.ms", DELETE, None))
            is OK
        )
        row = await talk.settled(TOPIC, topic, "segment.bytes", "2000000")
        assert synonyms_of(row) == [
            ("segment.bytes", "2000000", FROM_TOPIC),
            ("log.segment.bytes", "1073741824", DEFAULT),
        ]
        row = await talk.settled(TOPIC, topic, "retention.ms", "604800000")
        assert row is not None
        assert (row.config_source, row.read_only, row.is_sensitive, row.config_type) == (
            DEFAULT,
            False,
            False,
            5,
        )
        assert synonyms_of(row) == []

    run(scenario)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_replacing_takes_away_what_is_not_named(run: Run, topic: str, version: int) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic, retention_ms="5000", segment_bytes="2000000")
        assert await talk.replace(TOPIC, topic, {"retention.ms": "6000"}, version=version) is OK
        await talk.settled(TOPIC, topic, "retention.ms", "6000")
        await talk.settled(TOPIC, topic, "segment.bytes", "1073741824")

    run(scenario)


def test_lists_grow_and_shrink(run: Run, topic: str) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic)
        for changes, expected in (
            ((("cleanup.policy", APPEND, "compact"),), "delete,compact"),
            ((("cleanup.policy", APPEND, "compact,delete"),), "delete,compact"),
            ((("cleanup.policy", SUBTRACT, "delete"),), "compact"),
            ((("cleanup.policy", SUBTRACT, "delete"),), "compact"),
            ((("cleanup.policy", DELETE, None),), "delete"),
        ):
            assert await talk.alter(TOPIC, topic, *changes) is OK
            await talk.settled(TOPIC, topic, "cleanup.policy", expected)
        assert await talk.alter(TOPIC, topic, ("retention.ms", APPEND, "5")) is INVALID_CONFIG
        assert await talk.alter(TOPIC, topic, ("retention.ms", SUBTRACT, "5")) is INVALID_CONFIG
        assert await talk.alter(TOPIC, topic, ("no.such", APPEND, "5")) is INVALID_CONFIG

    run(scenario)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([("retention.ms", SET, "soon")], INVALID_CONFIG),
        ([("retention.ms", SET, "-2")], INVALID_CONFIG),
        ([("retention.ms", SET, "")], INVALID_CONFIG),
        ([("retention.ms", SET, None)], INVALID_REQUEST),
        ([("cleanup.policy", APPEND, None)], INVALID_REQUEST),
        ([("cleanup.policy", SET, "delete,shred")], INVALID_CONFIG),
        ([("cleanup.policy", APPEND, "shred")], INVALID_CONFIG),
        ([("log.retention.ms", SET, "5")], INVALID_CONFIG),
        ([("no.such", SET, "5")], INVALID_CONFIG),
        ([("no.such", DELETE, None)], OK),
        ([("retention.ms", SET, "5"), ("retention.ms", SET, "6")], INVALID_REQUEST),
        ([("retention.ms", SET, "5"), ("segment.bytes", SET, "1")], INVALID_CONFIG),
        ([("min.compaction.lag.ms", SET, "5"), ("max.compaction.lag.ms", SET, "4")], INVALID_CONFIG),
        ([("remote.storage.enable", SET, "true")], INVALID_CONFIG),
        ([("compression.gzip.level", SET, "0")], INVALID_CONFIG),
        ([("retention.ms", SET, " 7 ")], OK),
        ([], OK),
    ],
)
def test_what_may_be_set_on_a_topic(run: Run, topic: str, changes: list[Change], code: ErrorCode) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic)
        assert await talk.alter(TOPIC, topic, *changes, validate_only=True) is code
        assert await talk.alter(TOPIC, topic, *changes) is code
        row = (await talk.describe(TOPIC, topic, "retention.ms"))[1]["retention.ms"]
        if code is not OK:
            assert row.config_source == DEFAULT

    run(scenario)


def test_nothing_is_changed_by_asking_whether_it_could_be(run: Run, topic: str) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic)
        assert await talk.alter(TOPIC, topic, ("retention.ms", SET, "5"), validate_only=True) is OK
        await asyncio.sleep(0.2)
        await talk.settled(TOPIC, topic, "retention.ms", "604800000")

    run(scenario)


def test_one_resource_fails_alone(run: Run, topic: str) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic)
        set_retention: list[Change] = [("retention.ms", SET, "5")]
        assert await talk.alter_all(
            (TOPIC, "no-such-topic", set_retention),
            (TOPIC, topic, set_retention),
            (TOPIC, "", set_retention),
            (TOPIC, "a/b", set_retention),
            (BROKER, "7", [("message.max.bytes", SET, "5")]),
            (BROKER, "one", [("message.max.bytes", SET, "5")]),
            (99, topic, set_retention),
        ) == [
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            OK,
            INVALID_REQUEST,
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            INVALID_REQUEST,
            INVALID_REQUEST,
            INVALID_REQUEST,
        ]
        await talk.settled(TOPIC, topic, "retention.ms", "5")
        assert await talk.alter_all(
            (TOPIC, topic, set_retention), (TOPIC, topic, [("retention.ms", SET, "6")])
        ) == [INVALID_REQUEST, INVALID_REQUEST]

    run(scenario)


def test_a_replacement_that_is_refused(run: Run, topic: str) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic, retention_ms="5")
        assert await talk.replace(TOPIC, topic, {"retention.ms": None}) is INVALID_REQUEST
        assert await talk.replace(TOPIC, topic, {"no.such": "1"}) is INVALID_CONFIG
        assert await talk.replace(TOPIC, "no-such-topic", {}) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert await talk.replace(LOGGER, "1", {"root": "INFO"}) is INVALID_REQUEST
        await talk.settled(TOPIC, topic, "retention.ms", "5")

    run(scenario)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_description_in_every_version(run: Run, topic: str, version: int) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic, retention_ms="5000")
        code, rows = await talk.describe(TOPIC, topic, "retention.ms", "no.such", version=version)
        assert code is OK
        assert list(rows) == ["retention.ms"]
        row = rows["retention.ms"]
        assert (row.value, row.config_source) == ("5000", FROM_TOPIC)
        assert synonyms_of(row)[0] == ("retention.ms", "5000", FROM_TOPIC)
        assert row.config_type == (5 if version >= 3 else 0)
        assert bool(row.documentation) == (version >= 3)
        _, rows = await talk.describe(TOPIC, topic, synonyms=False, version=version)
        assert not any(row.synonyms for row in rows.values())

    run(scenario)


GROUP_DEFAULTS = {
    "consumer.assignment.interval.ms": ("1000", 3),
    "consumer.heartbeat.interval.ms": ("5000", 3),
    "consumer.session.timeout.ms": ("45000", 3),
    "share.assignment.interval.ms": ("1000", 3),
    "share.auto.offset.reset": ("latest", 2),
    "share.delivery.count.limit": ("5", 3),
    "share.heartbeat.interval.ms": ("5000", 3),
    "share.isolation.level": ("read_uncommitted", 2),
    "share.partition.max.record.locks": ("2000", 3),
    "share.record.lock.duration.ms": ("30000", 3),
    "share.renew.acknowledge.enable": ("true", 1),
    "share.session.timeout.ms": ("45000", 3),
    "streams.assignment.interval.ms": ("1000", 3),
    "streams.heartbeat.interval.ms": ("5000", 3),
    "streams.initial.rebalance.delay.ms": ("3000", 3),
    "streams.num.standby.replicas": ("0", 3),
    "streams.session.timeout.ms": ("45000", 3),
}


def test_a_groups_description_is_kafkas(run: Run) -> None:
    async def scenario(talk: Talk) -> None:
        code, rows = await talk.describe(GROUP, "no-such-group")
        assert code is OK
        assert {name: (row.value, row.config_type) for name, row in rows.items()} == GROUP_DEFAULTS
        assert {(row.config_source, row.read_only) for row in rows.values()} == {(DEFAULT, False)}
        alone = ("share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable")
        for name, row in rows.items():
            named = name if name in alone else f"group.{name}"
            assert synonyms_of(row) == [(named, row.value, DEFAULT)], name

    run(scenario)


def test_settings_of_a_group(run: Run) -> None:
    session, interval = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
    from_group = 8

    async def scenario(talk: Talk) -> None:
        for changes, code in (
            ([(session, SET, "44999")], INVALID_CONFIG),
            ([(session, SET, "60001")], INVALID_CONFIG),
            ([(session, SET, "long")], INVALID_CONFIG),
            ([(interval, SET, "6000"), ("no.such", SET, "1")], INVALID_CONFIG),
            ([(session, APPEND, "1")], INVALID_CONFIG),
            ([("share.auto.offset.reset", SET, "by_duration:-PT1H")], INVALID_CONFIG),
            ([("share.record.lock.duration.ms", SET, "14999")], INVALID_CONFIG),
            ([("streams.num.standby.replicas", SET, "3")], INVALID_CONFIG),
            ([(session, SET, "50000"), ("share.auto.offset.reset", SET, "by_duration:PT1H")], OK),
            ([(interval, SET, "6000")], OK),
        ):
            assert await talk.alter(GROUP, "a-group", *changes) is code, changes
        assert await talk.alter(GROUP, "", (session, SET, "50000")) is INVALID_REQUEST
        row = await talk.settled(GROUP, "a-group", interval, "6000")
        assert row is not None and row.config_source == from_group
        row = await talk.settled(GROUP, "a-group", session, "50000")
        assert synonyms_of(row) == [
            (session, "50000", from_group),
            ("group.consumer.session.timeout.ms", "45000", DEFAULT),
        ]
        request = ListConfigResourcesRequest(resource_types=[GROUP])
        listed = (await talk.client.call(request, version=1)).config_resources
        assert [(row.resource_type, row.resource_name) for row in listed] == [(GROUP, "a-group")]
        assert await talk.replace(GROUP, "a-group", {}) is OK
        await talk.settled(GROUP, "a-group", session, "45000")
        assert (await talk.client.call(request, version=1)).config_resources == []

    run(scenario)


def test_what_cannot_be_described(run: Run) -> None:
    async def scenario(talk: Talk) -> None:
        for kind, name, code in (
            (TOPIC, "no-such-topic", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            (TOPIC, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION),
            (TOPIC, "", ErrorCode.INVALID_TOPIC_EXCEPTION),
            (BROKER, "7", INVALID_REQUEST),
            (BROKER, "one", INVALID_REQUEST),
            (LOGGER, "", INVALID_REQUEST),
            (LOGGER, "7", INVALID_REQUEST),
            (GROUP, "", INVALID_REQUEST),
            (METRICS, "", INVALID_REQUEST),
            (99, "x", INVALID_REQUEST),
        ):
            assert await talk.describe(kind, name) == (code, {}), (kind, name)

    run(scenario)


def test_a_topics_description_is_kafkas(run: Run, topic: str) -> None:
    """Values of every property that no start sets, as 4.3.1 answers them; types are in the table's own test."""

    async def scenario(talk: Talk) -> None:
        await create(talk, topic)
        _, rows = await talk.describe(TOPIC, topic)
        del rows["min.insync.replicas"]
        assert {
            name: (row.value, row.config_type, synonyms_of(row)) for name, row in rows.items()
        } == TOPIC_DEFAULTS

    run(scenario)


# -- brokers ---------------------------------------------------------------------------------------------------------


def test_the_node_goes_before_the_cluster_and_both_before_the_start(run: Run, topic: str) -> None:
    key = "message.max.bytes"

    async def scenario(talk: Talk) -> None:
        await create(talk, topic)
        async with talk.cleared("", key), talk.cleared("1", key):
            assert await talk.alter(BROKER, "", (key, SET, "2000000")) is OK
            await talk.settled(BROKER, "", key, "2000000")
            assert await talk.alter(BROKER, "1", (key, SET, "3000000")) is OK
            row = await talk.settled(BROKER, "1", key, "3000000")
            assert synonyms_of(row) == [
                (key, "3000000", FROM_NODE),
                (key, "2000000", FROM_CLUSTER),
                (key, "1048588", DEFAULT),
            ]
            row = await talk.settled(BROKER, "", key, "2000000")
            assert row is not None and row.config_source == FROM_CLUSTER
            assert synonyms_of(row) == [(key, "2000000", FROM_CLUSTER)]
            row = await talk.settled(TOPIC, topic, "max.message.bytes", "3000000")
            assert synonyms_of(row)[0] == (key, "3000000", FROM_NODE)
        await talk.settled(TOPIC, topic, "max.message.bytes", "1048588")
        await talk.settled(BROKER, "", key, None)

    run(scenario)


def test_another_unit_set_later_counts(run: Run) -> None:
    """Stock files set log.retention.hours."""

    async def scenario(talk: Talk) -> None:
        async with talk.cleared("", "log.retention.ms"):
            assert await talk.alter(BROKER, "", ("log.retention.ms", SET, "60000")) is OK
            row = await talk.settled(BROKER, "1", "log.retention.ms", "60000")
            assert row is not None
            assert (row.config_source, row.read_only, row.config_type) == (FROM_CLUSTER, False, 5)
            hours = (await talk.describe(BROKER, "1", "log.retention.hours"))[1]["log.retention.hours"]
            assert (hours.value, hours.config_source, hours.read_only) == ("168", DEFAULT, True)

    run(scenario)


@pytest.mark.parametrize("name", ["", "1"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([("message.max.bytes", SET, "many")], INVALID_REQUEST),
        ([("message.max.bytes", SET, "-1")], INVALID_REQUEST),
        ([("message.max.bytes", SET, None)], INVALID_REQUEST),
        ([("log.retention.ms", SET, "0")], INVALID_REQUEST),
        ([("log.retention.hours", SET, "5")], INVALID_REQUEST),
        ([("node.id", SET, "5")], INVALID_REQUEST),
        ([("num.partitions", SET, "5")], INVALID_REQUEST),
        ([("log.cleanup.policy", SET, "shred")], INVALID_REQUEST),
        ([("message.max.bytes", APPEND, "5")], INVALID_CONFIG),
        ([("no.such", APPEND, "5")], INVALID_CONFIG),
        ([("message.max.bytes", DELETE, None)], OK),
        ([("message.max.bytes", 9, "5")], INVALID_REQUEST),
        ([("max.connections.per.ip.overrides", SET, "nonsense")], INVALID_REQUEST),
        ([("num.io.threads", SET, "10")], OK),
    ],
)
def test_what_may_be_set_on_brokers(run: Run, name: str, changes: list[Change], code: ErrorCode) -> None:
    async def scenario(talk: Talk) -> None:
        assert await talk.alter(BROKER, name, *changes, validate_only=True) is code

    run(scenario)


def test_replacing_a_brokers_settings(run: Run) -> None:
    async def scenario(talk: Talk) -> None:
        async with talk.cleared("1", "message.max.bytes", "log.segment.bytes"):
            assert await talk.alter(BROKER, "1", ("log.segment.bytes", SET, "2000000")) is OK
            assert await talk.replace(BROKER, "1", {"message.max.bytes": "2000000"}) is OK
            await talk.settled(BROKER, "1", "message.max.bytes", "2000000")
            await talk.settled(BROKER, "1", "log.segment.bytes", "1073741824")

    run(scenario)


# -- loggers, and what there is --------------------------------------------------------------------------------------


def test_levels_of_loggers(run: Run) -> None:
    async def scenario(talk: Talk) -> None:
        code, rows = await talk.describe(LOGGER, "1")
        assert code is OK
        assert (rows["root"].value, rows["root"].config_source) == ("INFO", 6)
        name = next(name for name in sorted(rows) if name != "root")
        for level in ("TRACE", "DEBUG", "WARN", "ERROR", "FATAL", "INFO"):
            assert await talk.alter(LOGGER, "1", (name, SET, level)) is OK
            await talk.settled(LOGGER, "1", name, level)
        assert await talk.alter(LOGGER, "1", (name, SET, "DEBUG"), validate_only=True) is OK
        await talk.settled(LOGGER, "1", name, "INFO")
        assert await talk.alter(LOGGER, "1", (name, SET, "DEBUG")) is OK
        assert await talk.alter(LOGGER, "1", (name, DELETE, None)) is OK
        await talk.settled(LOGGER, "1", name, "INFO")
        for changes, expected in (
            ([(name, SET, "LOUD")], INVALID_CONFIG),
            ([(name, SET, None)], INVALID_REQUEST),
            ([(name, APPEND, "INFO")], INVALID_REQUEST),
            ([("no.such.logger", SET, "INFO")], INVALID_CONFIG),
            ([("no.such.logger", DELETE, None)], INVALID_CONFIG),
            ([("root", DELETE, None)], INVALID_REQUEST),
        ):
            assert await talk.alter(LOGGER, "1", *changes) is expected, changes
        assert await talk.alter(LOGGER, "", (name, SET, "INFO")) is INVALID_REQUEST
        assert await talk.alter(LOGGER, "7", (name, SET, "INFO")) is INVALID_REQUEST

    run(scenario)


def test_what_has_settings(run: Run, topic: str) -> None:
    async def scenario(talk: Talk) -> None:
        await create(talk, topic)

        async def listed(*kinds: int, version: int = 1) -> tuple[int, set[tuple[int, str]]]:
            request = ListConfigResourcesRequest(resource_types=list(kinds))
            response = await talk.client.call(request, version=version)
            return response.error_code, {
                (row.resource_type, row.resource_name) for row in response.config_resources
            }

        code, everything = await listed()
        assert code == 0
        assert {(BROKER, "1"), (LOGGER, "1"), (TOPIC, topic)} <= everything
        assert await listed(BROKER) == (0, {(BROKER, "1")})
        assert await listed(GROUP, METRICS) == (0, set())
        assert await listed(BROKER, 99) == (ErrorCode.UNSUPPORTED_VERSION, set())
        assert await listed(version=0) == (0, set())

    run(scenario)
