"""A topic's settings as clients see them: the value in force and where it comes from."""

from __future__ import annotations

from logd.config import load_config
from logd.config.broker_config import BrokerConfig
from logd.config.dynamic import with_dynamic
from logd.config.topic_keys import TOPIC_KEYS
from logd.settings.setting import Setting
from logd.settings.topic_settings import topic_settings
from protocol.configs import ConfigSource


def settings_of(configs: dict[str, str], broker: BrokerConfig) -> dict[str, Setting]:
    return {setting.name: setting for setting in topic_settings(configs, broker)}


def test_a_topic_goes_before_the_broker_and_the_broker_before_the_default() -> None:
    config = load_config(["log.dirs=/d", "log.segment.bytes=2000000", "log.retention.hours=2"])
    settings = settings_of({"segment.bytes": "3000000"}, config)
    assert (settings["segment.bytes"].value, settings["segment.bytes"].source) == (
        "3000000",
        ConfigSource.TOPIC,
    )
    assert (settings["retention.ms"].value, settings["retention.ms"].source) == (
        str(2 * 3_600_000),
        ConfigSource.START,
    )
    assert settings["flush.messages"].source is ConfigSource.DEFAULT
    settings = settings_of({}, config)
    assert (settings["segment.bytes"].value, settings["segment.bytes"].source) == (
        "2000000",
        ConfigSource.START,
    )


def test_every_place_where_a_value_is_set_is_listed_strongest_first() -> None:
    config, problems = with_dynamic(
        load_config(["log.segment.bytes=2000000"]),
        cluster={"log.segment.bytes": "3000000"},
        node={"log.segment.bytes": "4000000"},
    )
    assert not problems
    setting = settings_of({"segment.bytes": "5000000"}, config)["segment.bytes"]
    assert list(setting.synonyms) == [
        ("segment.bytes", "5000000", ConfigSource.TOPIC),
        ("log.segment.bytes", "4000000", ConfigSource.NODE),
        ("log.segment.bytes", "3000000", ConfigSource.CLUSTER),
        ("log.segment.bytes", "2000000", ConfigSource.START),
        ("log.segment.bytes", "1073741824", ConfigSource.DEFAULT),
    ]


def test_what_is_set_in_another_unit_is_named_and_defaults_in_other_units_are_not() -> None:
    assert settings_of({}, load_config())["retention.ms"].synonyms == ()
    setting = settings_of({}, load_config(["log.retention.minutes=1"]))["retention.ms"]
    assert (setting.value, setting.synonyms[0]) == (
        "60000",
        ("log.retention.minutes", "1", ConfigSource.START),
    )


def test_every_property_is_there_once_and_by_name() -> None:
    names = [setting.name for setting in topic_settings({}, load_config(["log.dirs=/d"]))]
    assert names == sorted(key.name for key in TOPIC_KEYS)


def test_a_property_that_is_hidden_shows_where_it_is_set() -> None:
    assert (
        settings_of({"internal.segment.bytes": "100"}, load_config())["internal.segment.bytes"].value == "100"
    )
