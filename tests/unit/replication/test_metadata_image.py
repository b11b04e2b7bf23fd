"""The image: what each record does to it, what it refuses, and that a snapshot of it gives it again."""

from __future__ import annotations

import pytest

from protocol.configs import ConfigResourceType
from protocol.messages.message import Message
from protocol.messages.records_metadata import (
    BrokerRegistrationChangeRecord,
    ConfigRecord,
    FeatureLevelRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RemoveTopicRecord,
    TopicRecord,
    UnregisterBrokerRecord,
)
from replication.metadata_commands import AllocateProducerIds, NewTopic
from replication.metadata_image import (
    MetadataDelta,
    MetadataImage,
    UnusableMetadata,
)
from tests.support.metadata_world import World, state_of

T = b"t" * 16
U = b"u" * 16


def test_a_change_keeps_what_it_does_not_name() -> None:
    world = World(3)
    (creation,) = world.create(NewTopic("t", 1, 3))
    former = world.image.topics["t"].partitions[0]
    world.replay([PartitionChangeRecord(partition_id=0, topic_id=creation.topic_id, isr=[1, 3])])
    state = world.image.topics["t"].partitions[0]
    assert state == former._replace(in_sync_replicas=(1, 3), partition_epoch=1)
    world.replay(
        [
            PartitionChangeRecord(
                partition_id=0,
                topic_id=creation.topic_id,
                leader=-1,
                isr=[],
                eligible_leader_replicas=[1],
                last_known_elr=[3],
                leader_recovery_state=1,
            )
        ]
    )
    state = world.image.topics["t"].partitions[0]
    assert (state.leader_id, state.leader_epoch, state.partition_epoch) == (-1, 1, 2)
    assert (state.eligible_leader_replicas, state.last_known_leaders) == ((1,), (3,))
    assert (state.in_sync_replicas, state.leader_recovery_state) == ((), 1)


def test_deltas_name_created_topics_whole_and_changes_of_old_ones() -> None:
    world = World()
    world.create(NewTopic("t", 2, 1))
    assert [topic.name for topic in world.delta.created_topics] == ["t"]
    assert len(world.delta.created_topics[0].partitions) == 2
    assert world.delta.changed_partitions == []
    topic_id = world.image.topics["t"].topic_id
    delta = world.replay(
        [
            PartitionChangeRecord(partition_id=1, topic_id=topic_id, leader=1),
            PartitionRecord(partition_id=2, topic_id=topic_id),
        ]
    )
    assert [(topic.name, index) for topic, index, _ in delta.changed_partitions] == [("t", 1)]
    assert [(topic.name, index) for topic, index in delta.created_partitions] == [("t", 2)]


def test_configs_are_set_replaced_and_removed() -> None:
    world = World()
    world.replay(
        [
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="a", value="1"),
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="a", value="2"),
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="b", value="3"),
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="1", name="a", value="4"),
        ]
    )
    assert dict(world.image.configs(ConfigResourceType.BROKER, "")) == {"a": "2", "b": "3"}
    delta = world.replay(
        [
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="a", value=None),
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="b", value=None),
            ConfigRecord(resource_type=ConfigResourceType.TOPIC, resource_name="t", name="b", value=None),
        ]
    )
    assert dict(world.image.configs(ConfigResourceType.BROKER, "")) == {}
    assert dict(world.image.configs(ConfigResourceType.BROKER, "1")) == {"a": "4"}
    assert delta.changed_configs == [(ConfigResourceType.BROKER, ""), (ConfigResourceType.TOPIC, "t")]


def test_brokers_are_fenced_unfenced_and_removed() -> None:
    world = World(2)
    epoch = world.image.brokers[2].broker_epoch
    world.replay([BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=epoch, fenced=1)])
    assert world.image.live_broker(2) is None
    assert [broker.node_id for broker in world.image.live_brokers()] == [1]
    world.replay([BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=epoch, in_controlled_shutdown=1)])
    assert world.image.brokers[2].fenced
    assert world.image.brokers[2].in_controlled_shutdown
    world.replay([UnregisterBrokerRecord(broker_id=2, broker_epoch=epoch)])
    assert list(world.image.brokers) == [1]


def test_features_of_level_0_are_absent() -> None:
    world = World()
    world.replay([FeatureLevelRecord(name="f", feature_level=2)])
    assert world.image.features["f"] == 2
    world.replay([FeatureLevelRecord(name="f", feature_level=0)])
    assert "f" not in world.image.features


@pytest.mark.parametrize(
    "record",
    [
        TopicRecord(name="t", topic_id=U),
        TopicRecord(name="u", topic_id=T),
        RemoveTopicRecord(topic_id=U),
        PartitionRecord(partition_id=0, topic_id=U),
        PartitionChangeRecord(partition_id=0, topic_id=T),
        BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=0),
        BrokerRegistrationChangeRecord(broker_id=7, broker_epoch=0),
        UnregisterBrokerRecord(broker_id=7),
        ProducerIdsRecord(next_producer_id=999),
    ],
    ids=lambda record: f"{record.NAME}",
)
def test_contradictions_and_unknown_kinds_are_refused(record: Message) -> None:
    world = World()
    world.submit(AllocateProducerIds(1))
    world.replay([TopicRecord(name="t", topic_id=T)])
    with pytest.raises(UnusableMetadata):
        world.replay([record])


def test_a_no_op_moves_the_offset_alone() -> None:
    world = World()
    before = state_of(world.image)
    world.replay([NoOpRecord()])
    assert state_of(world.image) == before
    assert world.image.offset == len(world.log) - 1


def test_a_snapshot_gives_the_image_again() -> None:
    world = World(3)
    world.create(NewTopic("a.b", 4, 2, configs=(("retention.ms", "5"),)), NewTopic("c", 1, 3))
    world.submit(AllocateProducerIds(2))
    world.replay(
        [
            PartitionChangeRecord(
                partition_id=0, topic_id=world.image.topics["c"].topic_id, leader=2, isr=[2]
            ),
            ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="x", value="y"),
        ]
    )
    epoch = world.image.brokers[3].broker_epoch
    world.replay([BrokerRegistrationChangeRecord(broker_id=3, broker_epoch=epoch, fenced=1)])
    copy = MetadataImage()
    delta = MetadataDelta()
    for offset, record in enumerate(world.image.records()):
        copy.replay(offset, record, delta)
    assert state_of(copy) == state_of(world.image)
    assert dict(copy.configs(ConfigResourceType.BROKER, "")) == {"x": "y"}
