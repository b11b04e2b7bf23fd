"""Changes of settings as the controller decides them: records, and what stands on which resource."""

from __future__ import annotations

import pytest

from protocol.configs import ConfigOperation, ConfigResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.records_metadata import ConfigRecord
from replication.metadata_commands import (
    RECORDS_PER_COMMAND_MAX,
    AlterConfigs,
    ConfigAlteration,
    ConfigChange,
    DeleteTopics,
    NewTopic,
)
from tests.support.metadata_world import World, state_of

SET, DELETE, APPEND, SUBTRACT = ConfigOperation
Operations = dict[str, tuple[ConfigOperation, str | None]]


def on_topic(operations: Operations, name: str = "t", *, replace: bool = False) -> ConfigChange:
    return ConfigChange(ConfigResourceType.TOPIC, name, operations, replace)


def on_broker(operations: Operations, name: str = "", *, replace: bool = False) -> ConfigChange:
    return ConfigChange(ConfigResourceType.BROKER, name, operations, replace)


def alter(world: World, *changes: ConfigChange, validate_only: bool = False) -> list[ErrorCode]:
    replies = world.submit(AlterConfigs(changes, validate_only))
    assert isinstance(replies, list)
    for reply in replies:
        assert isinstance(reply, ConfigAlteration)
        assert (reply.message is None) == (reply.code is ErrorCode.NONE)
    return [reply.code for reply in replies]


def world_with_topic(**configs: str) -> World:
    world = World()
    world.create(NewTopic("t", configs=list(configs.items())))
    return world


def test_each_operation() -> None:
    world = world_with_topic(kept="1", changed="1", deleted="1", lists="a,b", others="a,b")
    assert alter(
        world,
        on_topic(
            {
                "changed": (SET, "2"),
                "deleted": (DELETE, None),
                "lists": (APPEND, "b,c,c"),
                "others": (SUBTRACT, "a,x"),
                "unset_lists": (APPEND, "more"),
                "never_was": (DELETE, None),
            }
        ),
    ) == [ErrorCode.NONE]
    assert dict(world.image.topic_configs("t")) == {
        "kept": "1",
        "changed": "2",
        "lists": "a,b,c",
        "others": "b",
        "unset_lists": "default,more",
    }
    assert world.delta.changed_configs == [(ConfigResourceType.TOPIC, "t")]


def test_only_what_differs_is_written() -> None:
    world = world_with_topic(same="1", gone="1")
    before = len(world.log)
    alter(world, on_topic({"same": (SET, "1"), "gone": (DELETE, None), "never_was": (DELETE, None)}))
    records = [
        (record.name, record.value) for record in world.log[before:] if isinstance(record, ConfigRecord)
    ]
    assert records == [("gone", None)]


def test_a_replacement_removes_what_it_does_not_name() -> None:
    world = world_with_topic(kept="1", gone="1")
    assert alter(world, on_topic({"kept": (SET, "2"), "new": (SET, "3")}, replace=True)) == [ErrorCode.NONE]
    assert dict(world.image.topic_configs("t")) == {"kept": "2", "new": "3"}
    assert alter(world, on_topic({}, replace=True)) == [ErrorCode.NONE]
    assert dict(world.image.topic_configs("t")) == {}


def test_a_resource_is_changed_as_a_whole_or_not_at_all_and_others_go_on() -> None:
    world = world_with_topic()
    assert alter(
        world,
        on_topic({"good": (SET, "1"), "nonsense": (SET, "1")}),
        on_topic({"number": (APPEND, "1")}),
        on_topic({"good": (SET, "1")}, "unknown"),
        on_topic({"good": (SET, "1")}, ""),
        on_topic({"good": (SET, "1")}, "a/b"),
        on_broker({"nonsense": (SET, "1")}),
        on_broker({"good": (SET, "1")}, "1"),
    ) == [
        ErrorCode.INVALID_CONFIG,
        ErrorCode.INVALID_CONFIG,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NONE,
    ]
    assert dict(world.image.topic_configs("t")) == {}
    assert dict(world.image.configs(ConfigResourceType.BROKER, "1")) == {"good": "1"}
    assert dict(world.image.configs(ConfigResourceType.BROKER, "")) == {}


def test_a_broker_may_keep_nonsense_that_it_had() -> None:
    """What a former version left must not forbid other changes."""
    world = World()
    world.replay(
        [ConfigRecord(resource_type=ConfigResourceType.BROKER, resource_name="", name="nonsense", value="1")]
    )
    assert alter(world, on_broker({"good": (SET, "1")})) == [ErrorCode.NONE]
    assert alter(world, on_broker({"nonsense": (DELETE, None)})) == [ErrorCode.NONE]
    assert dict(world.image.configs(ConfigResourceType.BROKER, "")) == {"good": "1"}


def test_validation_changes_nothing() -> None:
    world = world_with_topic()
    before = state_of(world.image)
    assert alter(
        world, on_topic({"a": (SET, "1")}), on_topic({"nonsense": (SET, "1")}, "u"), validate_only=True
    ) == [ErrorCode.NONE, ErrorCode.INVALID_CONFIG]
    assert state_of(world.image) == before


def test_settings_go_with_their_topic() -> None:
    world = world_with_topic(a="1")
    world.submit(DeleteTopics([world.image.topics["t"].topic_id]))
    world.create("t")
    assert dict(world.image.topic_configs("t")) == {}


def test_too_many_settings_at_once() -> None:
    world = world_with_topic()
    many: Operations = {f"n{index}": (SET, "1") for index in range(RECORDS_PER_COMMAND_MAX + 1)}
    with pytest.raises(BrokerError) as refused:
        alter(world, on_topic(many))
    assert refused.value.code is ErrorCode.POLICY_VIOLATION
    many.popitem()
    assert alter(world, on_topic(many)) == [ErrorCode.NONE]


def test_an_image_is_rebuilt_from_its_records_with_all_settings() -> None:
    world = world_with_topic(a="1")
    alter(world, on_broker({"b": (SET, "2")}), on_broker({"c": (SET, "3")}, "1"))
    other = World(brokers=0)
    other.replay(world.image.records())
    assert dict(other.image.configs(ConfigResourceType.BROKER, "")) == {"b": "2"}
    assert dict(other.image.configs(ConfigResourceType.BROKER, "1")) == {"c": "3"}
    assert dict(other.image.topic_configs("t")) == {"a": "1"}
