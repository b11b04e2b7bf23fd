"""One property of a resource as clients see it: its value in force, and where it is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from logd.config.broker_config import BrokerConfig
from logd.config.broker_keys import UNIT_SYNONYMS
from logd.config.key import ConfigKey, format_value
from protocol.configs import ConfigSource

_FLUSH: Final = ("log.flush.interval.ms", "log.flush.scheduler.interval.ms")
"""The second is a property by itself, and the default of the first."""

# Names under which a property may have been set, strongest first, as Kafka tells them.
_SYNONYMS: Final = {name: group for group in UNIT_SYNONYMS for name in group} | {_FLUSH[0]: _FLUSH}


class Synonym(NamedTuple):
    """One place where a setting is made, or could have been: the first of several wins."""

    name: str
    value: str | None
    source: ConfigSource


class Setting(NamedTuple):
    """One property of a resource."""

    key: ConfigKey
    value: str | None
    synonyms: tuple[Synonym, ...]
    read_only: bool = False

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def source(self) -> ConfigSource:
        return self.synonyms[0].source if self.synonyms else ConfigSource.DEFAULT


def broker_synonyms(name: str, config: BrokerConfig) -> list[Synonym]:
    """Where a broker's property is set, under all its names, strongest first; the defaults are the last."""
    names = _SYNONYMS.get(name, (name,))
    synonyms = []
    for values, source in (
        (config.dynamic.node, ConfigSource.NODE),
        (config.dynamic.cluster, ConfigSource.CLUSTER),
        (config.settings.values, ConfigSource.START),
    ):
        synonyms += [Synonym(each, format_value(values[each]), source) for each in names if each in values]
    synonyms += _defaults(names)
    return synonyms


def _defaults(names: tuple[str, ...]) -> Iterator[Synonym]:
    from logd.config.dynamic import find_key  # noqa: PLC0415 - reads a large table, at first use

    for name in names:
        key = find_key(name)
        if key is not None and key.default is not None:
            yield Synonym(name, format_value(key.default), ConfigSource.DEFAULT)
