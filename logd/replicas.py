"""The partitions that this node holds: opened and closed as the metadata says, and taken offline when disks fail.

It joins the metadata image, the logs on disk and the leadership of each partition. Not here: what clients ask of a
partition (handlers), waiting (delayed.py), durable metadata (metadata/log.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from os.path import dirname
from typing import TYPE_CHECKING, Final, TypeAlias

from logd.config import log_config_for
from logd.replica_places import ReplicaPlaces
from protocol.errors import BrokerError, ErrorCode
from protocol.types import ZERO_UUID, TopicPartition
from replication.directories import directory_of
from replication.partition import Partition
from storage.config import LogConfig
from storage.errors import StorageError, StorageFailure
from storage.log import Log

if TYPE_CHECKING:
    from logd.config import BrokerConfig
    from protocol.types import NodeId, Offset, TimestampMs
    from replication.metadata_image import MetadataDelta, MetadataImage, Topic
    from replication.partition_state import PartitionState
    from storage.directories.data_directory import DataDirectory
    from storage.directories.directory_loader import LoadReport
    from storage.directories.directory_plans import CheckpointPlan
    from storage.directories.manager import LogManager, Plan

log = logging.getLogger("logd.replicas")

_REFUSED_EVERY_MS: Final = 1000

LocalPartition: TypeAlias = Partition[Log]


class Replicas:
    """Every partition of which this node holds a replica."""

    def __init__(
        self,
        config: BrokerConfig,
        manager: LogManager,
        image: MetadataImage,
        *,
        now_ms: Callable[[], TimestampMs],
        moved: Callable[[LocalPartition], None],
        later: Callable[[Plan], None],
        directory_failed: Callable[[DataDirectory], None],
    ) -> None:
        """`moved` is told of partitions whose state changed, `later` of work for the pool, `directory_failed` of a data
        directory that is offline from now on.
        """
        self.config = config
        """What logs that are made from now on follow; see `logd.settings.watcher`."""
        self._manager = manager
        self._image = image
        self._node_id: NodeId = config.node_id
        self.places = ReplicaPlaces(manager, image, config.node_id)
        self._now_ms = now_ms
        self._moved = moved
        self._later = later
        self._directory_failed = directory_failed
        self._partitions: dict[tuple[str, int], LocalPartition] = {}
        self._unmade: set[TopicPartition] = set()
        """Partitions whose logs wait for room on the disk."""
        self._refused = 0
        """Requests that a full disk refused since that was said last."""
        self._refused_said_ms: TimestampMs = 0

    def __iter__(self) -> Iterator[LocalPartition]:
        return iter(tuple(self._partitions.values()))

    def __len__(self) -> int:
        return len(self._partitions)

    def get(self, topic: str, index: int) -> LocalPartition:
        """The partition, whatever its role.

        Raises: BrokerError KAFKA_STORAGE_ERROR when its disk failed, NOT_LEADER_OR_FOLLOWER when other nodes hold
        it, UNKNOWN_TOPIC_OR_PARTITION when nobody does.
        """
        partition = self._partitions.get((topic, index))
        if partition is None:
            raise self._absent(topic, index)
        return partition

    def is_offline(self, topic: str, index: int) -> bool:
        """Whether a partition of which this node has a replica cannot be served by it, whatever the reason."""
        return (topic, index) not in self._partitions

    def find(self, topic_partition: TopicPartition) -> LocalPartition | None:
        """The partition, None when it is not here or offline."""
        return self._partitions.get(topic_partition)

    def _absent(self, topic: str, index: int) -> BrokerError:
        known = self._image.topics.get(topic)
        state = None if known is None else known.partitions.get(index)
        if state is None:
            return BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{topic}-{index} does not exist.")
        if self._node_id in state.assigned_replicas:
            reason = self._manager.failure_of(TopicPartition(topic, index)) or "its log could not be made"
            return BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic}-{index} is offline: {reason}")
        return BrokerError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    @property
    def high_watermarks(self) -> Mapping[TopicPartition, Offset]:
        """For the checkpoint."""
        return {
            partition.topic_partition: partition.high_watermark for partition in self._partitions.values()
        }

    @property
    def directories(self) -> Sequence[DataDirectory]:
        """The data directories, those offline included."""
        return self._manager.directories

    @property
    def metadata_directory(self) -> DataDirectory:
        """The directory that holds the metadata log; it need not be one of the data directories."""
        return self._manager.home

    def log_start_plans(self, partitions: Iterable[LocalPartition]) -> list[CheckpointPlan]:
        """Plans that make the log start offsets of partitions durable, and those of their neighbours with them."""
        return self._manager.log_start_plans({home_of(partition) for partition in partitions})

    # Following the metadata

    def open(self, deleted_topics: Collection[bytes] = ()) -> LoadReport:
        """Open the logs on disk, and make those that a crash kept from being made. Roles come with `lead`.

        `deleted_topics`: ids of topics of which leftovers may be removed. Blocks. Raises: DirectoryRefused.
        """
        report = self._manager.load(self._config_on_disk, self._now_ms(), deleted_topics=deleted_topics)
        for topic_partition, opened in self._manager.logs.items():
            if opened.topic_id == ZERO_UUID:  # its file was lost or damaged; the name says which topic it is
                topic_id = self._image.topics[topic_partition.topic].topic_id
                self._manager.assign_topic_id(topic_partition, topic_id)
            self._add(topic_partition, opened)
        self.places.keep_lost(report)  # all of them before one is made: that writes checkpoints
        for topic in self._image.topics.values():
            self._create_missing(topic)
        if report.set_aside:  # what the checkpoints say of former topics goes before their files
            report.plans[:0] = self._manager.checkpoint_plans(self.high_watermarks)
        return report

    def lead(self) -> None:
        """Take up the roles that the metadata gives this node."""
        for topic in self._image.topics.values():
            for index, state in topic.partitions.items():
                self._take_role(topic.name, index, state)

    def follow(self, delta: MetadataDelta) -> None:
        """Act on a change of the metadata: a watcher of the metadata store."""
        if delta.deleted_topics:
            for topic in delta.deleted_topics:
                self._delete(topic)
            for plan in self._manager.checkpoint_plans(self.high_watermarks):
                self._later(plan)
        for topic in delta.created_topics:
            for index in self._create_missing(topic):
                self._take_role(topic.name, index, topic.partitions[index])
        for topic, indexes in _by_topic(delta.created_partitions):
            for index in self._create_missing(topic, indexes):
                self._take_role(topic.name, index, topic.partitions[index])
        for topic, index, state in delta.changed_partitions:
            self._take_role(topic.name, index, state)

    def make_missing(self) -> None:
        """Try again to make the logs for which there was no room, or no descriptor, when their topics were created."""
        for name in {topic_partition.topic for topic_partition in self._unmade}:
            topic = self._image.topics.get(name)
            if topic is None:
                self._unmade = {waiting for waiting in self._unmade if waiting.topic != name}
                continue
            waiting = [index for index in topic.partitions if (name, index) in self._unmade]
            for index in self._create_missing(topic, waiting):
                self._take_role(name, index, topic.partitions[index])

    def _config_on_disk(self, topic_partition: TopicPartition, topic_id: bytes | None) -> LogConfig | None:
        """Settings for a log found on disk; None when the metadata knows no such partition."""
        topic = self._image.topics.get(topic_partition.topic)
        if topic is None or topic_id not in (None, topic.topic_id):
            return None
        state = topic.partitions.get(topic_partition.partition)
        if state is None or self._node_id not in state.assigned_replicas:
            return None
        return self._log_config(topic.name)

    def _log_config(self, topic: str) -> LogConfig:
        return log_config_for(self._image.topic_configs(topic), self.config)

    def _create_missing(self, topic: Topic, indexes: Iterable[int] | None = None) -> list[int]:
        """Make those logs of a topic, or of some of its partitions, that are not there yet; return their indexes."""
        config: LogConfig | None = None
        made = []
        for index in topic.partitions if indexes is None else indexes:
            state = topic.partitions[index]
            topic_partition = TopicPartition(topic.name, index)
            if topic_partition in self._partitions or self._node_id not in state.assigned_replicas:
                continue
            if self._manager.failure_of(topic_partition) is not None:
                continue  # said already, by the start or when it failed
            config = config or self._log_config(topic.name)
            try:
                created = self._manager.create_log(
                    topic_partition,
                    topic.topic_id,
                    config,
                    self._now_ms(),
                    directory_id=directory_of(state, self._node_id),
                )
            except BrokerError as error:
                self._unmade.discard(topic_partition)
                log.error("log not made topic=%s partition=%d error=%s", topic.name, index, error)
            except StorageFailure as failure:
                if topic_partition not in self._unmade:
                    log.error("log not made topic=%s partition=%d error=%s", topic.name, index, failure)
                self.disk_failed(failure)
                if not failure.fatal:
                    self._unmade.add(topic_partition)
            else:
                self._unmade.discard(topic_partition)
                self._add(topic_partition, created)
                made.append(index)
        return made

    def _add(self, topic_partition: TopicPartition, opened: Log) -> None:
        opened.producers.demands_verification = self.config.transaction_partition_verification_enable
        high_watermark = self._manager.high_watermarks.get(topic_partition, 0)
        self._partitions[topic_partition] = Partition(
            topic_partition, opened, node_id=self._node_id, high_watermark=high_watermark
        )

    def _take_role(self, topic: str, index: int, state: PartitionState) -> None:
        partition = self._partitions.get((topic, index))
        if partition is None:
            return
        if state.leader_id == self._node_id:
            partition.become_leader(
                leader_epoch=state.leader_epoch,
                partition_epoch=state.partition_epoch,
                assigned_replicas=state.assigned_replicas,
                in_sync_replicas=state.in_sync_replicas,
            )
        else:
            partition.resign(
                leader_id=state.leader_id,
                leader_epoch=state.leader_epoch,
                partition_epoch=state.partition_epoch,
            )
        self._moved(partition)

    def _delete(self, topic: Topic) -> None:
        for index in topic.partitions:
            partition = self._partitions.pop((topic.name, index), None)
            if partition is not None:
                partition.delete()
                self._moved(partition)
            topic_partition = TopicPartition(topic.name, index)
            try:
                removal = self._manager.remove_log(topic_partition, self._now_ms())
            except StorageFailure as failure:
                log.error("log not deleted topic=%s partition=%d error=%s", topic.name, index, failure)
                self._manager.fail_log(topic_partition, str(failure))
                self.disk_failed(failure)
            else:
                if removal is not None:
                    self._later(removal)

    # When disks fail

    def storage_failed(self, partition: LocalPartition, error: StorageError) -> BrokerError:
        """Draw the consequences of what storage raised for `partition`; return what its client is told."""
        if self._partitions.get(partition.topic_partition) is not partition:
            # Deleted or offline by now. Another of its name may be there, which this does not concern.
            return BrokerError(partition.refusal or ErrorCode.KAFKA_STORAGE_ERROR, str(error))
        if isinstance(error, StorageFailure):
            if error.fatal:
                self.disk_failed(error)
            else:
                self._say_refused(partition, error)
        else:
            log.error("partition offline, its data is damaged %s error=%s", _name(partition), error)
            self._manager.fail_log(partition.topic_partition, str(error))
            self._drop(partition.topic_partition)
        return BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, str(error))

    def _say_refused(self, partition: LocalPartition, error: StorageError) -> None:
        """Once a second, not once a request: the log may be on the disk that is full."""
        self._refused += 1
        now_ms = self._now_ms()
        if abs(now_ms - self._refused_said_ms) >= _REFUSED_EVERY_MS:
            log.warning("refused %s error=%s times=%d", _name(partition), error, self._refused)
            self._refused_said_ms = now_ms
            self._refused = 0

    def disk_failed(self, failure: StorageFailure) -> None:
        """Take the data directory that `failure` concerns offline, if it is that bad."""
        before = [directory for directory in self._manager.owned if directory.is_online]
        for topic_partition in self._manager.fail(failure):
            self._drop(topic_partition)
        for directory in before:
            if not directory.is_online:
                self._directory_failed(directory)

    def _drop(self, topic_partition: TopicPartition) -> None:
        partition = self._partitions.pop(topic_partition, None)
        if partition is not None:
            partition.go_offline()
            self._moved(partition)


def home_of(partition: LocalPartition) -> str:
    """The path of the data directory that holds the partition."""
    return dirname(partition.log.directory)


def _by_topic(partitions: Iterable[tuple[Topic, int]]) -> Iterable[tuple[Topic, list[int]]]:
    """Group (topic, partition number), so that a topic's settings are looked up once."""
    grouped: dict[str, tuple[Topic, list[int]]] = {}
    for topic, index in partitions:
        grouped.setdefault(topic.name, (topic, []))[1].append(index)
    return grouped.values()


def _name(partition: LocalPartition) -> str:
    return f"topic={partition.topic_partition.topic} partition={partition.topic_partition.partition}"
