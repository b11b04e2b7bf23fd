"""Settings made while the broker runs, on this node or on the whole cluster: parsed, judged, and put into force.

They are kept in the metadata as text. Of several settings of one property this node's wins, then the cluster's, then
what was set at the start, then the default; a name takes its synonyms with it (dynamic log.retention.ms goes before a
static log.retention.hours). Which properties may be set so is `ConfigKey.dynamic`, as in Kafka.

What is stored but cannot be used, left by another version or by Kafka say, is passed over and named in a warning: it
must not stop a start. Source: KIP-226, Kafka's DynamicBrokerConfig.
"""

from __future__ import annotations

from collections.abc import Mapping

from logd.config.broker_config import BrokerConfig, make_config
from logd.config.broker_keys import BROKER_KEYS_BY_NAME
from logd.config.key import ConfigKey, ConfigValueError, Value, parse_value
from logd.config.other_keys import KEYS_WITHOUT_EFFECT_BY_NAME, find_refused
from logd.config.sources import DynamicSettings, suggestion
from logd.errors import ConfigError


def find_key(name: str) -> ConfigKey | None:
    """The broker's property of this name, whether it has an effect or not."""
    return BROKER_KEYS_BY_NAME.get(name) or KEYS_WITHOUT_EFFECT_BY_NAME.get(name)


def with_dynamic(
    config: BrokerConfig, cluster: Mapping[str, str], node: Mapping[str, str]
) -> tuple[BrokerConfig, list[str]]:
    """What is in force with these settings on top of what was set at the start; and what of them cannot be used."""
    problems: list[str] = []
    dynamic = DynamicSettings(_usable(cluster, problems), _usable(node, problems))
    try:
        return _make(config, dynamic), problems
    except ConfigError as error:
        problems.append(str(error))
        return _make(config, DynamicSettings({}, {})), problems


def dynamic_problem(
    config: BrokerConfig, changed: Mapping[str, str], cluster: Mapping[str, str], node: Mapping[str, str]
) -> str | None:
    """In words what is wrong with the `changed` settings, or with all there are afterwards taken together."""
    try:
        for name, text in changed.items():
            _parse(name, text)
        ignored: list[str] = []
        _make(config, DynamicSettings(_usable(cluster, ignored), _usable(node, ignored)))
    except (ConfigValueError, ConfigError) as problem:
        return str(problem)
    return None


def _make(config: BrokerConfig, dynamic: DynamicSettings) -> BrokerConfig:
    """Raises ConfigError."""
    return make_config(config.settings, in_memory=config.in_memory, dynamic=dynamic)


def _usable(texts: Mapping[str, str], problems: list[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, text in texts.items():
        try:
            values[name] = _parse(name, text)
        except ConfigValueError as problem:
            problems.append(str(problem))
    return values


def _parse(name: str, text: str) -> Value:
    """Raises ConfigValueError."""
    key = find_key(name)
    if key is None:
        refused = find_refused(name)
        if refused is not None:
            raise ConfigValueError(f"property {name} is not supported: {refused.hint}")
        raise ConfigValueError(f"unknown property {name}: {suggestion(name)}")
    if not key.dynamic:
        raise ConfigValueError(f"property {name} cannot be changed while the broker runs")
    return parse_value(key, text)
