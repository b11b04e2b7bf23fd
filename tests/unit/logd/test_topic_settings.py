"""A topic's settings as clients see them: the value in force and where it comes from."""

from __future__ import annotations

from logd.config import load_config
from logd.config.topic_keys import TOPIC_KEYS
from logd.topic_settings import ConfigSource, topic_configs_problem, topic_settings


def test_a_topic_goes_before_the_broker_and_the_broker_before_the_default() -> None:
    config = load_config(["log.dirs=/d", "log.segment.bytes=2000000", "log.retention.hours=2"])
    settings = {setting.name: setting for setting in topic_settings({"segment.bytes": "3000000"}, config)}
    assert settings["segment.bytes"][1:] == ("3000000", ConfigSource.TOPIC)
    assert settings["retention.ms"][1:] == (str(2 * 3_600_000), ConfigSource.BROKER)
    assert settings["flush.messages"].source is ConfigSource.DEFAULT
    settings = {setting.name: setting for setting in topic_settings({}, config)}
    assert settings["segment.bytes"][1:] == ("2000000", ConfigSource.BROKER)


def test_every_property_is_there_once_and_by_name() -> None:
    names = [setting.name for setting in topic_settings({}, load_config(["log.dirs=/d"]))]
    assert names == sorted(key.name for key in TOPIC_KEYS)


def test_what_is_wrong_is_said_in_words() -> None:
    assert topic_configs_problem({"retention.ms": "5", "cleanup.policy": "compact"}) is None
    assert "retention.ms" in (topic_configs_problem({"retention.ms": "soon"}) or "")
    assert "no.such.thing" in (topic_configs_problem({"no.such.thing": "1"}) or "")
