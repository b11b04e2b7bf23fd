"""The cluster's metadata in memory: what the metadata log, replayed from its start, amounts to.

`MetadataImage.replay` is its only writer; serving, recovery and loading a snapshot all go through it. Everybody
else reads. It holds facts that are committed, never a proposal.

Invariants: a topic is in `topics` and `topics_by_id` or in neither; partition numbers of a topic are 0…n-1 once
its batch is replayed whole; a partition's leader epoch and partition epoch only ever rise; values reachable from
the image (`PartitionState`, `BrokerRegistration`) are replaced, never changed, so a reader may keep one.

What a replayed record changed is added to a `MetadataDelta`, for those who act on it (open a log, delete one).
Source: Kafka metadata records, image/MetadataImage.java, metadata/PartitionRegistration.java (merge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from protocol.configs import ConfigResourceType
from protocol.messages.message import Message
from protocol.messages.records_metadata import (
    AccessControlEntryRecord,
    BrokerRegistrationChangeRecord,
    ClearElrRecord,
    ClientQuotaRecord,
    ConfigRecord,
    DelegationTokenRecord,
    FeatureLevelRecord,
    FenceBrokerRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    RegisterControllerRecord,
    RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord,
    RemoveTopicRecord,
    RemoveUserScramCredentialRecord,
    TopicRecord,
    UnfenceBrokerRecord,
    UnregisterBrokerRecord,
    UserScramCredentialRecord,
    ZkMigrationStateRecord,
)
from protocol.types import NodeId, Offset, ProducerId
from replication.broker_registration import BrokerRegistration, registration_from, registration_record
from replication.partition_state import PartitionState, merge_partition, partition_from, partition_record
from replication.topic_names import collision_key, is_internal_topic
from replication.unsupported_state import UnsupportedRecord, UnsupportedState

"""Resource types of ConfigRecord (Kafka: ConfigResource.Type)."""

_NO_CONFIGS: Mapping[str, str] = MappingProxyType({})


class UnusableMetadata(Exception):
    """A metadata record that this version cannot take in: of an unknown kind, or contradicting the image."""


class Topic:
    """One topic and its partitions."""

    __slots__ = ("internal", "name", "partitions", "topic_id")

    def __init__(self, name: str, topic_id: bytes) -> None:
        self.name = name
        self.topic_id = topic_id
        self.internal = is_internal_topic(name)
        self.partitions: dict[int, PartitionState] = {}
        """By partition number."""

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {len(self.partitions)} partitions)"


class MetadataDelta:
    """What a run of records changed, in the order they came. Watchers receive it after the image changed."""

    __slots__ = (
        "changed_brokers",
        "changed_configs",
        "changed_partitions",
        "created_partitions",
        "created_topics",
        "deleted_topics",
    )

    def __init__(self) -> None:
        self.created_topics: list[Topic] = []
        """Complete with partitions by the time a watcher sees them."""
        self.deleted_topics: list[Topic] = []
        self.created_partitions: list[tuple[Topic, int]] = []
        """(topic, partition number) of those added to a topic that was there before."""
        self.changed_partitions: list[tuple[Topic, int, PartitionState]] = []
        """(topic, partition number, state afterwards); not those of created topics, nor created partitions."""
        self.changed_configs: list[tuple[int, str]] = []
        """(resource type, resource name); not those of created or deleted topics' own records."""
        self.changed_brokers: list[NodeId] = []


class MetadataImage:
    """All metadata of the cluster; see the module head."""

    __slots__ = (
        "_configs",
        "_names_by_collision_key",
        "brokers",
        "features",
        "next_producer_id",
        "offset",
        "topics",
        "topics_by_id",
        "unsupported",
    )

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        self.brokers: dict[NodeId, BrokerRegistration] = {}
        self.features: dict[str, int] = {}
        """Finalised level by feature; level 0 is absence."""
        self.next_producer_id: ProducerId = 0
        """First producer id that no block handed out so far contains."""
        self.offset: Offset = -1
        """Offset of the last record replayed; -1 when there was none."""
        self.unsupported = UnsupportedState()
        """What another broker's metadata may hold and this one does not act on; empty once a node serves."""
        self._configs: dict[tuple[int, str], dict[str, str]] = {}
        self._names_by_collision_key: dict[str, str] = {}

    def configs(self, resource_type: int, resource_name: str) -> Mapping[str, str]:
        """Settings made on a resource (not defaults); empty when there are none. A view: do not keep it."""
        return self._configs.get((resource_type, resource_name), _NO_CONFIGS)

    def topic_configs(self, name: str) -> Mapping[str, str]:
        """Settings made on topic `name` (not defaults)."""
        return self.configs(ConfigResourceType.TOPIC, name)

    def configured(self) -> list[tuple[int, str]]:
        """Return (resource type, resource name) of every resource that has settings."""
        return list(self._configs)

    def colliding_topic(self, name: str) -> str | None:
        """Return the existing topic whose name metrics could not tell from `name`, if any (perhaps `name`)."""
        return self._names_by_collision_key.get(collision_key(name))

    def live_broker(self, node_id: NodeId) -> BrokerRegistration | None:
        """Return the registration of a broker that is registered and not fenced."""
        registration = self.brokers.get(node_id)
        return registration if registration is not None and not registration.fenced else None

    def live_brokers(self) -> list[BrokerRegistration]:
        """Return the brokers that clients may be sent to, by node id."""
        return [self.brokers[node] for node in sorted(self.brokers) if not self.brokers[node].fenced]

    def copy(self) -> MetadataImage:
        """Return an image of the present that later records do not change."""
        copy = MetadataImage()
        for topic in self.topics.values():
            twin = Topic(topic.name, topic.topic_id)
            twin.partitions = dict(topic.partitions)
            copy.topics[twin.name] = copy.topics_by_id[twin.topic_id] = twin
        copy.brokers = dict(self.brokers)
        copy.features = dict(self.features)
        copy.next_producer_id = self.next_producer_id
        copy.offset = self.offset
        copy._configs = {resource: dict(settings) for resource, settings in self._configs.items()}
        copy._names_by_collision_key = dict(self._names_by_collision_key)
        return copy

    def replay(self, offset: Offset, record: Message, delta: MetadataDelta) -> None:
        """Take in the record at `offset`; `delta` learns what it changed.

        Raises: UnusableMetadata when the record is of an unknown kind or refers to what does not exist. The image
        is then not to be used any more.
        """
        apply = _REPLAY.get(type(record))
        if apply is None:
            raise UnusableMetadata(f"{record.NAME} at offset {offset} is not supported by this version")
        apply(self, record, delta)
        self.offset = offset

    def records(self) -> Iterator[Message]:
        """Yield records that, replayed into an empty image, give this one: a snapshot's content."""
        for feature, level in self.features.items():
            yield FeatureLevelRecord(name=feature, feature_level=level)
        for registration in self.brokers.values():
            yield registration_record(registration)
        for topic in self.topics.values():
            yield TopicRecord(name=topic.name, topic_id=topic.topic_id)
            for index, state in topic.partitions.items():
                yield partition_record(topic.topic_id, index, state)
        for (resource_type, resource_name), settings in self._configs.items():
            for name, value in settings.items():
                yield ConfigRecord(
                    resource_type=resource_type, resource_name=resource_name, name=name, value=value
                )
        if self.next_producer_id:
            yield ProducerIdsRecord(broker_id=-1, broker_epoch=-1, next_producer_id=self.next_producer_id)

    def _replay_topic(self, record: TopicRecord, delta: MetadataDelta) -> None:
        if record.name in self.topics or record.topic_id in self.topics_by_id:
            raise UnusableMetadata(f"topic {record.name!r} is created twice")
        topic = Topic(record.name, record.topic_id)
        self.topics[topic.name] = topic
        self.topics_by_id[topic.topic_id] = topic
        self._names_by_collision_key[collision_key(topic.name)] = topic.name
        delta.created_topics.append(topic)

    def _replay_partition(self, record: PartitionRecord, delta: MetadataDelta) -> None:
        topic = self._topic(record.topic_id)
        is_new = record.partition_id not in topic.partitions
        state = partition_from(record)
        topic.partitions[record.partition_id] = state
        if _created_in(delta, topic):
            return
        if is_new:
            delta.created_partitions.append((topic, record.partition_id))
        else:
            delta.changed_partitions.append((topic, record.partition_id, state))

    def _replay_partition_change(self, record: PartitionChangeRecord, delta: MetadataDelta) -> None:
        topic = self._topic(record.topic_id)
        former = topic.partitions.get(record.partition_id)
        if former is None:
            raise UnusableMetadata(
                f"partition {topic.name}-{record.partition_id} changes before it is created"
            )
        state = merge_partition(former, record)
        topic.partitions[record.partition_id] = state
        if not _created_in(delta, topic):
            delta.changed_partitions.append((topic, record.partition_id, state))

    def _replay_clear_elr(self, record: ClearElrRecord, delta: MetadataDelta) -> None:
        """Forget eligible leader replicas (KIP-966), which depended on min.insync.replicas, of one topic or of all."""
        names = [record.topic_name] if record.topic_name else list(self.topics)
        for name in names:
            topic = self.topics.get(name)
            if topic is None:
                raise UnusableMetadata(f"a record refers to topic {name!r}, which does not exist")
            for index, state in topic.partitions.items():
                if state.eligible_leader_replicas or state.last_known_leaders:
                    topic.partitions[index] = merge_partition(
                        state, PartitionChangeRecord(eligible_leader_replicas=[], last_known_elr=[])
                    )

    def _replay_remove_topic(self, record: RemoveTopicRecord, delta: MetadataDelta) -> None:
        topic = self._topic(record.topic_id)
        del self.topics[topic.name]
        del self.topics_by_id[topic.topic_id]
        key = collision_key(topic.name)
        if self._names_by_collision_key.get(key) == topic.name:  # Kafka may have let two of them collide
            del self._names_by_collision_key[key]
        self._configs.pop((ConfigResourceType.TOPIC, topic.name), None)
        delta.deleted_topics.append(topic)

    def _replay_config(self, record: ConfigRecord, delta: MetadataDelta) -> None:
        resource = (record.resource_type, record.resource_name)
        if record.value is None:
            settings = self._configs.get(resource)
            if settings is not None:
                settings.pop(record.name, None)
                if not settings:
                    del self._configs[resource]
        else:
            self._configs.setdefault(resource, {})[record.name] = record.value
        if resource not in delta.changed_configs:
            delta.changed_configs.append(resource)

    def _replay_register_broker(self, record: RegisterBrokerRecord, delta: MetadataDelta) -> None:
        self.brokers[record.broker_id] = registration_from(record)
        delta.changed_brokers.append(record.broker_id)

    def _replay_broker_change(self, record: BrokerRegistrationChangeRecord, delta: MetadataDelta) -> None:
        former = self.brokers.get(record.broker_id)
        if former is None or former.broker_epoch != record.broker_epoch:
            raise UnusableMetadata(
                f"broker {record.broker_id} changes in epoch {record.broker_epoch} unregistered"
            )
        fenced = former.fenced if record.fenced == 0 else record.fenced > 0
        shutdown = former.in_controlled_shutdown if record.in_controlled_shutdown == 0 else True
        log_dirs = tuple(record.log_dirs) or former.log_dirs
        self.brokers[record.broker_id] = former._replace(
            fenced=fenced, in_controlled_shutdown=shutdown, log_dirs=log_dirs
        )
        delta.changed_brokers.append(record.broker_id)

    def _replay_fence_broker(
        self, record: FenceBrokerRecord | UnfenceBrokerRecord, delta: MetadataDelta
    ) -> None:
        """Written up to Kafka 3.2; BrokerRegistrationChangeRecord has taken their place."""
        former = self.brokers.get(record.id)
        if former is None or former.broker_epoch != record.epoch:
            raise UnusableMetadata(f"broker {record.id} changes in epoch {record.epoch} unregistered")
        self.brokers[record.id] = former._replace(fenced=isinstance(record, FenceBrokerRecord))
        delta.changed_brokers.append(record.id)

    def _replay_unregister_broker(self, record: UnregisterBrokerRecord, delta: MetadataDelta) -> None:
        if self.brokers.pop(record.broker_id, None) is None:
            raise UnusableMetadata(f"broker {record.broker_id} is removed unregistered")
        delta.changed_brokers.append(record.broker_id)

    def _replay_feature(self, record: FeatureLevelRecord, delta: MetadataDelta) -> None:
        if record.feature_level == 0:
            self.features.pop(record.name, None)
        else:
            self.features[record.name] = record.feature_level

    def _replay_producer_ids(self, record: ProducerIdsRecord, delta: MetadataDelta) -> None:
        if record.next_producer_id < self.next_producer_id:
            raise UnusableMetadata(
                f"producer ids go back from {self.next_producer_id} to {record.next_producer_id}"
            )
        self.next_producer_id = record.next_producer_id

    def _replay_unsupported(self, record: UnsupportedRecord, delta: MetadataDelta) -> None:
        self.unsupported.replay(record)

    def _replay_nothing(self, record: Message, delta: MetadataDelta) -> None:
        """Records that carry no state of ours."""

    def _topic(self, topic_id: bytes) -> Topic:
        topic = self.topics_by_id.get(topic_id)
        if topic is None:
            raise UnusableMetadata(f"a record refers to topic id {topic_id.hex()}, which does not exist")
        return topic


def _created_in(delta: MetadataDelta, topic: Topic) -> bool:
    """Whether `topic` is news as a whole. Partitions follow their topic, so looking at the last one is enough."""
    return bool(delta.created_topics) and delta.created_topics[-1] is topic


_REPLAY: dict[type[Message], Callable[[MetadataImage, Any, MetadataDelta], None]] = {
    TopicRecord: MetadataImage._replay_topic,
    PartitionRecord: MetadataImage._replay_partition,
    PartitionChangeRecord: MetadataImage._replay_partition_change,
    RemoveTopicRecord: MetadataImage._replay_remove_topic,
    ConfigRecord: MetadataImage._replay_config,
    RegisterBrokerRecord: MetadataImage._replay_register_broker,
    BrokerRegistrationChangeRecord: MetadataImage._replay_broker_change,
    UnregisterBrokerRecord: MetadataImage._replay_unregister_broker,
    FeatureLevelRecord: MetadataImage._replay_feature,
    ProducerIdsRecord: MetadataImage._replay_producer_ids,
    ClearElrRecord: MetadataImage._replay_clear_elr,
    FenceBrokerRecord: MetadataImage._replay_fence_broker,
    UnfenceBrokerRecord: MetadataImage._replay_fence_broker,
    AccessControlEntryRecord: MetadataImage._replay_unsupported,
    RemoveAccessControlEntryRecord: MetadataImage._replay_unsupported,
    ClientQuotaRecord: MetadataImage._replay_unsupported,
    UserScramCredentialRecord: MetadataImage._replay_unsupported,
    RemoveUserScramCredentialRecord: MetadataImage._replay_unsupported,
    DelegationTokenRecord: MetadataImage._replay_unsupported,
    RemoveDelegationTokenRecord: MetadataImage._replay_unsupported,
    ZkMigrationStateRecord: MetadataImage._replay_nothing,
    NoOpRecord: MetadataImage._replay_nothing,
    RegisterControllerRecord: MetadataImage._replay_nothing,
}
