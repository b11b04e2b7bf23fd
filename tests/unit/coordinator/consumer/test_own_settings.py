"""What a consumer group has set for itself: it holds for this group alone, from the next look on."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.group_config import GroupConfig, with_own_settings
from tests.support.consumers import Consumer
from tests.support.groups import GroupWorld
from tests.support.shards import Topics

NOTHING: dict[str, Any] = {
    "session_timeout_ms": None,
    "heartbeat_interval_ms": None,
    "assignment_interval_ms": None,
}


def a_world() -> GroupWorld:
    return GroupWorld(GroupConfig(), Topics(t=4))


def set_for(world: GroupWorld, group_id: str, **settings: int) -> None:
    world.own_configs[group_id] = with_own_settings(world.config, **{**NOTHING, **settings})


def session_ms(world: GroupWorld, group_id: str, member_id: str) -> int:
    return world.timers()["consumer session", group_id, member_id]


def test_members_are_told_their_groups_interval_and_have_its_session() -> None:
    world = a_world()
    set_for(world, "g", session_timeout_ms=50_000, heartbeat_interval_ms=7_000)
    a, other = Consumer(world, "a", "t"), Consumer(world, "o", "t", group_id="other")
    assert a.join().heartbeat_interval_ms == 7_000
    assert other.join().heartbeat_interval_ms == 5_000
    assert (session_ms(world, "g", "a"), session_ms(world, "other", "o")) == (50_000, 45_000)


def test_a_change_is_in_force_with_the_next_heartbeat() -> None:
    world = a_world()
    a = Consumer(world, "a", "t")
    a.join()
    a.beat()
    set_for(world, "g", session_timeout_ms=60_000, heartbeat_interval_ms=15_000)
    assert session_ms(world, "g", "a") == 45_000
    assert a.beat().heartbeat_interval_ms == 15_000
    assert session_ms(world, "g", "a") == 60_000
    world.tick(59_999)
    assert "a" in world.shard.state.groups["g"].members
    world.tick(1)
    assert not world.shard.state.groups["g"].members


def test_sessions_after_a_restart_are_the_groups() -> None:
    world = a_world()
    set_for(world, "g", session_timeout_ms=55_000)
    Consumer(world, "a", "t").join()
    world.restart()
    assert session_ms(world, "g", "a") == 55_000


@pytest.mark.parametrize(("interval_ms", "after_ms", "epoch"), [(200, 500, 3), (2_000, 1_500, 2)])
def test_assignments_are_so_far_apart_as_the_group_says(interval_ms: int, after_ms: int, epoch: int) -> None:
    """Of other groups they are one second apart."""
    world = a_world()
    set_for(world, "g", assignment_interval_ms=interval_ms)
    Consumer(world, "a", "t").join()
    world.tick(after_ms)
    assert Consumer(world, "b", "t").join().member_epoch == epoch


def test_what_the_bounds_have_left_ends_at_them() -> None:
    config = GroupConfig(consumer_assignment_interval_ms_min=500)
    low = with_own_settings(config, session_timeout_ms=1, heartbeat_interval_ms=1, assignment_interval_ms=1)
    assert low == with_own_settings(
        config, session_timeout_ms=45_000, heartbeat_interval_ms=5_000, assignment_interval_ms=500
    )
    high = with_own_settings(
        config, session_timeout_ms=10**6, heartbeat_interval_ms=10**6, assignment_interval_ms=10**6
    )
    assert high == with_own_settings(
        config, session_timeout_ms=60_000, heartbeat_interval_ms=15_000, assignment_interval_ms=15_000
    )


def test_what_a_group_does_not_set_is_the_coordinators() -> None:
    config = GroupConfig(consumer_session_timeout_ms=46_000)
    assert with_own_settings(config, **NOTHING) == config
