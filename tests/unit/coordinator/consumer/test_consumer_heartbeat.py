"""Goal: ConsumerGroupHeartbeat does what KIP-848 and Kafka 4.3 say: refusals, epochs, records, timers, static names."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.group_config import GroupConfig
from coordinator.shard import CoordinatorRecord
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.message import Message
from protocol.messages.offset_commit import OffsetCommitRequest
from protocol.messages.offset_fetch import OffsetFetchRequest
from tests.support.consumers import Consumer, group_of, heartbeat, joining, settle, topic_partitions
from tests.support.groups import GroupWorld
from tests.support.shards import Topics


def a_world(**config: Any) -> GroupWorld:
    return GroupWorld(config=GroupConfig(**config), topics=Topics(t=4, u=2))


def t(*partitions: int) -> dict[bytes, frozenset[int]]:
    topic_id = Topics(t=4).topic_id("t")
    assert topic_id is not None
    return {topic_id: frozenset(partitions)}


def written(world: GroupWorld, since: int) -> list[tuple[str, Any]]:
    """Return the kind of each record, and its value or None for a tombstone."""

    def kind(record: CoordinatorRecord) -> str:
        name = type(record.key).NAME.removeprefix("ConsumerGroup").removesuffix("Key")
        return name + ("" if record.value is not None else " gone")

    return [(kind(record), record.value) for record in world.records(since)]


def kinds(world: GroupWorld, since: int) -> list[str]:
    return [kind for kind, _ in written(world, since)]


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "version", "code"),
    [
        (joining("", "t"), 1, ErrorCode.INVALID_REQUEST),
        (joining("", "t"), 0, ErrorCode.NONE),
        (heartbeat("", 1), 0, ErrorCode.INVALID_REQUEST),
        (heartbeat("", -1), 0, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", group_id=" "), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", instance_id=""), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", rack_id=""), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", rebalance_timeout_ms=-1), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", topic_partitions=None), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", topic_partitions=topic_partitions(t(0))), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", subscribed_topic_regex=None), 1, ErrorCode.INVALID_REQUEST),
        (joining("a", "t", server_assignor="sticky"), 1, ErrorCode.UNSUPPORTED_ASSIGNOR),
        (joining("a", "t", server_assignor="range"), 1, ErrorCode.NONE),
        (joining("a", subscribed_topic_regex="("), 1, ErrorCode.INVALID_REGULAR_EXPRESSION),
        (heartbeat("a", -2), 1, ErrorCode.INVALID_REQUEST),
        (heartbeat("a", -3), 1, ErrorCode.INVALID_REQUEST),
        (heartbeat("a", 1), 1, ErrorCode.GROUP_ID_NOT_FOUND),
        (heartbeat("a", -1), 1, ErrorCode.GROUP_ID_NOT_FOUND),
        (heartbeat("a", -2, instance_id="i"), 1, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_what_a_request_to_a_group_that_does_not_exist_gets(
    request_: Message, version: int, code: ErrorCode
) -> None:
    world = a_world()
    response = world.call(request_, version)
    assert response.error_code == code
    if code is not ErrorCode.NONE:
        assert response.error_message and not world.log and not world.shard.state.groups


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (heartbeat("b", 2), ErrorCode.UNKNOWN_MEMBER_ID),
        (heartbeat("b", -1), ErrorCode.UNKNOWN_MEMBER_ID),
        (heartbeat("a", 2, instance_id="i"), ErrorCode.UNKNOWN_MEMBER_ID),
        (heartbeat("a", 3), ErrorCode.FENCED_MEMBER_EPOCH),
        (heartbeat("a", 1), ErrorCode.FENCED_MEMBER_EPOCH),
        (heartbeat("s2", 3, instance_id="s"), ErrorCode.FENCED_INSTANCE_ID),
        (heartbeat("s2", -1, instance_id="s"), ErrorCode.FENCED_INSTANCE_ID),
        (heartbeat("s2", -2, instance_id="s"), ErrorCode.FENCED_INSTANCE_ID),
        (joining("s2", "t", instance_id="s"), ErrorCode.UNRELEASED_INSTANCE_ID),
        (joining("x", "t"), ErrorCode.GROUP_MAX_SIZE_REACHED),
        (joining("x", "t", instance_id="x"), ErrorCode.GROUP_MAX_SIZE_REACHED),
        (joining("a", "t"), ErrorCode.NONE),
        (heartbeat("a", 2), ErrorCode.NONE),
    ],
)
def test_what_a_request_to_a_group_of_two_gets(request_: Message, code: ErrorCode) -> None:
    world = a_world(consumer_group_size_max=2, consumer_assignment_interval_ms=0)
    world.call(joining("a", "t"))
    world.call(joining("s", "t", instance_id="s"))
    before = len(world.log)
    response = world.call(request_)
    assert response.error_code == code
    if code is not ErrorCode.NONE:
        assert len(world.log) == before


# -- joining -------------------------------------------------------------------------------------------------


def test_the_first_member_is_given_everything_and_its_records_are_those_of_kafka() -> None:
    world = a_world()
    response = world.call(joining("a", "u", "t", rack_id="r"), client_id="c", host="/10.0.0.1")
    assert (response.member_id, response.member_epoch, response.heartbeat_interval_ms) == ("a", 2, 5_000)
    assert sorted(len(topic.partitions) for topic in response.assignment.topic_partitions) == [2, 4]
    records = dict(written(world, 0))
    assert list(records) == [
        "MemberMetadata",
        "Metadata",
        "TargetAssignmentMember",
        "TargetAssignmentMetadata",
        "CurrentMemberAssignment",
    ]
    member = records["MemberMetadata"]
    assert (member.client_id, member.client_host, member.rack_id) == ("c", "/10.0.0.1", "r")
    assert member.subscribed_topic_names == ["t", "u"] and member.subscribed_topic_regex == ""
    assert (member.instance_id, member.server_assignor, member.classic_member_metadata) == (None, None, None)
    assert (records["Metadata"].epoch, records["TargetAssignmentMetadata"].assignment_epoch) == (2, 2)
    assert records["TargetAssignmentMetadata"].assignment_timestamp == world.now_ms
    current = records["CurrentMemberAssignment"]
    assert (current.member_epoch, current.previous_member_epoch, current.state) == (2, 0, 0)
    assert [topic.assignment_epochs for topic in current.assigned_partitions] in (
        [[2] * 2, [2] * 4],
        [[2] * 4, [2] * 2],
    )


def test_a_member_without_an_id_is_given_one_by_version_0_only() -> None:
    world = a_world()
    response = world.call(joining("", "t"), 0)
    assert len(response.member_id) == 22 and response.member_id in group_of(world).members


def test_a_heartbeat_that_brings_nothing_new_writes_nothing_and_restarts_the_session() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    before = len(world.log)
    world.tick(30_000)
    response = world.call(heartbeat("a", 2))
    assert (response.member_epoch, response.assignment, len(world.log)) == (2, None, before)
    assert world.timers()["consumer session", "g", "a"] == 45_000


def test_a_request_that_says_everything_is_told_everything() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    full = heartbeat(
        "a",
        2,
        rebalance_timeout_ms=30_000,
        subscribed_topic_names=["t"],
        topic_partitions=topic_partitions(t(0, 1, 2, 3)),
    )
    before = len(world.log)
    assert len(world.call(full).assignment.topic_partitions) == 1
    assert len(world.log) == before


def test_two_assignments_are_an_interval_apart() -> None:
    world = a_world(consumer_assignment_interval_ms=1_000)
    world.call(joining("a", "t"))
    response = world.call(joining("b", "t"))
    assert (response.member_epoch, group_of(world).group_epoch) == (2, 3)
    world.tick(1_000)
    assert world.call(heartbeat("b", 2)).member_epoch == 3


def test_the_assignor_with_most_votes_assigns() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    for name, assignor in (("a", "range"), ("b", "range"), ("c", "uniform")):
        world.call(joining(name, "t", server_assignor=assignor))
    described = world.call(ConsumerGroupDescribeRequest(group_ids=["g"])).groups[0]
    assert described.assignor_name == "range"
    world.call(heartbeat("a", 2, server_assignor="uniform", topic_partitions=topic_partitions(t(0, 1, 2, 3))))
    described = world.call(ConsumerGroupDescribeRequest(group_ids=["g"])).groups[0]
    assert described.assignor_name == "uniform"


# -- from one owner to the next ------------------------------------------------------------------------------


def test_what_one_gives_up_the_other_gets_once_it_is_given_up() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a, b = Consumer(world, "a", "t"), Consumer(world, "b", "t")
    a.join()
    assert (b.join().member_epoch, b.partitions) == (3, set())
    a.slow = True
    response = a.beat()
    assert (response.member_epoch, len(response.assignment.topic_partitions[0].partitions)) == (2, 2)
    assert world.timers()["consumer rebalance", "g", "a"] == 30_000
    before = len(world.log)
    assert a.beat().assignment is None and b.beat().member_epoch == 3
    assert len(world.log) == before + 1  # b's previous epoch
    a.slow = False
    assert a.beat().member_epoch == 3
    assert ("consumer rebalance", "g", "a") not in world.timers()
    b.beat()
    assert (len(a.partitions), len(b.partitions)) == (2, 2) and not a.partitions & b.partitions
    assert group_of(world).state.value == "Stable"


def test_who_does_not_give_up_in_time_is_fenced() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a, b = Consumer(world, "a", "t"), Consumer(world, "b", "t")
    a.join()
    b.join()
    a.slow = True
    for _ in range(6):
        a.beat()
        b.beat()
        world.tick(5_000)
    assert list(group_of(world).members) == ["b"]
    assert a.beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID
    b.beat()
    assert len(b.partitions) == 4


def test_an_answer_that_got_lost_is_given_again() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a, b = Consumer(world, "a", "t"), Consumer(world, "b", "t")
    a.join()
    b.join()
    a.beat()
    a.lost = True
    a.beat()
    assert (a.epoch, group_of(world).members["a"].member_epoch) == (2, 3)
    assert a.beat().member_epoch == 3
    # The epoch before is good for as much as it is to own now; more, or no word, is not.
    assert world.call(heartbeat("a", 2)).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    more = topic_partitions(t(0, 1, 2, 3))
    assert world.call(heartbeat("a", 2, topic_partitions=more)).error_code == ErrorCode.FENCED_MEMBER_EPOCH


def test_what_is_not_subscribed_any_more_is_given_up_before_the_next_assignment() -> None:
    world = a_world(consumer_assignment_interval_ms=60_000)
    a = Consumer(world, "a", "t", "u")
    a.join()
    response = a.beat(subscribed_topic_names=["t"])
    assert (response.member_epoch, len(response.assignment.topic_partitions)) == (2, 1)
    a.beat()
    assert {number for _, number in a.partitions} == {0, 1, 2, 3}


def test_topics_that_grow_appear_or_go_are_noticed_with_the_next_heartbeat() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a = Consumer(world, "a", "t", "later")
    a.join()
    world.create_topic("t", 6)
    a.beat()
    assert len(a.partitions) == 6
    world.create_topic("later", 1)
    a.beat()
    assert len(a.partitions) == 7
    world.delete_topic("t")
    settle(world, a, rounds=2)
    assert len(a.partitions) == 1
    before = len(world.log)
    world.create_topic("foreign", 1)
    a.beat()
    assert len(world.log) == before


# -- leaving -------------------------------------------------------------------------------------------------


def test_who_leaves_is_removed_and_its_partitions_go_to_the_others() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a, b = Consumer(world, "a", "t"), Consumer(world, "b", "t")
    a.join()
    b.join()
    settle(world, a, b, rounds=3)
    before = len(world.log)
    response = a.leave()
    assert (response.member_id, response.member_epoch, response.error_code) == ("a", -1, 0)
    assert kinds(world, before) == [
        "CurrentMemberAssignment gone",
        "TargetAssignmentMember gone",
        "MemberMetadata gone",
        "Metadata",
    ]
    assert not [key for key in world.timers() if "a" in key]
    b.beat()
    assert len(b.partitions) == 4


def test_who_is_silent_is_removed_when_its_session_ends() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    world.tick(44_999)
    assert group_of(world).members
    world.tick(1)
    assert not group_of(world).members and group_of(world).state.value == "Empty"


def test_a_removal_that_cannot_be_written_is_tried_again() -> None:
    world = a_world()
    world.call(joining("a", "t"))
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    world.tick(45_000)
    assert group_of(world).members
    world.writer.refusal = None
    world.tick(500)
    assert not group_of(world).members


def test_a_static_member_that_is_away_keeps_its_partitions_for_its_successor() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    s, b = Consumer(world, "s1", "t", instance_id="s"), Consumer(world, "b", "t")
    s.join()
    b.join()
    settle(world, s, b, rounds=3)
    before, held = len(world.log), s.partitions
    assert s.leave(-2).member_epoch == -2
    assert kinds(world, before) == ["CurrentMemberAssignment"]
    before, epoch = len(world.log), group_of(world).group_epoch
    again = Consumer(world, "s2", "t", instance_id="s")
    again.join()
    assert again.partitions == held and group_of(world).group_epoch == epoch
    assert kinds(world, before)[:6] == [
        "CurrentMemberAssignment gone",
        "TargetAssignmentMember gone",
        "MemberMetadata gone",
        "MemberMetadata",
        "TargetAssignmentMember",
        "CurrentMemberAssignment",
    ]
    assert group_of(world).static_members == {"s": "s2"} and "s1" not in group_of(world).members
    assert heartbeat_code(world, "s1", 3, "s") == ErrorCode.FENCED_INSTANCE_ID


def heartbeat_code(world: GroupWorld, member_id: str, epoch: int, instance_id: str) -> int:
    code: int = world.call(heartbeat(member_id, epoch, instance_id=instance_id)).error_code
    return code


def test_a_static_member_that_stays_away_is_removed() -> None:
    world = a_world()
    s = Consumer(world, "s1", "t", instance_id="s")
    s.join()
    world.tick(10_000)
    s.leave(-2)
    world.tick(34_999)
    assert group_of(world).members
    world.tick(1)
    assert not group_of(world).members and not group_of(world).static_members


def test_a_static_member_whose_join_was_answered_in_vain_joins_again() -> None:
    world = a_world()
    world.call(joining("s1", "t", instance_id="s"))
    response = world.call(joining("s1", "t", instance_id="s"))
    assert (response.error_code, response.member_epoch) == (0, 2) and response.assignment.topic_partitions


# -- what outlives a restart ---------------------------------------------------------------------------------


def test_after_a_restart_sessions_and_the_time_to_give_up_begin_anew() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a, b = Consumer(world, "a", "t"), Consumer(world, "b", "t")
    a.join()
    b.join()
    a.slow = True
    a.beat()
    world.tick(20_000)
    world.restart()
    timers = world.timers()
    assert (timers["consumer session", "g", "a"], timers["consumer session", "g", "b"]) == (45_000, 45_000)
    assert timers["consumer rebalance", "g", "a"] == 30_000
    settle(world, a, b, rounds=3)
    assert len(a.partitions) == len(b.partitions) == 2


def test_an_answer_waits_until_its_records_are_committed() -> None:
    world = a_world()
    world.writer.commits_at_once = False
    answer = world.send(joining("a", "t"))
    assert answer.response is None
    world.commit()
    assert answer.response.member_epoch == 2


def test_an_empty_group_can_be_deleted_and_leaves_no_record() -> None:
    world = a_world()
    world.call(joining("a", subscribed_topic_regex="t"))
    delete = DeleteGroupsRequest(groups_names=["g"])
    assert world.call(delete).results[0].error_code == ErrorCode.NON_EMPTY_GROUP
    world.call(heartbeat("a", -1))
    assert world.call(delete).results[0].error_code == 0
    assert not world.shard.state.groups
    last = {str(record.key): record.value for record in world.records()}
    assert set(last.values()) == {None}
    world.restart()
    assert not world.shard.state.groups


# -- offsets -------------------------------------------------------------------------------------------------


def commit(world: GroupWorld, member_id: str, epoch: int, partition: int, version: int = 9) -> int:
    response = world.call(
        OffsetCommitRequest(
            group_id="g",
            member_id=member_id,
            generation_id_or_member_epoch=epoch,
            topics=[
                OffsetCommitRequest.OffsetCommitRequestTopic(
                    name="t",
                    partitions=[
                        OffsetCommitRequest.OffsetCommitRequestPartition(
                            partition_index=partition, committed_offset=1
                        )
                    ],
                )
            ],
        ),
        version,
    )
    code: int = response.topics[0].partitions[0].error_code
    return code


def test_commits_are_judged_by_the_epoch_in_which_the_partition_was_given() -> None:
    world = a_world(consumer_assignment_interval_ms=0)
    a, b = Consumer(world, "a", "t"), Consumer(world, "b", "t")
    a.join()
    b.join()
    settle(world, a, b, rounds=3)
    kept = min(number for _, number in a.partitions)
    given = min(number for _, number in b.partitions)
    assert a.epoch == b.epoch == 3
    assert commit(world, "a", 3, kept) == 0
    assert commit(world, "a", 2, kept) == 0  # its own since epoch 2
    assert commit(world, "a", 1, kept) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(world, "a", 2, given) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(world, "b", 2, given) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(world, "b", 4, given) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(world, "c", 3, given) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(world, "", -1, given) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(world, "a", 3, kept, version=8) == ErrorCode.UNSUPPORTED_VERSION


def test_members_that_fetch_offsets_say_in_which_epoch_they_are() -> None:
    world = a_world()
    world.call(joining("a", "t"))

    def code(member_id: str | None, epoch: int) -> int:
        group = OffsetFetchRequest.OffsetFetchRequestGroup(
            group_id="g", member_id=member_id, member_epoch=epoch, topics=None
        )
        found: int = world.call(OffsetFetchRequest(groups=[group]), 9).groups[0].error_code
        return found

    assert code("a", 2) == 0 and code(None, -1) == 0
    assert code("a", 1) == code("a", 3) == ErrorCode.STALE_MEMBER_EPOCH
    assert code("b", 2) == ErrorCode.UNKNOWN_MEMBER_ID
