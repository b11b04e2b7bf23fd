"""What a topic has set, as values: of its properties one by one, and as the configuration of its logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from logd.config.key import ConfigValueError, Value, parse_value
from logd.config.topic_keys import INTERNAL_SEGMENT_BYTES, TOPIC_KEYS_BY_NAME, values_problem

if TYPE_CHECKING:
    from logd.config.broker_config import BrokerConfig
    from storage.config import LogConfig

# Topic properties that LogConfig does not carry.
_NOT_IN_LOG = {
    "leader.replication.throttled.replicas",
    "follower.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "remote.storage.enable",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
}


def parse_topic_configs(overrides: Mapping[str, str | None]) -> dict[str, Value]:
    """The parsed values of a topic's own properties.

    Raises ConfigValueError, which a client is told as INVALID_CONFIG with its text.
    """
    return {name: _parse(name, text) for name, text in overrides.items()}


def usable_topic_configs(overrides: Mapping[str, str | None]) -> tuple[dict[str, Value], list[str]]:
    """The parsed values of what a topic has set, and in words what of it cannot be used.

    What was taken over from Kafka, or left by another version, must not keep a log from being opened.
    """
    values: dict[str, Value] = {}
    problems: list[str] = []
    for name, text in overrides.items():
        try:
            values[name] = _parse(name, text)
        except ConfigValueError as problem:
            problems.append(str(problem))
    return values, problems


def topic_configs_problem(
    changed: Mapping[str, str | None], broker: BrokerConfig, kept: Mapping[str, str] | None = None
) -> str | None:
    """In words what is wrong with properties that are to be set on a topic: by themselves, with those that the topic
    keeps, or with the broker's defaults.
    """
    try:
        values = parse_topic_configs(changed)
    except ConfigValueError as problem:
        return str(problem)
    kept_values, _ = usable_topic_configs(kept or {})
    return values_problem({**broker.topic_defaults, **kept_values, **values})


def log_config_for(overrides: Mapping[str, str | None], broker: BrokerConfig) -> LogConfig:
    """What storage needs to know of a topic with these properties of its own, as far as they can be used.

    Rules between properties are not asked: they held when the topic's were set, and a later change of the broker's
    defaults must not close a log.
    """
    from storage.config import LogConfig  # noqa: PLC0415 - commands that open no log do not load storage

    values = {**broker.topic_defaults, **usable_topic_configs(overrides)[0]}
    internal_segment_bytes = values.pop(INTERNAL_SEGMENT_BYTES.name, None)
    if internal_segment_bytes is not None:
        values["segment.bytes"] = internal_segment_bytes
    fields: dict[str, object] = {
        name.replace(".", "_"): value for name, value in values.items() if name not in _NOT_IN_LOG
    }
    fields["cleanup_policy"] = frozenset(values["cleanup.policy"])  # type: ignore[arg-type]
    return LogConfig(validation=broker.log_record_validation, **fields)  # type: ignore[arg-type]


def _parse(name: str, text: str | None) -> Value:
    """Raises ConfigValueError."""
    key = INTERNAL_SEGMENT_BYTES if name == INTERNAL_SEGMENT_BYTES.name else TOPIC_KEYS_BY_NAME.get(name)
    if key is None:
        raise ConfigValueError(f"unknown topic property {name}")
    if text is None:
        raise ConfigValueError(f"no value for topic property {name}")
    return parse_value(key, text)
