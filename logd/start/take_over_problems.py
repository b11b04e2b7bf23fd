"""Why the data directories of a Kafka node and its metadata do not fit together, in words that say what to do.

Looks only at what was read already. Not here: what the metadata by itself must be like (replication.take_over).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from protocol.types import TopicPartition, uuid_to_str
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN

if TYPE_CHECKING:
    from protocol.types import NodeId
    from replication.metadata_image import MetadataImage
    from storage.directories.meta_properties import MetaProperties
    from storage.directories.survey import FoundPartition, Survey


def directories_problem(
    image: MetadataImage,
    node_id: NodeId,
    surveys: Mapping[str, Survey],
    owned: Mapping[str, MetaProperties],
) -> str | None:
    """Return what is wrong, None when nothing is. `surveys` and `owned` are by path; the latter has the directory of
    the metadata log, too, where that holds no partitions.
    """
    return (
        _epochs_problem(image, node_id, surveys)
        or _missing_problem(image, node_id, owned)
        or _partitions_problem(image, surveys)
    )


def _epochs_problem(image: MetadataImage, node_id: NodeId, surveys: Mapping[str, Survey]) -> str | None:
    """A marker of an earlier stop vouches for nothing."""
    registered = image.brokers[node_id].broker_epoch
    for path, survey in surveys.items():
        if survey.broker_epoch not in (-1, registered):
            return (
                f"{path}/{CLEAN_SHUTDOWN} is of broker epoch {survey.broker_epoch}, the metadata of {registered}: "
                "directories of different times; start Kafka on it and stop it cleanly"
            )
    return None


def _missing_problem(
    image: MetadataImage, node_id: NodeId, owned: Mapping[str, MetaProperties]
) -> str | None:
    """All directories that the node used must be here, or their topics would begin anew, empty."""
    given = {identity.directory_id for identity in owned.values()}
    for directory_id in map(uuid_to_str, image.brokers[node_id].log_dirs):
        if directory_id not in given:
            return (
                f"the node used the data directory with directory.id {directory_id} too, which is not given: name "
                "all of Kafka's log.dirs"
            )
    return None


def _partitions_problem(image: MetadataImage, surveys: Mapping[str, Survey]) -> str | None:
    places: dict[TopicPartition, str] = {}
    for path, survey in surveys.items():
        for found in survey.partitions:
            other = places.setdefault(found.topic_partition, path)
            if other != path:
                return f"partition {found.topic_partition} is in {other} and in {path}: move one of them away"
            problem = _partition_problem(image, found)
            if problem is not None:
                return problem
    for topic in image.topics.values():
        if image.topic_configs(topic.name).get("remote.storage.enable") == "true":
            return f"topic {topic.name} has records in tiered storage, which logd does not have: disable it with Kafka"
    for path, survey in surveys.items():
        for topic_partition, offset in survey.checkpointed.items():
            if offset and topic_partition not in places and _is_known(image, topic_partition):
                return (
                    f"partition {topic_partition} had records up to offset {offset} in {path}, and its directory is "
                    "gone: restore it, or delete the topic with Kafka"
                )
    return None


def _partition_problem(image: MetadataImage, found: FoundPartition) -> str | None:
    """What is of no topic known is set aside by the start, as Kafka does, and no problem."""
    if not _is_known(image, found.topic_partition):
        return None
    name, index = found.topic_partition
    state = image.topics[name].partitions[index]
    if found.topic_id in (None, image.topics[name].topic_id) and found.latest_epoch > state.leader_epoch:
        return (
            f"partition {found.topic_partition} was written in leader epoch {found.latest_epoch}, the metadata knows "
            f"of {state.leader_epoch}: the metadata log is older than the data"
        )
    return None


def _is_known(image: MetadataImage, topic_partition: TopicPartition) -> bool:
    topic = image.topics.get(topic_partition.topic)
    return topic is not None and topic_partition.partition in topic.partitions
