"""Goal: members that subscribe by pattern are given what it matches, now and when topics come."""

from __future__ import annotations

from coordinator.group_config import GroupConfig
from tests.support.consumers import Consumer, group_of, settle
from tests.support.groups import GroupWorld
from tests.support.shards import Topics


def a_world() -> GroupWorld:
    return GroupWorld(
        config=GroupConfig(consumer_assignment_interval_ms=0), topics=Topics(order_a=2, order_b=1, other=5)
    )


def names(world: GroupWorld, consumer: Consumer) -> set[str | None]:
    return {world.topics.topic_name(topic_id) for topic_id, _ in consumer.partitions}


def test_a_pattern_is_resolved_with_the_heartbeat_that_brings_it() -> None:
    world = a_world()
    a = Consumer(world, "a", subscribed_topic_regex="order_.*")
    a.join()
    assert names(world, a) == {"order_a", "order_b"} and len(a.partitions) == 3
    (resolved,) = [
        record.value for record in world.records() if type(record.key).NAME.endswith("RegularExpressionKey")
    ]
    assert resolved is not None and resolved.topics == ["order_a", "order_b"]  # type: ignore[attr-defined]
    assert resolved.timestamp == world.now_ms  # type: ignore[attr-defined]


def test_it_matches_whole_names() -> None:
    world = a_world()
    a = Consumer(world, "a", subscribed_topic_regex="order_|ther")
    a.join()
    assert not a.partitions


def test_new_topics_are_found_at_most_every_ten_seconds() -> None:
    world = a_world()
    a = Consumer(world, "a", subscribed_topic_regex="order_.*")
    a.join()
    world.create_topic("order_c", 1)
    world.tick(5_000)
    a.beat()
    assert "order_c" not in names(world, a)
    world.tick(5_001)
    a.beat()
    assert "order_c" in names(world, a)
    before = len(world.log)
    world.tick(20_000)
    a.beat()
    assert len(world.log) == before  # nothing came since


def test_the_last_subscriber_takes_its_pattern_along() -> None:
    world = a_world()
    a, b = (Consumer(world, name, subscribed_topic_regex="order_.*") for name in "ab")
    a.join()
    b.join()
    settle(world, a, b, rounds=3)
    assert len(a.partitions) + len(b.partitions) == 3
    a.beat(subscribed_topic_regex="other")
    settle(world, a, b, rounds=3)
    assert (names(world, a), names(world, b)) == ({"other"}, {"order_a", "order_b"})
    assert set(group_of(world).resolved) == {"order_.*", "other"}
    b.leave()
    assert set(group_of(world).resolved) == {"other"}
    assert set(group_of(world).topics_by_regex) == {"other"}
    a.beat(subscribed_topic_regex="", subscribed_topic_names=["order_a"])
    settle(world, a, rounds=2)
    assert not group_of(world).resolved and names(world, a) == {"order_a"}


def test_names_and_a_pattern_together() -> None:
    world = a_world()
    a = Consumer(world, "a", subscribed_topic_regex="order_.*", subscribed_topic_names=["other"])
    a.join()
    assert names(world, a) == {"order_a", "order_b", "other"}


def test_after_a_restart_topics_that_came_meanwhile_are_found() -> None:
    world = a_world()
    a = Consumer(world, "a", subscribed_topic_regex="order_.*")
    a.join()
    world.topics.partitions["order_c"] = 1
    world.topics.version += 1
    world.tick(11_000)
    world.restart()
    a.beat()
    assert "order_c" in names(world, a)
