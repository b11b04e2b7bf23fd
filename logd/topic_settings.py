"""A topic's settings as clients see them: every property with its value in force and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from logd.config.broker_config import BrokerConfig
from logd.config.key import ConfigValueError, format_value
from logd.config.topic_keys import TOPIC_KEYS, parse_topic_configs


class ConfigSource(IntEnum):
    """Where a value comes from, as it stands on the wire (Kafka: DescribeConfigsResponse.ConfigSource)."""

    TOPIC = 1
    BROKER = 4
    """Set when the broker was started."""
    DEFAULT = 5


class TopicSetting(NamedTuple):
    """One property of a topic."""

    name: str
    value: str
    source: ConfigSource


def topic_settings(configs: Mapping[str, str], broker: BrokerConfig) -> list[TopicSetting]:
    """Return every property of a topic that has set `configs`, by name."""
    settings = []
    for key in sorted(TOPIC_KEYS):
        own = configs.get(key.name)
        if own is not None:
            settings.append(TopicSetting(key.name, own, ConfigSource.TOPIC))
            continue
        value = broker.topic_defaults[key.name]
        # The broker may have set it under another name, in another unit.
        is_set = key.synonym in broker.settings.values or value != key.default
        source = ConfigSource.BROKER if is_set else ConfigSource.DEFAULT
        settings.append(TopicSetting(key.name, format_value(value), source))
    return settings


def topic_configs_problem(configs: Mapping[str, str]) -> str | None:
    """Return in words what is wrong with the settings that somebody makes on a topic, None when nothing is."""
    try:
        parse_topic_configs(configs)
    except ConfigValueError as problem:
        return str(problem)
    return None
