"""What coordinators may know of topics: a `coordinator.ports.TopicCatalog` over the metadata."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.types import Offset
    from replication.metadata_image import MetadataImage


class ImageCatalog:
    """The topics of an image, as it is now."""

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
