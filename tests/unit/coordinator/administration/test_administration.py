"""Goal: groups are described, listed and deleted as Kafka does, whatever state they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.describe_groups import DescribeGroupsRequest
from protocol.messages.list_groups import ListGroupsRequest
from protocol.messages.records_group import GroupMetadataKey
from tests.support.classic_groups import GROUP
from tests.support.offset_world import OffsetWorld

CODE = ErrorCode


def describe(world: OffsetWorld, group_id: str = GROUP, version: int = 6) -> Any:
    (group,) = world.call(DescribeGroupsRequest(groups=[group_id]), version).groups
    return group


def listed(world: OffsetWorld, version: int = 5, **filters: list[str]) -> list[tuple[str, str, str, str]]:
    response = world.call(ListGroupsRequest(**filters), version)
    return [(g.group_id, g.protocol_type, g.group_state, g.group_type) for g in response.groups]


def delete(world: OffsetWorld, *group_ids: str, version: int = 3) -> dict[str, ErrorCode]:
    response = world.call(DeleteGroupsRequest(groups_names=list(group_ids)), version)
    return {result.group_id: ErrorCode(result.error_code) for result in response.results}


def in_state(state: ClassicState) -> OffsetWorld:
    """Return a world whose group has come into a state."""
    world = OffsetWorld()
    ids = world.begin_generation(2)
    if state is ClassicState.EMPTY:
        world.leave(*ids)
    elif state is not ClassicState.COMPLETING_REBALANCE:
        world.assign(ids)
    if state is ClassicState.PREPARING_REBALANCE:
        world.join(ids[0])
    assert world.state is state
    return world


LIVE = [ClassicState.PREPARING_REBALANCE, ClassicState.COMPLETING_REBALANCE, ClassicState.STABLE]

# -- describing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(7))
def test_a_stable_group_tells_all(version: int) -> None:
    world = OffsetWorld()
    ids = world.static("i", "j", client_id="c")
    group = describe(world, version=version)
    assert (group.group_id, group.group_state, group.error_code) == (GROUP, "Stable", CODE.NONE)
    assert (group.protocol_type, group.protocol_data) == ("consumer", "range")
    instances = ["i", "j"] if version >= 4 else [None, None]
    assert [
        (m.member_id, m.group_instance_id, m.client_id, m.client_host, m.member_metadata, m.member_assignment)
        for m in group.members
    ] == [
        (member_id, instance, "c", "/127.0.0.1", b"topics", member_id.encode())
        for member_id, instance in zip(ids, instances, strict=True)
    ]


@pytest.mark.parametrize(
    "state", [ClassicState.PREPARING_REBALANCE, ClassicState.COMPLETING_REBALANCE], ids=lambda s: s.value
)
def test_a_group_that_rebalances_has_members_without_protocol(state: ClassicState) -> None:
    group = describe(in_state(state))
    assert (group.group_state, group.protocol_type, group.protocol_data) == (state.value, "consumer", "")
    assert [(len(group.members), m.member_metadata) for m in group.members] == [(2, b""), (2, b"")]


def test_an_empty_group_and_one_that_only_stores_offsets() -> None:
    group = describe(in_state(ClassicState.EMPTY))
    assert (group.group_state, group.protocol_type, group.members) == ("Empty", "consumer", [])
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 1))
    group = describe(world)
    assert (group.group_state, group.protocol_type, group.members) == ("Empty", "", [])


@pytest.mark.parametrize("version", range(7))
def test_a_group_that_is_not_there_is_dead(version: int) -> None:
    group = describe(OffsetWorld(), version=version)
    expected = CODE.GROUP_ID_NOT_FOUND if version >= 6 else CODE.NONE
    assert (group.group_id, group.group_state, group.error_code) == (GROUP, "Dead", expected)
    assert (group.error_message is not None) == (version >= 6)


# -- listing -------------------------------------------------------------------------------------------------


def three_groups() -> OffsetWorld:
    world = in_state(ClassicState.STABLE)
    world.commit_offsets(("t", 0, 1), group_id="simple")
    return world


def test_all_groups_are_listed() -> None:
    world = three_groups()
    assert sorted(listed(world)) == [
        (GROUP, "consumer", "Stable", "classic"),
        ("simple", "", "Empty", "classic"),
    ]
    assert sorted(listed(world, 3)) == [(GROUP, "consumer", "", ""), ("simple", "", "", "")]


@pytest.mark.parametrize(
    ("states", "types", "expected"),
    [
        (["Stable"], [], [GROUP]),
        (["stable", " EMPTY "], [], [GROUP, "simple"]),
        (["PreparingRebalance"], [], []),
        (["no such state"], [], []),
        ([], ["classic"], [GROUP, "simple"]),
        ([], ["Classic", "share"], [GROUP, "simple"]),
        ([], ["consumer"], []),
        ([], ["no such type"], []),
        (["Empty"], ["classic"], ["simple"]),
    ],
)
def test_groups_are_listed_by_state_and_type(
    states: list[str], types: list[str], expected: list[str]
) -> None:
    found = listed(three_groups(), states_filter=states, types_filter=types)
    assert sorted(name for name, *_ in found) == expected


# -- deleting ------------------------------------------------------------------------------------------------


def empty_with_offsets() -> OffsetWorld:
    world = in_state(ClassicState.EMPTY)
    world.commit_offsets(("t", 0, 1), ("u", 2, 1))
    return world


def simple() -> OffsetWorld:
    world = OffsetWorld()
    world.commit_offsets(("t", 0, 1), ("u", 2, 1))
    return world


@pytest.mark.parametrize("make", [empty_with_offsets, simple])
@pytest.mark.parametrize("version", range(4))
def test_a_group_goes_with_all_that_it_has(make: Callable[[], OffsetWorld], version: int) -> None:
    world = make()
    world.commit_offsets(("t", 0, 1), group_id="other")
    producer = world.pend(1, "t", 1, 5)
    assert delete(world, GROUP, "unknown", version=version) == {
        GROUP: CODE.NONE,
        "unknown": CODE.GROUP_ID_NOT_FOUND,
    }
    tombstones = [record.key for record in world.records() if record.value is None]
    assert len(tombstones) == 4  # three offsets, one of them pending, and the group
    assert tombstones[-1] == GroupMetadataKey(group=GROUP)
    world.end_transaction(producer, commit=True)
    for _ in range(2):
        assert world.committed() == {}
        assert describe(world).group_state == "Dead"
        assert [name for name, *_ in listed(world)] == ["other"]
        world.restart()
    assert delete(world, GROUP) == {GROUP: CODE.GROUP_ID_NOT_FOUND}


@pytest.mark.parametrize("state", LIVE, ids=lambda state: state.value)
def test_a_group_with_members_stays(state: ClassicState) -> None:
    world = in_state(state)
    end = len(world.log)
    assert delete(world, GROUP) == {GROUP: CODE.NON_EMPTY_GROUP}
    assert (world.state, len(world.log)) == (state, end)


def test_a_deleted_group_may_begin_anew() -> None:
    world = empty_with_offsets()
    assert delete(world, GROUP) == {GROUP: CODE.NONE}
    world.stable(1)
    assert world.group.generation_id == 1
    assert world.committed() == {}
