"""Goal: settings made while the broker runs stand before those of its start, and none can break it. Method: cases, and
any texts by hypothesis.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.config import BrokerConfig, load_config, log_config_for
from logd.config.broker_keys import BROKER_KEYS
from logd.config.dynamic import dynamic_problem, find_key, with_dynamic
from logd.config.other_keys import KEYS_WITHOUT_EFFECT

DYNAMIC = [key.name for key in (*BROKER_KEYS, *KEYS_WITHOUT_EFFECT) if key.dynamic]


def changed(
    *properties: str, cluster: dict[str, str] | None = None, node: dict[str, str] | None = None
) -> BrokerConfig:
    config, problems = with_dynamic(load_config(properties), cluster or {}, node or {})
    assert not problems
    return config


def test_the_node_before_the_cluster_before_the_start() -> None:
    start = "message.max.bytes=1000"
    assert changed(start).topic_defaults["max.message.bytes"] == 1000
    config = changed(start, cluster={"message.max.bytes": "2000"})
    assert config.topic_defaults["max.message.bytes"] == 2000
    config = changed(start, cluster={"message.max.bytes": "2000"}, node={"message.max.bytes": "3000"})
    assert config.topic_defaults["max.message.bytes"] == 3000
    assert (config.dynamic.cluster, config.dynamic.node) == (
        {"message.max.bytes": 2000},
        {"message.max.bytes": 3000},
    )


@pytest.mark.parametrize(
    ("start", "name", "topic_property"),
    [
        ("log.retention.minutes=1", "log.retention.ms", "retention.ms"),
        ("log.retention.hours=1", "log.retention.ms", "retention.ms"),
        ("log.roll.hours=1", "log.roll.ms", "segment.ms"),
        ("log.roll.jitter.hours=1", "log.roll.jitter.ms", "segment.jitter.ms"),
        ("log.flush.scheduler.interval.ms=1", "log.flush.interval.ms", "flush.ms"),
    ],
)
def test_a_name_takes_its_synonyms_with_it(start: str, name: str, topic_property: str) -> None:
    assert changed(start, cluster={name: "77"}).topic_defaults[topic_property] == 77
    assert changed(start).topic_defaults[topic_property] != 77


def test_settings_go_back_to_those_of_the_start() -> None:
    config = changed("max.connections=5", node={"max.connections": "9"})
    assert config.max_connections == 9
    config, _ = with_dynamic(config, {}, {})
    assert config.max_connections == 5


def test_what_cannot_be_used_is_passed_over_and_named() -> None:
    config, problems = with_dynamic(
        load_config(),
        {"no.such": "1", "message.max.bytes": "many", "max.connections": "5"},
        {"node.id": "7", "ssl.key.password": "secret"},
    )
    assert config.max_connections == 5
    assert config.node_id == 1
    assert len(problems) == 4
    assert not any("secret" in problem for problem in problems)


def test_settings_that_do_not_go_together_are_passed_over_together() -> None:
    config, problems = with_dynamic(
        load_config(), {"max.connections": "5", "max.connections.per.ip": "0"}, {}
    )
    assert "max.connections.per.ip is 0" in problems[0]
    assert config.max_connections == load_config().max_connections


@pytest.mark.parametrize(
    ("made", "part"),
    [
        ({"max.connections": "-1"}, "at least 0"),
        ({"max.connections.per.ip": "0"}, "no address is excepted"),
        ({"log.retention.ms": "0"}, "must not be 0"),
        (
            {"log.cleaner.min.compaction.lag.ms": "9", "log.cleaner.max.compaction.lag.ms": "8"},
            "greater than",
        ),
        ({"log.retention.hours": "5"}, "cannot be changed"),
        ({"log.segment.byte": "5"}, "log.segment.bytes"),
        ({"sasl.enabled.mechanisms": "PLAIN"}, "not supported"),
    ],
)
def test_what_is_refused(made: dict[str, str], part: str) -> None:
    assert part in (dynamic_problem(load_config(), made, made, {}) or "")


def test_the_rules_between_properties_see_every_level() -> None:
    made = {"max.connections.per.ip": "0"}
    node = {"max.connections.per.ip.overrides": "127.0.0.1:5"}
    assert dynamic_problem(load_config(), made, made, node) is None
    assert dynamic_problem(load_config(), made, made, {}) is not None


@given(
    st.dictionaries(st.sampled_from([*DYNAMIC, "node.id", "no.such"]), st.text(max_size=6), max_size=4),
    st.dictionaries(
        st.sampled_from(DYNAMIC), st.sampled_from(["0", "1", "-1", "gzip", "delete", "true"]), max_size=4
    ),
)
def test_nothing_that_is_stored_can_break_a_start(cluster: dict[str, str], node: dict[str, str]) -> None:
    config, problems = with_dynamic(load_config(), cluster, node)
    log_config_for({}, config)
    assert set(config.dynamic.cluster) <= set(cluster)
    if not problems:
        assert dynamic_problem(load_config(), cluster, cluster, node) is None
    for name in config.dynamic.node:
        key = find_key(name)
        assert key is not None and key.dynamic
