"""A topic's settings as clients see them: every property with its value in force and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping

from logd.config.broker_config import BrokerConfig
from logd.config.key import format_value
from logd.config.topic_keys import INTERNAL_SEGMENT_BYTES, TOPIC_KEYS, usable_topic_configs
from logd.setting import ConfigSource, Setting, Synonym, broker_synonyms


def topic_settings(configs: Mapping[str, str], broker: BrokerConfig) -> list[Setting]:
    """Return every property of a topic that has set `configs`, by name."""
    own, _ = usable_topic_configs(configs)
    keys = list(TOPIC_KEYS)
    if INTERNAL_SEGMENT_BYTES.name in own:
        keys.append(INTERNAL_SEGMENT_BYTES)
    settings = []
    for key in sorted(keys, key=lambda each: each.name):
        synonyms = _broker_synonyms(key.synonym, broker) if key.synonym else []
        value = own.get(key.name, broker.topic_defaults.get(key.name))
        text = format_value(value)
        if key.name in own:
            synonyms.insert(0, Synonym(key.name, text, ConfigSource.TOPIC))
        settings.append(Setting(key, text, synonyms))
    return settings


def _broker_synonyms(name: str, broker: BrokerConfig) -> list[Synonym]:
    """Where the broker sets a topic's default.

    As in Kafka, defaults of other names of the property, in other units, are left out in front of its own; but what is
    set under such a name is not, so that the source is right.
    """
    synonyms = broker_synonyms(name, broker)
    while synonyms and synonyms[0].source is ConfigSource.DEFAULT and synonyms[0].name != name:
        del synonyms[0]
    return synonyms
