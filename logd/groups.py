"""The group coordinator of this node: its topic, its settings and what it may know of other topics."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, cast

from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS
from logd.config.group_keys import group_config, group_values
from logd.coordination.host import CoordinatorHost, InternalTopic
from logd.entropy import SystemEntropy
from logd.group_settings import ImageGroupConfigs

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.config.key import Value
    from protocol.types import Offset
    from replication.metadata_image import MetadataImage

GROUP_TOPIC: Final = "__consumer_offsets"


def group_host(broker: Broker) -> CoordinatorHost:
    """Return the coordinator; it serves the partitions of its topic that this node leads, from now on."""
    catalog = ImageCatalog(broker.metadata.image)
    entropy = SystemEntropy()
    own_configs = ImageGroupConfigs(broker.metadata.image)

    def new_shard() -> GroupShard:
        return GroupShard(group_config(broker.config.values), catalog, entropy, own_configs)

    return CoordinatorHost(broker, _topic(broker), GROUP_RECORDS, new_shard)


def reconfigure_groups(host: CoordinatorHost, given: Mapping[str, Value]) -> None:
    """Put the settings of groups into force, as they follow from all that is `given`."""
    config = group_config(given)
    for shard in host.shards():
        cast(GroupShard, shard).configure(config)


def _topic(broker: Broker) -> InternalTopic:
    """Compacted, so that the last word on every group and offset stays."""
    values = group_values(broker.config.values)
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


class ImageCatalog:
    """A `coordinator.ports.TopicCatalog` over the metadata."""

    __slots__ = ("_image",)

    def __init__(self, image: MetadataImage) -> None:
        self._image = image

    @property
    def version(self) -> Offset:
        return self._image.offset

    def topic_names(self) -> Collection[str]:
        return self._image.topics.keys()

    def topic_id(self, name: str) -> bytes | None:
        topic = self._image.topics.get(name)
        return None if topic is None else topic.topic_id

    def topic_name(self, topic_id: bytes) -> str | None:
        topic = self._image.topics_by_id.get(topic_id)
        return None if topic is None else topic.name

    def partition_count(self, name: str) -> int:
        topic = self._image.topics.get(name)
        return 0 if topic is None else len(topic.partitions)

    def partition_racks(self, name: str, partition: int) -> Collection[str]:
        state = self._image.topics[name].partitions[partition]
        brokers = (self._image.brokers.get(node) for node in state.assigned_replicas)
        return {broker.rack for broker in brokers if broker is not None and broker.rack is not None}
