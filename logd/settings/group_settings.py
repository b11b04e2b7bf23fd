"""A group's settings: as clients see them, and as the coordinator uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from coordinator.group_config import with_own_settings
from logd.config.key import format_value
from logd.config.per_group_keys import PER_GROUP_KEYS, group_default, usable_group_configs
from logd.settings.setting import Setting, Synonym, broker_synonyms
from protocol.configs import ConfigResourceType, ConfigSource

if TYPE_CHECKING:
    from coordinator.group_config import GroupConfig
    from logd.config.broker_config import BrokerConfig
    from logd.config.key import ConfigKey
    from protocol.types import Offset
    from replication.metadata_image import MetadataImage


def group_settings(configs: Mapping[str, str], broker: BrokerConfig) -> list[Setting]:
    """Return every property of a group that has set `configs`, by name. The group need not exist."""
    own = usable_group_configs(configs)
    settings = []
    for key in sorted(PER_GROUP_KEYS):
        synonyms = _default_synonyms(key, broker)
        value = group_default(key, broker)
        if key.name in own:
            value = own[key.name]
            synonyms.insert(0, Synonym(key.name, format_value(value), ConfigSource.GROUP))
        settings.append(Setting(key, format_value(value), tuple(synonyms)))
    return settings


def _default_synonyms(key: ConfigKey, broker: BrokerConfig) -> list[Synonym]:
    if key.synonym:
        return broker_synonyms(key.synonym, broker)
    return [Synonym(key.name, format_value(key.default), ConfigSource.DEFAULT)]


class ImageGroupConfigs:
    """A `coordinator.ports.GroupConfigs` over the metadata: a change is in force with the next look."""

    __slots__ = ("_base", "_image", "_known", "_version")

    def __init__(self, image: MetadataImage) -> None:
        self._image = image
        self._base: GroupConfig | None = None
        self._version: Offset = -1
        self._known: dict[str, GroupConfig] = {}
        """What was made of the settings of `_version` over `_base`."""

    def of(self, group_id: str, base: GroupConfig) -> GroupConfig:
        settings = self._image.configs(ConfigResourceType.GROUP, group_id)
        if not settings:
            return base
        if self._image.offset != self._version or base != self._base:
            self._known.clear()
            self._version, self._base = self._image.offset, base
        config = self._known.get(group_id)
        if config is None:
            config = self._known[group_id] = _configured(base, settings)
        return config


def _configured(base: GroupConfig, settings: Mapping[str, str]) -> GroupConfig:
    own = usable_group_configs(settings)

    def number(name: str) -> int | None:
        return cast("int | None", own.get(name))

    return with_own_settings(
        base,
        session_timeout_ms=number("consumer.session.timeout.ms"),
        heartbeat_interval_ms=number("consumer.heartbeat.interval.ms"),
        assignment_interval_ms=number("consumer.assignment.interval.ms"),
    )
