"""Settings of single groups: the table, what is allowed, how they are described, and that they hold and last."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.group_config import GroupConfig
from logd.config import load_config
from logd.config.dynamic import find_key, with_dynamic
from logd.config.key import format_value
from logd.config.per_group_keys import PER_GROUP_KEYS, group_configs_problem
from logd.settings.group_settings import ImageGroupConfigs, group_settings
from logd.settings.setting import Setting
from protocol.configs import ConfigResourceType, ConfigSource
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.list_config_resources import ListConfigResourcesRequest
from protocol.messages.records_metadata import ConfigRecord
from replication.metadata_image import MetadataDelta, MetadataImage
from storage.fs.faulty import Loss
from tests.support.config_talk import APPEND, DELETE, GROUP, SET, Talk
from tests.support.node import Node, a_while, play

SESSION, INTERVAL = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
ASSIGNMENT = "consumer.assignment.interval.ms"
BROKER = load_config(["log.dirs=/d"])

# Kafka 4.3.1 GroupConfig.CONFIG_DEF: name, type, default, lower bound.
KAFKAS = """
consumer.assignment.interval.ms int 1000 0
consumer.heartbeat.interval.ms int 5000 1
consumer.session.timeout.ms int 45000 1
share.assignment.interval.ms int 1000 0
share.auto.offset.reset string latest None
share.delivery.count.limit int 5 2
share.heartbeat.interval.ms int 5000 1
share.isolation.level string read_uncommitted None
share.partition.max.record.locks int 2000 100
share.record.lock.duration.ms int 30000 1000
share.renew.acknowledge.enable boolean true None
share.session.timeout.ms int 45000 1
streams.assignment.interval.ms int 1000 0
streams.heartbeat.interval.ms int 5000 1
streams.initial.rebalance.delay.ms int 3000 0
streams.num.standby.replicas int 0 0
streams.session.timeout.ms int 45000 1
"""


def test_the_properties_are_kafkas() -> None:
    ours = [f"{key.name} {key.type} {format_value(key.default)} {key.low}" for key in sorted(PER_GROUP_KEYS)]
    assert ours == KAFKAS.split("\n")[1:-1]
    for key in PER_GROUP_KEYS:
        assert key.scope == "group" and key.doc.endswith(".")
        assert bool(key.without_effect) != key.name.startswith("consumer.")


@pytest.mark.parametrize("key", PER_GROUP_KEYS, ids=lambda key: key.name)
def test_a_default_is_the_brokers(key: Any) -> None:
    alone = ("share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable")
    assert key.synonym == ("" if key.name in alone else f"group.{key.name}")
    if key.synonym:
        broker_key = find_key(key.synonym)
        assert broker_key is not None and broker_key.default == key.default


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        (SESSION, "45000", True),
        (SESSION, "60000", True),
        (SESSION, "44999", False),
        (SESSION, "60001", False),
        (SESSION, "long", False),
        (INTERVAL, "5000", True),
        (INTERVAL, "4999", False),
        (INTERVAL, "15001", False),
        (ASSIGNMENT, "0", True),
        (ASSIGNMENT, "15000", True),
        (ASSIGNMENT, "-1", False),
        (ASSIGNMENT, "15001", False),
        ("share.record.lock.duration.ms", "15000", True),
        ("share.record.lock.duration.ms", "14999", False),
        ("share.delivery.count.limit", "11", False),
        ("share.partition.max.record.locks", "4001", False),
        ("share.isolation.level", "read_committed", True),
        ("share.isolation.level", "serializable", False),
        ("share.auto.offset.reset", "earliest", True),
        ("share.auto.offset.reset", "by_duration:P1DT2H3M4.5S", True),
        ("share.auto.offset.reset", "by_duration:PT1H", True),
        ("share.auto.offset.reset", "by_duration:P", False),
        ("share.auto.offset.reset", "by_duration:P1DT", False),
        ("share.auto.offset.reset", "by_duration:-PT1H", False),
        ("share.auto.offset.reset", "none", False),
        ("share.renew.acknowledge.enable", "false", True),
        ("streams.num.standby.replicas", "2", True),
        ("streams.num.standby.replicas", "3", False),
        ("streams.initial.rebalance.delay.ms", "100000", True),
        ("no.such.property", "1", False),
        ("group.consumer.session.timeout.ms", "45000", False),
    ],
)
def test_what_is_allowed(name: str, value: str, allowed: bool) -> None:
    problem = group_configs_problem({name: value}, BROKER, {})
    assert (problem is None) == allowed
    assert problem is None or name in problem


def test_the_bounds_are_the_brokers() -> None:
    broker = load_config(["log.dirs=/d", "group.consumer.max.session.timeout.ms=100000"])
    assert group_configs_problem({SESSION: "100000"}, broker, {}) is None
    told = group_configs_problem({SESSION: "100001"}, broker, {})
    assert told == f"{SESSION} (100001) must be at most group.consumer.max.session.timeout.ms (100000)"


def test_a_session_is_longer_than_the_interval_between_heartbeats() -> None:
    broker = load_config(["log.dirs=/d", "group.consumer.max.heartbeat.interval.ms=50000"])
    assert group_configs_problem({INTERVAL: "44999"}, broker, {}) is None
    assert group_configs_problem({INTERVAL: "45000"}, broker, {}) is not None
    assert group_configs_problem({INTERVAL: "45000"}, broker, {SESSION: "45001"}) is None
    assert group_configs_problem({SESSION: "45000"}, broker, {INTERVAL: "45000"}) is not None


# -- as described ----------------------------------------------------------------------------------------------------


def test_a_group_goes_before_the_broker_and_the_broker_before_the_default() -> None:
    broker, problems = with_dynamic(
        load_config(["log.dirs=/d", "group.consumer.assignment.interval.ms=3000"]),
        cluster={"group.consumer.assignment.interval.ms": "4000"},
        node={},
    )
    assert not problems

    def described(configs: dict[str, str]) -> dict[str, Setting]:
        return {setting.name: setting for setting in group_settings(configs, broker)}

    own = described({ASSIGNMENT: "2000"})[ASSIGNMENT]
    assert own.value == "2000"
    inherited = described({})[ASSIGNMENT]
    assert inherited.value == "4000"
    assert inherited.synonyms == (
        ("group.consumer.assignment.interval.ms", "4000", ConfigSource.CLUSTER),
        ("group.consumer.assignment.interval.ms", "3000", ConfigSource.START),
        ("group.consumer.assignment.interval.ms", "1000", ConfigSource.DEFAULT),
    )
    assert own.synonyms == ((ASSIGNMENT, "2000", ConfigSource.GROUP), *inherited.synonyms)
    assert described({})["share.isolation.level"].synonyms == (
        ("share.isolation.level", "read_uncommitted", ConfigSource.DEFAULT),
    )


# -- as the coordinator uses them ------------------------------------------------------------------------------------


def set_in(image: MetadataImage, name: str, value: str | None) -> None:
    record = ConfigRecord(resource_type=ConfigResourceType.GROUP, resource_name="g", name=name, value=value)
    image.replay(image.offset + 1, record, MetadataDelta())


def test_a_change_shows_with_the_next_look() -> None:
    image = MetadataImage()
    configs, base = ImageGroupConfigs(image), GroupConfig()
    assert configs.of("g", base) is base
    set_in(image, SESSION, "50000")
    assert configs.of("g", base).consumer_session_timeout_ms == 50_000
    assert configs.of("g", base) is configs.of("g", GroupConfig())  # every shard has its own copy of the base
    assert configs.of("other", base) is base
    set_in(image, SESSION, "51000")
    set_in(image, INTERVAL, "6000")
    used = configs.of("g", base)
    assert (used.consumer_session_timeout_ms, used.consumer_heartbeat_interval_ms) == (51_000, 6_000)
    tighter = GroupConfig(consumer_session_timeout_ms_max=46_000)
    assert configs.of("g", tighter).consumer_session_timeout_ms == 46_000
    set_in(image, SESSION, None)
    set_in(image, INTERVAL, None)
    assert configs.of("g", base) is base


def test_what_cannot_be_used_is_passed_over() -> None:
    """Left by another version, say."""
    image = MetadataImage()
    set_in(image, SESSION, "long")
    set_in(image, "consumer.colour", "blue")
    set_in(image, INTERVAL, "6000")
    used = ImageGroupConfigs(image).of("g", GroupConfig())
    assert (used.consumer_session_timeout_ms, used.consumer_heartbeat_interval_ms) == (45_000, 6_000)


# -- over the wire ---------------------------------------------------------------------------------------------------


async def configured_groups(talk: Talk) -> list[str]:
    response = await talk.client.call(ListConfigResourcesRequest(resource_types=[GROUP]), version=1)
    assert {row.resource_type for row in response.config_resources} <= {GROUP}
    return [row.resource_name for row in response.config_resources]


def test_settings_are_changed_described_and_listed() -> None:
    async def scenario(node: Node) -> None:
        talk = Talk(await node.client())
        assert await configured_groups(talk) == []
        code, rows = await talk.describe(GROUP, "g")
        assert code is ErrorCode.NONE
        assert sorted(rows) == sorted(key.name for key in PER_GROUP_KEYS)
        assert {row.config_source for row in rows.values()} == {ConfigSource.DEFAULT}
        assert not any(row.read_only for row in rows.values())

        assert await talk.alter(GROUP, "g", (SESSION, SET, "50000"), validate_only=True) is ErrorCode.NONE
        assert await configured_groups(talk) == []
        assert await talk.alter(GROUP, "g", (SESSION, SET, "50000"), (INTERVAL, SET, "6000")) == 0
        assert await talk.alter(GROUP, "h", ("share.isolation.level", SET, "read_committed")) == 0
        assert await configured_groups(talk) == ["g", "h"]
        _, rows = await talk.describe(GROUP, "g", SESSION, INTERVAL)
        assert {(row.name, row.value, row.config_source) for row in rows.values()} == {
            (SESSION, "50000", ConfigSource.GROUP),
            (INTERVAL, "6000", ConfigSource.GROUP),
        }
        assert await talk.replace(GROUP, "g", {INTERVAL: "7000"}) is ErrorCode.NONE
        _, rows = await talk.describe(GROUP, "g", SESSION, INTERVAL)
        assert {(row.name, row.value, row.config_source) for row in rows.values()} == {
            (SESSION, "45000", ConfigSource.DEFAULT),
            (INTERVAL, "7000", ConfigSource.GROUP),
        }
        assert await talk.alter(GROUP, "g", (INTERVAL, DELETE, None)) is ErrorCode.NONE
        assert await configured_groups(talk) == ["h"]

    play(scenario)


def test_what_is_refused_changes_nothing() -> None:
    async def scenario(node: Node) -> None:
        talk = Talk(await node.client())
        for changes, code in (
            ([(SESSION, SET, "1000")], ErrorCode.INVALID_CONFIG),
            ([(INTERVAL, SET, "6000"), ("no.such", SET, "1")], ErrorCode.INVALID_CONFIG),
            ([(SESSION, APPEND, "1")], ErrorCode.INVALID_CONFIG),
            ([(SESSION, SET, None)], ErrorCode.INVALID_REQUEST),
        ):
            assert await talk.alter(GROUP, "g", *changes) is code, changes
        assert await talk.alter(GROUP, "", (SESSION, SET, "50000")) is ErrorCode.INVALID_REQUEST
        assert await talk.replace(GROUP, "", {SESSION: "50000"}) is ErrorCode.INVALID_REQUEST
        assert await configured_groups(talk) == []

    play(scenario)


async def join(node: Node) -> Any:
    """Join as a new member, once the coordinator is there."""
    client = await node.client()
    find = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
    while (await client.call(find)).coordinators[0].error_code:
        await a_while()
    request = ConsumerGroupHeartbeatRequest(
        group_id="g",
        member_id="m",
        member_epoch=0,
        rebalance_timeout_ms=60_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    answer = await client.call(request)
    while answer.error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        await a_while()
        answer = await client.call(request)
    assert answer.error_code == 0
    return answer


@pytest.mark.parametrize("crash", [False, True])
def test_members_are_told_at_once_and_after_a_restart(crash: bool) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        joined = await join(node)
        assert joined.heartbeat_interval_ms == 5_000
        beat = ConsumerGroupHeartbeatRequest(group_id="g", member_id="m", member_epoch=joined.member_epoch)
        assert await Talk(client).alter(GROUP, "g", (INTERVAL, SET, "6000")) is ErrorCode.NONE
        assert (await client.call(beat)).heartbeat_interval_ms == 6_000
        await (node.crash(Loss.NONE) if crash else node.restart())
        assert (await join(node)).heartbeat_interval_ms == 6_000
        talk = Talk(await node.client())
        assert (await talk.describe(GROUP, "g", INTERVAL))[1][INTERVAL].value == "6000"

    play(scenario)
