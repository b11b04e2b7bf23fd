"""A topic's settings as clients see them: every property with its value in force and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from logd.config.broker_config import BrokerConfig
from logd.config.key import ConfigKey, format_value
from logd.config.topic_configs import usable_topic_configs
from logd.config.topic_keys import INTERNAL_SEGMENT_BYTES, TOPIC_KEYS_BY_NAME
from logd.settings.setting import Setting, Synonym, broker_synonyms
from protocol.configs import ConfigSource


def topic_settings(configs: Mapping[str, str], broker: BrokerConfig) -> list[Setting]:
    """Return every property of a topic that has set `configs`, by name."""
    settings = _default_settings(broker)
    if configs:
        settings = settings.copy()
        for name, value in usable_topic_configs(configs)[0].items():
            text = format_value(value)
            own = Synonym(name, text, ConfigSource.TOPIC)
            if name == INTERNAL_SEGMENT_BYTES.name:  # hidden where it is not set
                settings[name] = Setting(INTERNAL_SEGMENT_BYTES, text, (own,))
            else:
                default = settings[name]
                settings[name] = Setting(default.key, text, (own, *default.synonyms))
    return [settings[name] for name in sorted(settings)]


@lru_cache(maxsize=1)
def _default_settings(broker: BrokerConfig) -> dict[str, Setting]:
    """Return the settings of a topic that sets nothing, by name: the same for every topic until the broker's change."""
    return {key.name: _default_setting(key, broker) for key in TOPIC_KEYS_BY_NAME.values()}


def _default_setting(key: ConfigKey, broker: BrokerConfig) -> Setting:
    """Take the value and its places from the broker's property.

    As in Kafka, defaults of other names of the property, in other units, are left out in front of its own; but what is
    set under such a name is not, so that the source is right.
    """
    synonyms = broker_synonyms(key.synonym, broker) if key.synonym else []
    while synonyms and synonyms[0].source is ConfigSource.DEFAULT and synonyms[0].name != key.synonym:
        del synonyms[0]
    return Setting(key, format_value(broker.topic_defaults[key.name]), tuple(synonyms))
