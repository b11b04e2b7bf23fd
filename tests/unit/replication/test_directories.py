"""In which of a broker's directories replicas go, and what the failure and the return of one does to leadership."""

from __future__ import annotations

from collections import Counter

from protocol.messages.records_metadata import PartitionChangeRecord
from protocol.types import LOST_DIRECTORY, UNASSIGNED_DIRECTORY
from replication.directories import directory_of
from replication.metadata_commands import (
    AssignDirectories,
    CreatePartitions,
    DirectoryAssignment,
    LoseDirectory,
    MorePartitions,
    NewTopic,
    RegisterBroker,
)
from tests.support.metadata_world import World, registration

A, B, C = (bytes([letter]) * 16 for letter in b"abc")


def world_with(*directories: bytes) -> World:
    world = World(0)
    world.submit(RegisterBroker(registration(1, log_dirs=directories)))
    return world


def places(world: World, topic: str = "t") -> list[bytes]:
    return [directory_of(state, 1) for state in world.image.topics[topic].partitions.values()]


def leaders(world: World, topic: str = "t") -> list[int]:
    return [state.leader_id for state in world.image.topics[topic].partitions.values()]


def test_new_replicas_go_where_the_fewest_are() -> None:
    world = world_with(A, B, C)
    world.create(NewTopic("t", 4))
    assert Counter(places(world)) == {A: 2, B: 1, C: 1}
    world.create(NewTopic("u", 1), NewTopic("v", 1))
    assert Counter(places(world, "u") + places(world, "v")) == {B: 1, C: 1}
    world.submit(CreatePartitions([MorePartitions("u", 3)]))
    assert Counter(places(world) + places(world, "u") + places(world, "v")) == {A: 3, B: 3, C: 2}


def test_a_broker_that_names_no_directory_has_yet_to_choose() -> None:
    world = world_with()
    world.create("t")
    assert places(world) == [UNASSIGNED_DIRECTORY] and leaders(world) == [1]


def test_a_lost_directory_is_led_no_more_and_takes_nothing_new() -> None:
    world = world_with(A, B)
    world.create(NewTopic("t", 4))
    world.submit(LoseDirectory(1, B))
    assert leaders(world) == [1 if place == A else -1 for place in places(world)]
    assert all(state.in_sync_replicas == (1,) for state in world.image.topics["t"].partitions.values())
    assert world.image.brokers[1].log_dirs == (A,) and not world.image.brokers[1].fenced
    world.create(NewTopic("u", 2))
    assert places(world, "u") == [A, A]


def test_a_directory_that_is_registered_again_is_led_again_in_a_new_epoch() -> None:
    world = world_with(A, B)
    world.create(NewTopic("t", 4))
    world.submit(LoseDirectory(1, B))
    world.submit(RegisterBroker(registration(1, log_dirs=(A,))))
    assert leaders(world).count(-1) == 2
    world.submit(RegisterBroker(registration(1, log_dirs=(B, A))))
    assert leaders(world) == [1] * 4
    epochs = {
        directory_of(state, 1): state.leader_epoch for state in world.image.topics["t"].partitions.values()
    }
    assert epochs == {A: 0, B: 2}


def test_a_start_with_the_same_directories_changes_no_partition() -> None:
    world = world_with(A, B)
    world.create(NewTopic("t", 4))
    before = len(world.log)
    world.submit(RegisterBroker(registration(1, log_dirs=(A, B))))
    assert not any(isinstance(record, PartitionChangeRecord) for record in world.log[before:])


def test_a_replica_found_elsewhere_is_led_there() -> None:
    world = world_with(A, B)
    world.create(NewTopic("t", 2))
    topic = world.image.topics["t"]
    world.submit(LoseDirectory(1, B))
    index = places(world).index(B)
    world.submit(AssignDirectories(1, [DirectoryAssignment(topic.topic_id, index, A)]))
    assert places(world) == [A, A] and leaders(world) == [1, 1]
    world.submit(AssignDirectories(1, [DirectoryAssignment(topic.topic_id, index, LOST_DIRECTORY)]))
    assert places(world)[index] == LOST_DIRECTORY and leaders(world)[index] == -1
    gone = [DirectoryAssignment(b"x" * 16, 0, A), DirectoryAssignment(topic.topic_id, 9, A)]
    assert world.submit(AssignDirectories(1, gone)) is None


def test_the_directories_of_other_brokers_stay() -> None:
    world = World(2)
    world.submit(RegisterBroker(registration(1, log_dirs=(A, B))))
    world.create(NewTopic("t", 1, 2))
    topic = world.image.topics["t"]
    world.submit(AssignDirectories(1, [DirectoryAssignment(topic.topic_id, 0, B)]))
    state = topic.partitions[0]
    assert directory_of(state, 1) == B and directory_of(state, 2) == world.image.brokers[2].log_dirs[0]
    assert directory_of(state, 3) == LOST_DIRECTORY
