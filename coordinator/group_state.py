"""What one partition of `__consumer_offsets` says: its groups and their committed offsets.

Shared by the modules that decide (classic/, consumer/, offsets/, administration/); see `coordinator.group_shard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from coordinator.classic.group import ClassicGroup

if TYPE_CHECKING:
    from coordinator.group_config import GroupConfig
    from coordinator.ports import Entropy, TopicCatalog

Group: TypeAlias = ClassicGroup


class GroupState:
    """The hard and soft state of a shard, and what its decisions rest on besides."""

    __slots__ = ("catalog", "config", "entropy", "groups", "loaded")

    def __init__(self, config: GroupConfig, catalog: TopicCatalog, entropy: Entropy) -> None:
        self.config = config
        self.catalog = catalog
        self.entropy = entropy
        self.groups: dict[str, Group] = {}
        """By group id. A group that only stores offsets is a classic one, empty and without a protocol type."""
        self.loaded = False
        """The log was replayed whole. From then on a record is replayed right after it was decided on, over soft
        state that is ahead of it."""
