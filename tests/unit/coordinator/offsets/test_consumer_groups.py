"""Goal: offsets of groups of KIP-848 live by the rules of these; such groups are listed and deleted like others."""

from __future__ import annotations

from coordinator.group_config import GroupConfig
from protocol.errors import ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.describe_groups import DescribeGroupsRequest
from protocol.messages.list_groups import ListGroupsRequest
from tests.support.consumers import Consumer, settle
from tests.support.offset_world import OffsetWorld

CODE = ErrorCode
RETENTION_MS = 200_000
CHECK_MS = 1_000


def with_member() -> tuple[OffsetWorld, Consumer]:
    """Return a world with one member that reads `t`, and offsets for `t` and `u`."""
    world = OffsetWorld(
        GroupConfig(offsets_retention_ms=RETENTION_MS, offsets_retention_check_interval_ms=CHECK_MS)
    )
    member = Consumer(world, "m", "t")
    member.join()
    settle(world, member, rounds=3)
    codes = world.commit_offsets(("t", 0, 5), ("u", 0, 6), member_id="m", generation_id=member.epoch)
    assert set(codes.values()) == {CODE.NONE}
    return world, member


def delete(world: OffsetWorld) -> ErrorCode:
    (result,) = world.call(DeleteGroupsRequest(groups_names=["g"])).results
    return ErrorCode(result.error_code)


def test_offsets_of_topics_that_nobody_reads_expire_while_members_are_there() -> None:
    world, member = with_member()
    settle(world, member, rounds=RETENTION_MS // 2_000 + 2)
    assert world.committed() == {("t", 0): 5}


def test_the_group_goes_with_its_last_offset() -> None:
    world, member = with_member()
    assert member.leave().error_code == CODE.NONE
    world.tick(RETENTION_MS + CHECK_MS)
    for _ in range(2):
        assert "g" not in world.shard.state.groups
        assert world.committed() == {}
        world.restart()


def test_only_without_members_it_is_deleted() -> None:
    world, member = with_member()
    assert delete(world) is CODE.NON_EMPTY_GROUP
    member.leave()
    assert delete(world) is CODE.NONE
    for _ in range(2):
        assert "g" not in world.shard.state.groups
        assert world.committed() == {}
        world.restart()


def test_members_keep_the_offsets_of_what_they_read() -> None:
    world, _ = with_member()
    answer = world.delete_offsets(("t", 0), ("u", 0))
    assert [topic.partitions[0].error_code for topic in answer.topics] == [
        CODE.GROUP_SUBSCRIBED_TO_TOPIC,
        CODE.NONE,
    ]
    assert world.committed() == {("t", 0): 5}


def test_it_is_listed_by_its_type_and_is_no_classic_group() -> None:
    world, _ = with_member()
    world.commit_offsets(("t", 0, 1), group_id="simple")
    for types, expected in ((["consumer"], ["g"]), (["Classic"], ["simple"]), ([], ["g", "simple"])):
        answer = world.call(ListGroupsRequest(types_filter=types))
        assert sorted(group.group_id for group in answer.groups) == expected
    (group,) = world.call(ListGroupsRequest(states_filter=["stable"])).groups
    assert (group.group_id, group.group_state, group.group_type) == ("g", "Stable", "consumer")
    assert group.protocol_type == "consumer"
    (described,) = world.call(DescribeGroupsRequest(groups=["g"])).groups
    assert (described.group_state, described.error_code) == ("Dead", CODE.GROUP_ID_NOT_FOUND)
