"""Adding partitions to topics: every refusal with its code, and what the records make of the image.

Method: commands are decided and replayed at once against an image with one or three live brokers.
"""

from __future__ import annotations

from typing import cast

import pytest

from protocol.errors import ErrorCode
from protocol.messages.records_metadata import BrokerRegistrationChangeRecord
from replication.metadata_commands import (
    CreatePartitions,
    DeleteTopics,
    MorePartitions,
    NewTopic,
    PartitionCreation,
)
from replication.metadata_image import MetadataDelta, MetadataImage
from replication.topic_creation import RECORDS_PER_COMMAND_MAX
from tests.support.metadata_world import World, state_of


def add(world: World, *topics: MorePartitions, validate_only: bool = False) -> list[PartitionCreation]:
    return cast("list[PartitionCreation]", world.submit(CreatePartitions(topics, validate_only)))


def codes(creations: list[PartitionCreation]) -> list[ErrorCode]:
    return [creation.code for creation in creations]


def test_added_partitions_follow_those_there_are_and_are_led_in_epoch_0() -> None:
    world = World()
    world.create(NewTopic("t", 2, 1))
    before = dict(world.image.topics["t"].partitions)
    (creation,) = add(world, MorePartitions("t", 4))
    assert creation == PartitionCreation("t")
    topic = world.image.topics["t"]
    assert list(topic.partitions) == [0, 1, 2, 3]
    assert {index: topic.partitions[index] for index in (0, 1)} == before
    assert [(state.leader_id, state.leader_epoch) for state in topic.partitions.values()] == [(1, 0)] * 4
    assert [(changed.name, index) for changed, index in world.delta.created_partitions] == [
        ("t", 2),
        ("t", 3),
    ]
    assert world.delta.changed_partitions == []
    assert world.delta.created_topics == []


def test_added_partitions_have_as_many_replicas_as_the_others_spread_over_the_brokers() -> None:
    world = World(3)
    world.create(NewTopic("t", 1, 2))
    add(world, MorePartitions("t", 7))
    added = [world.image.topics["t"].partitions[index] for index in range(1, 7)]
    assert sorted(state.leader_id for state in added) == [1, 1, 2, 2, 3, 3]
    assert all(len(set(state.assigned_replicas)) == 2 for state in added)


def test_assigned_partitions_keep_the_order_of_their_replicas() -> None:
    world = World(3)
    world.create(NewTopic("t", assignments=((0, (1, 2)),)))
    assert codes(add(world, MorePartitions("t", 3, ((3, 1), (2, 3))))) == [ErrorCode.NONE]
    partitions = world.image.topics["t"].partitions
    assert [partitions[index].assigned_replicas for index in range(3)] == [(1, 2), (3, 1), (2, 3)]
    assert [partitions[index].leader_id for index in range(3)] == [1, 3, 2]


def test_fenced_brokers_are_left_out_of_sync() -> None:
    world = World(3)
    world.create(NewTopic("t", assignments=((0, (1, 2)),)))
    epoch = world.image.brokers[2].broker_epoch
    world.replay([BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=epoch, fenced=1)])
    assert codes(add(world, MorePartitions("t", 2, ((2, 3),)))) == [ErrorCode.NONE]
    state = world.image.topics["t"].partitions[1]
    assert (state.in_sync_replicas, state.leader_id) == ((3,), 3)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (MorePartitions("other", 4), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (MorePartitions("t", 3), ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("t", 2), ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("t", 0), ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("t", -(2**31)), ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("t", 4, ()), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 4, ((1, 2), (2, 3))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 2**31 - 1, ((1, 2),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 4, ((),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 4, ((1, 9),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 4, ((1, 1),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 4, ((1,),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 4, ((1, 2, 3),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 2**31 - 1), ErrorCode.POLICY_VIOLATION),
        (MorePartitions("t", RECORDS_PER_COMMAND_MAX + 4), ErrorCode.POLICY_VIOLATION),
    ],
    ids=repr,
)
@pytest.mark.parametrize("validate_only", [False, True])
def test_refusals_change_nothing(more: MorePartitions, code: ErrorCode, validate_only: bool) -> None:
    world = World(3)
    world.create(NewTopic("t", 3, 2))
    before = state_of(world.image)
    (creation,) = add(world, more, validate_only=validate_only)
    assert (creation.name, creation.code) == (more.name, code)
    assert creation.message or code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert state_of(world.image) == before


def test_too_few_live_brokers() -> None:
    world = World(2)
    world.create(NewTopic("t", 1, 2))
    epoch = world.image.brokers[2].broker_epoch
    world.replay([BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=epoch, fenced=1)])
    assert codes(add(world, MorePartitions("t", 2))) == [ErrorCode.INVALID_REPLICATION_FACTOR]
    assert codes(add(world, MorePartitions("t", 2, ((2, 1),)))) == [ErrorCode.NONE]


def test_a_refused_topic_does_not_hold_up_the_others() -> None:
    world = World()
    world.create("a", "b")
    creations = add(world, MorePartitions("a", 1), MorePartitions("b", 2), MorePartitions("c", 2))
    assert codes(creations) == [
        ErrorCode.INVALID_PARTITIONS,
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert len(world.image.topics["b"].partitions) == 2


def test_too_many_partitions_refuse_the_whole_request() -> None:
    world = World()
    world.create("a", "b", "c")
    half = RECORDS_PER_COMMAND_MAX // 2
    more = [MorePartitions("a", half + 2), MorePartitions("b", half + 1), MorePartitions("c", 2)]
    assert codes(add(world, *more)) == [ErrorCode.POLICY_VIOLATION] * 3
    assert len(world.image.topics["a"].partitions) == 1
    assert (
        codes(add(world, MorePartitions("a", half + 1), MorePartitions("b", half + 1)))
        == [ErrorCode.NONE] * 2
    )


def test_validate_only_answers_the_same_and_adds_nothing() -> None:
    world = World()
    world.create("t")
    records = len(world.log)
    creations = add(world, MorePartitions("t", 3), MorePartitions("u", 3), validate_only=True)
    assert codes(creations) == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert len(world.log) == records


def test_a_decision_touches_its_topics_and_no_other() -> None:
    """Two additions to one topic, decided side by side, would number their partitions alike."""
    world = World()
    (creation, _) = world.create("t", "u")

    def touches(command: CreatePartitions | DeleteTopics) -> frozenset[str]:
        return world.controller.decide(command, 0, world.entropy).touches

    addition = touches(CreatePartitions([MorePartitions("t", 2)]))
    assert addition & touches(CreatePartitions([MorePartitions("t", 3)]))
    assert addition & touches(DeleteTopics([creation.topic_id]))
    assert not addition & touches(CreatePartitions([MorePartitions("u", 3)]))


def test_an_image_made_of_the_records_is_the_same() -> None:
    world = World(3)
    world.create(NewTopic("t", 2, 2))
    add(world, MorePartitions("t", 5))
    for records in (world.log, list(world.image.records())):
        image = MetadataImage()
        for offset, record in enumerate(records):
            image.replay(offset, record, MetadataDelta())
        assert state_of(image) == state_of(world.image)
