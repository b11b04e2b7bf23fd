"""A broker's settings as clients see them: every property with its value in force and where that comes from."""

from __future__ import annotations

from itertools import dropwhile

from logd.config.broker_config import BrokerConfig
from logd.config.broker_keys import BROKER_KEYS
from logd.config.dynamic import find_key
from logd.config.key import ConfigKey, format_value
from logd.config.other_keys import KEYS_WITHOUT_EFFECT, SHOWN_WHEN_SET
from logd.settings.setting import Setting, Synonym, broker_synonyms
from protocol.configs import ConfigSource


def node_settings(config: BrokerConfig) -> list[Setting]:
    """Return every property of this node, by name; of those that only Kafka 3 had, those that are set."""
    keys = [
        key
        for key in (*BROKER_KEYS, *KEYS_WITHOUT_EFFECT)
        if key.name in config.values or key.name not in SHOWN_WHEN_SET
    ]
    return [
        Setting(key, _value(key, config), _synonyms(key.name, config), read_only=not key.dynamic)
        for key in sorted(keys, key=lambda each: each.name)
    ]


def cluster_settings(config: BrokerConfig) -> list[Setting]:
    """Return what is set for all nodes alike, by name."""
    settings = []
    for name in sorted(config.dynamic.cluster):
        key = find_key(name)
        assert key is not None, "a setting in force is of a property that is known"
        value = format_value(config.dynamic.cluster[name])
        synonyms = tuple(each for each in _synonyms(name, config) if each.source is ConfigSource.CLUSTER)
        settings.append(Setting(key, value, synonyms, read_only=not key.dynamic))
    return settings


def _value(key: ConfigKey, config: BrokerConfig) -> str | None:
    if key.name in ("node.id", "broker.id"):  # two names of one number
        return str(config.node_id)
    value = config.values.get(key.name, key.default)
    return None if value is None else format_value(value)


def _synonyms(name: str, config: BrokerConfig) -> tuple[Synonym, ...]:
    """Those from the property's own name on: what stands before it under another name is that one's, as in Kafka."""
    return tuple(dropwhile(lambda each: each.name != name, broker_synonyms(name, config)))
