"""The group coordinator of this node: its topic and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS
from logd.config.group_keys import group_config, group_values
from logd.coordination.catalog import ImageCatalog
from logd.coordination.host import CoordinatorHost, InternalTopic
from logd.entropy import SystemEntropy
from logd.settings.group_settings import ImageGroupConfigs
from replication.topic_names import GROUP_TOPIC

if TYPE_CHECKING:
    from logd.config.key import Value
    from logd.node import Node
    from protocol.types import LeaderEpoch


def group_host(node: Node) -> CoordinatorHost:
    """Return the coordinator; it serves the partitions of its topic that this node leads, from now on."""
    catalog = ImageCatalog(node.metadata.image)
    entropy = SystemEntropy()
    own_configs = ImageGroupConfigs(node.metadata.image)

    def new_shard(_leader_epoch: LeaderEpoch) -> GroupShard:
        return GroupShard(group_config(node.config.values), catalog, entropy, own_configs)

    return CoordinatorHost(node, _topic(node), GROUP_RECORDS, new_shard)


def reconfigure_groups(host: CoordinatorHost, given: Mapping[str, Value]) -> None:
    """Put the settings of groups into force, as they follow from all that is `given`."""
    config = group_config(given)
    for shard in host.shards():
        cast(GroupShard, shard).configure(config)


def _topic(node: Node) -> InternalTopic:
    """Compacted, so that the last word on every group and offset stays."""
    values = group_values(node.config.values)
    return InternalTopic(
        GROUP_TOPIC,
        int(str(values["offsets.topic.num.partitions"])),
        int(str(values["offsets.topic.replication.factor"])),
        [
            ("cleanup.policy", "compact"),
            ("compression.type", "producer"),
            ("segment.bytes", str(values["offsets.topic.segment.bytes"])),
        ],
    )
