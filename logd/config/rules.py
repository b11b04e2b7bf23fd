"""What the controller asks of the table of properties: `replication.metadata_ports.ConfigRules`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from logd.config.key import format_value
from logd.config.topic_configs import topic_configs_problem
from logd.config.topic_keys import TOPIC_KEYS_BY_NAME
from protocol.configs import ConfigResourceType

if TYPE_CHECKING:
    from logd.config.broker_config import BrokerConfig


class PropertyRules:
    """Judges settings before they are made."""

    def __init__(self, config: Callable[[], BrokerConfig]) -> None:
        """`config` returns the configuration in force."""
        self._config = config

    def list_default(self, resource_type: int, name: str) -> str | None:
        """The default of a property that is a list; None for every other, and for names that are not known."""
        if resource_type == ConfigResourceType.TOPIC:
            key = TOPIC_KEYS_BY_NAME.get(name)
        elif resource_type == ConfigResourceType.GROUP:
            return None  # a group has no property that is a list
        else:
            from logd.config.dynamic import find_key  # noqa: PLC0415 - rarely needed, and reads a large table

            key = find_key(name)
        return None if key is None or key.type != "list" else format_value(key.default)

    def topic_problem(self, changed: Mapping[str, str], kept: Mapping[str, str]) -> str | None:
        return topic_configs_problem(changed, self._config(), kept)

    def broker_problem(
        self, changed: Mapping[str, str], cluster: Mapping[str, str], node: Mapping[str, str]
    ) -> str | None:
        from logd.config.dynamic import dynamic_problem  # noqa: PLC0415 - as above

        return dynamic_problem(self._config(), changed, cluster, node)

    def group_problem(self, changed: Mapping[str, str], kept: Mapping[str, str]) -> str | None:
        from logd.config.per_group_keys import group_configs_problem  # noqa: PLC0415 - as above

        return group_configs_problem(changed, self._config(), kept)
