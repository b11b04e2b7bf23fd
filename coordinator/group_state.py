"""What one partition of `__consumer_offsets` says: its groups and their committed offsets.

Shared by the modules that decide (classic/, consumer/, offsets/, administration/); see `coordinator.group_shard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from coordinator.classic.group import ClassicGroup
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.topics import KnownTopics
from coordinator.offsets.store import OffsetStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from coordinator.group_config import GroupConfig
    from coordinator.ports import Entropy, GroupConfigs, TopicCatalog

Group: TypeAlias = ClassicGroup | ConsumerGroup


class SweepStep(NamedTuple):
    """What a sweep for expired offsets looks at next: some of a topic, or, without topic, a group whose offsets it has
    been through.
    """

    group_id: str
    topic: str | None = None
    partitions: Sequence[int] = ()


class GroupState:
    """The hard and soft state of a shard, and what its decisions rest on besides."""

    __slots__ = (
        "_own_configs",
        "catalog",
        "config",
        "entropy",
        "groups",
        "loaded",
        "offsets",
        "orphans",
        "sweep",
        "topics",
    )

    def __init__(
        self, config: GroupConfig, catalog: TopicCatalog, entropy: Entropy, own_configs: GroupConfigs
    ) -> None:
        self.config = config
        """What holds for groups that set nothing for themselves; see `config_of`."""
        self._own_configs = own_configs
        self.catalog = catalog
        self.entropy = entropy
        self.topics = KnownTopics(catalog)
        """What consumer groups remember of the catalog."""
        self.groups: dict[str, Group] = {}
        """By group id. A group that only stores offsets is a classic one, empty and without a protocol type."""
        self.loaded = False
        """The log was replayed whole. From then on a record is replayed right after it was decided on, over soft
        state that is ahead of it."""
        self.offsets = OffsetStore()
        self.orphans: dict[tuple[str, str, bytes], None] = {}
        """Group, deleted topic and its id: the group may still have offsets for it. In order of arrival."""
        self.sweep: Iterator[SweepStep] | None = None
        """What the sweep that is under way has yet to look at."""

    def config_of(self, group_id: str) -> GroupConfig:
        """Return what holds for one group."""
        return self._own_configs.of(group_id, self.config)
