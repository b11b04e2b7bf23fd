"""Creating and deleting topics: every refusal with its code, and what the records make of the image.

Method: commands are decided and replayed at once against an image with one or three live brokers.
"""

from __future__ import annotations

import pytest

from protocol.errors import ErrorCode
from protocol.messages.records_metadata import BrokerRegistrationChangeRecord
from replication.metadata_commands import RECORDS_PER_COMMAND_MAX, CreateTopics, DeleteTopics, NewTopic
from replication.topic_creation import new_topic_id
from tests.support.metadata_world import CountingEntropy, World, state_of


def test_created_topic_is_led_by_its_first_replica_in_epoch_0() -> None:
    world = World()
    (creation,) = world.create(NewTopic("t", 3, 1))
    assert (creation.code, creation.partitions, creation.replication_factor) == (ErrorCode.NONE, 3, 1)
    topic = world.image.topics["t"]
    assert world.image.topics_by_id[creation.topic_id] is topic
    assert list(topic.partitions) == [0, 1, 2]
    for state in topic.partitions.values():
        assert (state.leader_id, state.leader_epoch, state.partition_epoch) == (1, 0, 0)
        assert state.assigned_replicas == state.in_sync_replicas == (1,)
        assert state.directories == world.image.brokers[1].log_dirs


def test_defaults_stand_in_for_minus_one() -> None:
    world = World(3, partitions=4, replication_factor=2)
    (creation,) = world.create("t")
    assert (creation.partitions, creation.replication_factor) == (4, 2)


def test_leaders_and_replicas_spread_over_brokers() -> None:
    world = World(3)
    world.create(NewTopic("t", 6, 2))
    partitions = world.image.topics["t"].partitions.values()
    assert sorted(state.leader_id for state in partitions) == [1, 1, 2, 2, 3, 3]
    assert all(len(set(state.assigned_replicas)) == 2 for state in partitions)


def test_configs_are_kept_and_answered() -> None:
    world = World()
    (creation,) = world.create(NewTopic("t", configs=(("retention.ms", "5"),)))
    assert creation.configs == {"retention.ms": "5"}
    assert dict(world.image.topic_configs("t")) == {"retention.ms": "5"}
    assert dict(world.image.topic_configs("other")) == {}


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (NewTopic(""), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("a/b"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic(".."), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("x" * 250), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("old_topic"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("old.topic"), ErrorCode.TOPIC_ALREADY_EXISTS),
        (NewTopic("__cluster_metadata"), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", 0, 1), ErrorCode.INVALID_PARTITIONS),
        (NewTopic("t", -2, 1), ErrorCode.INVALID_PARTITIONS),
        (NewTopic("t", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("t", 1, -2), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("t", 1, 4), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("t", 0, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("t", assignments=((0, (1,)),), partitions=1), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", assignments=((0, (1,)),), replication_factor=1), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", assignments=((0, (1,)), (2, (1,)))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1,)), (0, (1,)))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (7,)),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, ()),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1, 1)),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1,)), (1, (1, 2)))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", configs=(("retention.ms", None),)), ErrorCode.INVALID_CONFIG),
        (NewTopic("t", configs=(("nonsense", "1"),)), ErrorCode.INVALID_CONFIG),
        (NewTopic("t", RECORDS_PER_COMMAND_MAX + 1, 1), ErrorCode.POLICY_VIOLATION),
        (NewTopic("t", RECORDS_PER_COMMAND_MAX, 1), ErrorCode.POLICY_VIOLATION),
    ],
    ids=repr,
)
def test_refusals_change_nothing(topic: NewTopic, code: ErrorCode) -> None:
    world = World(3)
    world.create("old.topic")
    before = state_of(world.image)
    (creation,) = world.create(topic)
    assert (creation.code, creation.name) == (code, topic.name)
    assert creation.message
    assert state_of(world.image) == before


def test_a_refused_topic_does_not_hold_up_the_others() -> None:
    world = World()
    creations = world.create("good", "bad/name", "good.too")
    assert [creation.code for creation in creations] == [
        ErrorCode.NONE,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.NONE,
    ]
    assert set(world.image.topics) == {"good", "good.too"}


def test_names_of_one_request_may_not_collide_with_each_other() -> None:
    world = World()
    creations = world.create("a.b", "a_b")
    assert [creation.code for creation in creations] == [ErrorCode.NONE, ErrorCode.INVALID_TOPIC_EXCEPTION]


def test_too_many_partitions_refuse_the_whole_request() -> None:
    world = World()
    half = RECORDS_PER_COMMAND_MAX // 2
    creations = world.create(NewTopic("a", half, 1), NewTopic("b", half, 1))
    assert [creation.code for creation in creations] == [ErrorCode.POLICY_VIOLATION] * 2
    assert not world.image.topics
    (creation,) = world.create(NewTopic("a", RECORDS_PER_COMMAND_MAX - 1, 1))
    assert creation.code == ErrorCode.NONE


def test_validate_only_answers_the_same_and_creates_nothing() -> None:
    world = World()
    records = len(world.log)
    creations = world.create(NewTopic("t", 2, 1), "a/b", validate_only=True)
    assert [creation.code for creation in creations] == [ErrorCode.NONE, ErrorCode.INVALID_TOPIC_EXCEPTION]
    assert (creations[0].partitions, creations[0].replication_factor) == (2, 1)
    assert len(world.log) == records
    assert not world.image.topics


def test_manual_assignment_keeps_order_and_leaves_fenced_brokers_out_of_sync() -> None:
    world = World(3)
    world.replay([BrokerRegistrationChangeRecord(broker_id=2, broker_epoch=epoch_of(world, 2), fenced=1)])
    (creation,) = world.create(NewTopic("t", assignments=((1, (3, 2)), (0, (2, 1)))))
    assert (creation.code, creation.partitions, creation.replication_factor) == (ErrorCode.NONE, 2, 2)
    first, second = world.image.topics["t"].partitions[0], world.image.topics["t"].partitions[1]
    assert (first.assigned_replicas, first.in_sync_replicas, first.leader_id) == ((2, 1), (1,), 1)
    assert (second.assigned_replicas, second.in_sync_replicas, second.leader_id) == ((3, 2), (3,), 3)
    (creation,) = world.create(NewTopic("u", assignments=((0, (2,)),)))
    assert creation.code == ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_no_live_broker_no_topic() -> None:
    world = World(0)
    (creation,) = world.create("t")
    assert creation.code == ErrorCode.INVALID_REPLICATION_FACTOR


def test_delete_by_id_frees_the_name_and_its_settings() -> None:
    world = World()
    (creation,) = world.create(NewTopic("a.b", configs=(("retention.ms", "5"),)))
    unknown = b"\7" * 16
    assert world.submit(DeleteTopics([creation.topic_id, unknown])) == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_ID,
    ]
    assert [topic.name for topic in world.delta.deleted_topics] == ["a.b"]
    assert not world.image.topics
    assert not world.image.topics_by_id
    assert dict(world.image.topic_configs("a.b")) == {}
    (again,) = world.create("a_b")
    assert again.code == ErrorCode.NONE
    assert again.topic_id != creation.topic_id


def test_decisions_on_one_name_touch_each_other_and_others_do_not() -> None:
    world = World()
    (creation,) = world.create("a.b")

    def touches(command: CreateTopics | DeleteTopics) -> frozenset[str]:
        return world.controller.decide(command, 0, world.entropy).touches

    deletion = touches(DeleteTopics([creation.topic_id]))
    assert deletion
    assert not deletion & touches(CreateTopics([NewTopic("c")]))
    assert touches(CreateTopics([NewTopic("c.d")])) & touches(CreateTopics([NewTopic("c_d")]))
    assert deletion & touches(
        CreateTopics([NewTopic("a_b")], validate_only=True)
    )  # refused for what is there


class DashEntropy(CountingEntropy):
    """Draws first an id that would begin with '-' in text, then one that would not."""

    def uuid(self) -> bytes:
        self.drawn += 1
        return b"\xfb" * 16 if self.drawn == 1 else b"\x11" * 16


def test_topic_ids_are_random_uuids_that_no_tool_takes_for_an_option() -> None:
    topic_id = new_topic_id(DashEntropy())
    assert topic_id[0] == 0x11
    assert topic_id[6] >> 4 == 4
    assert topic_id[8] >> 6 == 2


def epoch_of(world: World, node_id: int) -> int:
    return world.image.brokers[node_id].broker_epoch
