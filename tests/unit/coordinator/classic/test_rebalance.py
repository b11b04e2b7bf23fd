"""Goal: the phases of a rebalance begin, end and run out of time as in Kafka.

Method: members that say what real ones say, a clock that the test moves; figures are those of Kafka's rules.
"""

from __future__ import annotations

import pytest

from coordinator.classic.states import ClassicState
from coordinator.group_config import GroupConfig
from protocol.errors import ErrorCode
from protocol.messages.join_group import JoinGroupRequest
from tests.support.classic_groups import GROUP, REBALANCE_MS, SESSION_MS, ClassicWorld

DELAY_MS = 3_000
NEW_MEMBER_MS = 300_000


@pytest.fixture
def world() -> ClassicWorld:
    return ClassicWorld()


@pytest.fixture
def delayed() -> ClassicWorld:
    return ClassicWorld(GroupConfig(initial_rebalance_delay_ms=DELAY_MS))


# -- what members are told ---------------------------------------------------------------------------------


def test_the_leader_learns_of_all_and_the_others_of_themselves(world: ClassicWorld) -> None:
    first, second = world.new_id(), world.new_id()
    world.join(first)
    follower = world.join(second, protocols=[("range", b"other")])
    leader = world.join(first)
    assert (leader.response.leader, follower.response.leader) == (first, first)
    assert [(m.member_id, m.group_instance_id, m.metadata) for m in leader.response.members] == [
        (first, None, b"topics"),
        (second, None, b"other"),
    ]
    assert follower.response.members == []
    for answer, member_id in ((leader, first), (follower, second)):
        told = answer.response
        assert (told.generation_id, told.protocol_type, told.protocol_name) == (2, "consumer", "range")
        assert (told.member_id, told.skip_assignment) == (member_id, False)


def test_member_ids_say_whose_they_are(world: ClassicWorld) -> None:
    assert world.new_id(client_id="app") == "app-00000000-0000-4000-8000-000000000001"
    assert (
        world.join(instance_id="rack-1").response.member_id == "rack-1-00000000-0000-4000-8000-000000000002"
    )


def test_the_protocol_is_what_most_like_best_of_what_all_have(world: ClassicWorld) -> None:
    likes = [
        [("a", b""), ("b", b""), ("c", b"")],  # "a" is not for all, so it votes for "b"
        [("c", b""), ("b", b"")],
        [("b", b""), ("c", b""), ("d", b"")],
        [("c", b""), ("b", b"")],
        [("c", b""), ("b", b"")],
    ]
    ids = [world.new_id(protocols=protocols) for protocols in likes]
    world.join(ids[0], protocols=likes[0])
    answers = [
        world.join(id_, protocols=protocols) for id_, protocols in zip(ids[1:], likes[1:], strict=True)
    ]
    answers.append(world.join(ids[0], protocols=likes[0]))
    assert {answer.response.protocol_name for answer in answers} == {"c"}


def test_of_a_protocol_named_twice_the_first_counts(world: ClassicWorld) -> None:
    answer = world.join(version=3, protocols=[("range", b"first"), ("range", b"second")])
    assert answer.response.members[0].metadata == b"first"


def test_assignments_reach_those_they_are_for(world: ClassicWorld) -> None:
    leader, follower, forgotten = world.begin_generation(3)
    waiting = world.sync(follower, 2)
    assert waiting.response is None
    answer = world.sync(leader, 2, {leader: b"1", follower: b"2", "nobody": b"3"})
    assert answer.response.assignment == b"1"
    assert waiting.response.assignment == b"2"
    assert (waiting.response.protocol_type, waiting.response.protocol_name) == ("consumer", "range")
    assert world.sync(forgotten, 2).response.assignment == b""


def test_syncs_that_wait_are_told_when_the_assignment_will_not_come(world: ClassicWorld) -> None:
    leader, follower = world.begin_generation(2)
    waiting = world.sync(follower, 2)
    world.leave(leader)
    assert waiting.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert world.state is ClassicState.PREPARING_REBALANCE


def test_a_request_sent_again_takes_the_place_of_the_first(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    given_up, second = world.join(leader), world.join(leader)
    assert given_up.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert second.response is None
    world.join(follower)
    assert second.response.generation_id == 3
    given_up, second = world.sync(follower, 3), world.sync(follower, 3)
    assert given_up.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    world.sync(leader, 3, {follower: b"x"})
    assert second.response.assignment == b"x"


# -- the first rebalance -----------------------------------------------------------------------------------


def test_the_first_join_waits_for_more_members(delayed: ClassicWorld) -> None:
    answer = delayed.join(version=3)
    delayed.tick(DELAY_MS - 1)
    assert answer.response is None
    delayed.tick(1)
    assert answer.response.generation_id == 1


def test_each_delay_in_which_somebody_came_is_followed_by_another(delayed: ClassicWorld) -> None:
    answers = [delayed.join(version=3)]
    for _ in range(3):
        delayed.tick(DELAY_MS - 1)
        answers.append(delayed.join(version=3))
        delayed.tick(1)
        assert all(answer.response is None for answer in answers)
    delayed.tick(DELAY_MS)
    assert [answer.response.generation_id for answer in answers] == [1] * 4


def test_the_first_rebalance_takes_no_longer_than_the_rebalance_timeout(delayed: ClassicWorld) -> None:
    answers = [delayed.join(version=3, rebalance_ms=10_000)]
    for _ in range(9):
        delayed.tick(1_000)
        answers.append(delayed.join(version=3, rebalance_ms=10_000))
    assert answers[0].response is None
    delayed.tick(1_000)
    assert [answer.response.generation_id for answer in answers] == [1] * 10


def test_a_group_that_became_empty_waits_again(delayed: ClassicWorld) -> None:
    answer = delayed.join(version=3)
    delayed.tick(DELAY_MS)
    delayed.leave(answer.response.member_id)
    again = delayed.join(version=3)
    delayed.tick(DELAY_MS - 1)
    assert again.response is None
    delayed.tick(1)
    assert again.response.generation_id == 3


def test_who_leaves_in_the_first_delay_does_not_end_it(delayed: ClassicWorld) -> None:
    """Others may be on their way."""
    stays, goes = delayed.join(version=3), delayed.join(instance_id="i")
    assert delayed.leave(("", "i")) == [ErrorCode.NONE]
    assert goes.response.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert stays.response is None
    delayed.tick(2 * DELAY_MS)
    assert stays.response.generation_id == 1


# -- later rebalances --------------------------------------------------------------------------------------


def test_a_rebalance_ends_when_all_have_joined(world: ClassicWorld) -> None:
    ids = world.stable(3)
    answers = [world.join(ids[0])]
    for member_id in ids[1:]:
        assert all(answer.response is None for answer in answers)
        answers.append(world.join(member_id))
    assert [answer.response.generation_id for answer in answers] == [3] * 3


def test_who_does_not_join_in_time_is_out(world: ClassicWorld) -> None:
    leader, follower = world.stable(2, session_ms=SESSION_MS)
    answer = world.join(follower, protocols=[("range", b"new")])
    for _ in range(REBALANCE_MS // 5_000):
        assert answer.response is None
        assert world.heartbeat(leader, 2) is ErrorCode.REBALANCE_IN_PROGRESS
        world.tick(5_000)
    told = answer.response
    assert (told.generation_id, told.leader, [m.member_id for m in told.members]) == (3, follower, [follower])
    assert world.heartbeat(leader, 2) is ErrorCode.UNKNOWN_MEMBER_ID


def test_the_longest_rebalance_timeout_counts(world: ClassicWorld) -> None:
    slow, quick = world.new_id(), world.new_id()
    world.join(slow, rebalance_ms=90_000, session_ms=120_000)
    world.join(quick, rebalance_ms=10_000, session_ms=120_000)
    world.join(slow, rebalance_ms=90_000, session_ms=120_000)
    world.assign([slow, quick])
    answer = world.join(quick, protocols=[("range", b"new")], rebalance_ms=10_000, session_ms=120_000)
    world.tick(89_999)
    assert answer.response is None
    world.tick(1)
    assert answer.response.generation_id == 3


def test_before_version_1_the_session_timeout_is_the_rebalance_timeout(world: ClassicWorld) -> None:
    world.join(version=0, session_ms=7_000)
    assert [member.rebalance_timeout_ms for member in world.group.members.values()] == [7_000]


def test_an_id_given_out_is_waited_for_and_expires(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    pending = world.new_id()
    answers = [world.join(leader), world.join(follower)]
    world.tick(SESSION_MS - 1)
    assert [answer.response for answer in answers] == [None, None]
    world.tick(1)
    assert [answer.response.generation_id for answer in answers] == [3, 3]
    assert world.join(pending).response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_id_given_out_may_leave(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    pending = world.new_id()
    answers = [world.join(leader), world.join(follower)]
    assert world.leave(pending) == [ErrorCode.NONE]
    assert [answer.response.generation_id for answer in answers] == [3, 3]


def test_an_id_given_out_is_no_static_members(world: ClassicWorld) -> None:
    pending = world.new_id()
    answer = world.join(pending, instance_id="i")
    assert answer.response.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert world.join(pending).response.error_code == ErrorCode.NONE


def test_who_does_not_sync_in_time_is_out(world: ClassicWorld) -> None:
    leader, follower, silent = world.begin_generation(3, session_ms=120_000)
    world.sync(follower, 2)
    world.sync(leader, 2, {})
    assert world.state is ClassicState.STABLE
    world.tick(REBALANCE_MS - 1)
    assert world.state is ClassicState.STABLE
    world.tick(1)
    assert world.state is ClassicState.PREPARING_REBALANCE
    assert list(world.group.members) == [leader, follower]
    assert world.heartbeat(silent, 2) is ErrorCode.UNKNOWN_MEMBER_ID


def test_when_all_sync_nobody_is_looked_for(world: ClassicWorld) -> None:
    world.stable(3, session_ms=1_000_000)
    world.tick(REBALANCE_MS * 2)
    assert world.state is ClassicState.STABLE


def test_a_leader_that_does_not_sync_is_replaced(world: ClassicWorld) -> None:
    leader, follower = world.begin_generation(2, session_ms=120_000)
    waiting = world.sync(follower, 2)
    world.tick(REBALANCE_MS)
    assert waiting.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert world.join(follower).response.leader == follower
    assert world.heartbeat(leader, 2) is ErrorCode.UNKNOWN_MEMBER_ID


# -- sessions ----------------------------------------------------------------------------------------------


def test_a_silent_member_is_out(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    world.tick(SESSION_MS - 1)
    assert world.heartbeat(follower, 2) is ErrorCode.NONE
    world.tick(1)
    assert list(world.group.members) == [follower]
    assert world.heartbeat(follower, 2) is ErrorCode.REBALANCE_IN_PROGRESS
    assert world.join(follower).response.leader == follower
    assert world.heartbeat(leader, 2) is ErrorCode.UNKNOWN_MEMBER_ID


def test_when_all_are_silent_the_group_is_empty_and_stays(world: ClassicWorld) -> None:
    world.stable(2)
    world.tick(SESSION_MS + REBALANCE_MS)
    assert (world.state, world.group.generation_id) == (ClassicState.EMPTY, 3)
    assert not any(key[0].startswith("classic") for key in world.timers())


def test_who_waits_is_not_silent(world: ClassicWorld) -> None:
    leader, follower = world.stable(2, session_ms=SESSION_MS)
    waiting = world.join(follower, protocols=[("range", b"new")])
    world.tick(5_000)
    world.heartbeat(leader, 2)
    world.tick(9_999)
    assert follower in world.group.members
    world.join(leader)
    world.tick(1)
    assert waiting.response.generation_id == 3
    assert world.timers()["classic session", GROUP, follower] == SESSION_MS - 1


def test_a_first_join_is_not_kept_for_ever(world: ClassicWorld) -> None:
    leader, _ = world.stable(2, rebalance_ms=1_000_000)
    answer = world.join(version=3, rebalance_ms=1_000_000)
    for _ in range(NEW_MEMBER_MS // 5_000):
        assert answer.response is None
        world.heartbeat(leader, 2)
        world.tick(5_000)
    assert (answer.response.error_code, answer.response.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "")


def test_heartbeats_while_it_rebalances_keep_the_session(world: ClassicWorld) -> None:
    leader, follower = world.stable(2)
    world.join(follower, protocols=[("range", b"new")])
    for _ in range(4):
        world.tick(SESSION_MS - 1)
        assert world.heartbeat(leader, 2) is ErrorCode.REBALANCE_IN_PROGRESS
    assert leader in world.group.members


# -- size --------------------------------------------------------------------------------------------------


def _of_size(size: int) -> ClassicWorld:
    return ClassicWorld(GroupConfig(initial_rebalance_delay_ms=0, group_size_max=size))


def test_a_full_group_takes_nobody(world: ClassicWorld) -> None:
    world = _of_size(2)
    ids = world.stable(2)
    answer = world.join(version=3)
    assert (answer.response.error_code, answer.response.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    assert world.join().response.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert world.join(ids[1]).response.error_code == ErrorCode.NONE


def test_of_ids_given_out_only_so_many_find_room() -> None:
    world = _of_size(2)
    ids = [world.new_id() for _ in range(3)]
    world.join(ids[0])
    world.join(ids[1])
    world.join(ids[0])
    assert world.join(ids[2]).response.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert world.join(ids[2]).response.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert len(world.group.members) == 2


def test_a_group_loaded_larger_than_allowed_becomes_smaller_by_a_rebalance() -> None:
    world = ClassicWorld()
    ids = world.stable(3)
    world.config = GroupConfig(initial_rebalance_delay_ms=0, group_size_max=2)
    world.restart()
    assert world.state is ClassicState.PREPARING_REBALANCE
    assert world.heartbeat(ids[0], 2) is ErrorCode.REBALANCE_IN_PROGRESS
    answers = [world.join(member_id) for member_id in (ids[2], ids[0], ids[1])]
    codes = [answer.response.error_code for answer in answers]
    assert codes == [ErrorCode.NONE, ErrorCode.NONE, ErrorCode.GROUP_MAX_SIZE_REACHED]
    assert set(world.group.members) == {ids[0], ids[2]}


# -- one shard, many groups --------------------------------------------------------------------------------


def test_groups_do_not_meet(world: ClassicWorld) -> None:
    (mine,) = world.stable(1)
    other = JoinGroupRequest(
        group_id="other",
        session_timeout_ms=SESSION_MS,
        protocol_type="connect",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="default")],
    )
    assert world.call(other, 2).generation_id == 1
    assert world.heartbeat(mine, 1) is ErrorCode.NONE
    assert set(world.shard.state.groups) == {GROUP, "other"}
