"""Goal: offsets and administration of groups over real sockets: layouts, many groups at once, rights, crashes.

Method: a node in the test's process. What is decided, in every version and state, is tested in tests/unit/coordinator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from logd.authorisation import Operation
from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.describe_groups import DescribeGroupsRequest
from protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from protocol.messages.offset_commit import OffsetCommitRequest
from protocol.messages.offset_delete import OffsetDeleteRequest
from protocol.messages.offset_fetch import OffsetFetchRequest
from storage.fs.faulty import Loss
from tests.support.node import Node, a_while, play
from tests.support.node_talk import delete_topic, groups_loaded, topic_with

CODE = ErrorCode
FEW = "offsets.topic.num.partitions=3"
GROUPS = [f"group-{number}" for number in range(12)]
"""On all of the partitions."""

Rows = dict[tuple[str, int], tuple[int, ErrorCode]]
"""Offset and code by topic and partition."""


async def commit(
    client: Client, group: str, *offsets: tuple[str, int, int], version: int = 9
) -> list[ErrorCode]:
    """Commit (topic, partition, offset), each in an entry of its own; return the codes as they come."""
    topics = [
        OffsetCommitRequest.OffsetCommitRequestTopic(
            name=topic,
            partitions=[
                OffsetCommitRequest.OffsetCommitRequestPartition(
                    partition_index=index, committed_offset=offset
                )
            ],
        )
        for topic, index, offset in offsets
    ]
    response = await client.call(OffsetCommitRequest(group_id=group, topics=topics), version=version)
    return [ErrorCode(row.error_code) for topic in response.topics for row in topic.partitions]


async def fetch(client: Client, group: str, topics: list[str] | None = None, version: int = 9) -> Rows:
    """Fetch partition 0 of topics, or all that is committed."""
    if version < 8:
        flat = OffsetFetchRequest.OffsetFetchRequestTopic
        asked = None if topics is None else [flat(name=name, partition_indexes=[0]) for name in topics]
        answer = await client.call(OffsetFetchRequest(group_id=group, topics=asked), version=version)
    else:
        new = OffsetFetchRequest.OffsetFetchRequestTopics
        one = OffsetFetchRequest.OffsetFetchRequestGroup(
            group_id=group,
            topics=None if topics is None else [new(name=name, partition_indexes=[0]) for name in topics],
        )
        answer = (await client.call(OffsetFetchRequest(groups=[one]), version=version)).groups[0]
    if answer.error_code:
        return {("", -1): (-1, ErrorCode(answer.error_code))}
    return {
        (topic.name, row.partition_index): (row.committed_offset, ErrorCode(row.error_code))
        for topic in answer.topics
        for row in topic.partitions
    }


async def listed(client: Client) -> list[str]:
    response = await client.call(ListGroupsRequest(), version=5)
    assert response.error_code == CODE.NONE
    return sorted(group.group_id for group in response.groups)


def deny(node: Node, *denied: tuple[Operation, str]) -> None:
    node.broker.authorise = lambda _context, operation, _type, name: (operation, name) not in denied


# -- many groups ---------------------------------------------------------------------------------------------


def test_many_groups_on_many_partitions() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        for number, group in enumerate(GROUPS):
            assert await commit(client, group, ("t", 0, number)) == [CODE.NONE]
        assert await listed(client) == sorted(GROUPS)

        new = OffsetFetchRequest.OffsetFetchRequestGroup
        request = OffsetFetchRequest(groups=[new(group_id=group, topics=None) for group in GROUPS])
        for version in (8, 9):
            answers = (await client.call(request, version=version)).groups
            assert [
                (answer.group_id, answer.topics[0].partitions[0].committed_offset) for answer in answers
            ] == [(group, number) for number, group in enumerate(GROUPS)]

        named = [*GROUPS, "unknown", GROUPS[0]]
        described = (await client.call(DescribeGroupsRequest(groups=named), version=6)).groups
        assert {group.group_id: (group.group_state, group.error_code) for group in described} == {
            **dict.fromkeys(GROUPS, ("Empty", CODE.NONE)),
            "unknown": ("Dead", CODE.GROUP_ID_NOT_FOUND),
        }
        assert len(described) == len(GROUPS) + 1

        doomed = [*GROUPS[:6], "unknown", GROUPS[0]]
        results = (await client.call(DeleteGroupsRequest(groups_names=doomed), version=3)).results
        assert {result.group_id: result.error_code for result in results} == {
            **dict.fromkeys(GROUPS[:6], CODE.NONE),
            "unknown": CODE.GROUP_ID_NOT_FOUND,
        }
        assert len(results) == 7
        assert await listed(client) == sorted(GROUPS[6:])

    play(scenario, FEW)


def test_a_group_that_is_named_twice_is_told_once() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        await commit(client, "g", ("t", 0, 5))
        new = OffsetFetchRequest.OffsetFetchRequestGroup
        request = OffsetFetchRequest(groups=[new(group_id="g", topics=None) for _ in range(3)])
        answers = (await client.call(request, version=9)).groups
        repeated = CODE.INVALID_REQUEST
        assert [answer.error_code for answer in answers] == [CODE.NONE, repeated, repeated]
        assert [len(answer.topics) for answer in answers] == [1, 0, 0]

    play(scenario, FEW)


@pytest.mark.parametrize("version", [1, 2, 7, 8, 9])
def test_without_a_coordinator_all_are_told(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        none = CODE.NOT_COORDINATOR
        assert await commit(client, "g", ("t", 0, 5), ("x", 0, 5)) == [none, none]
        place = ("t", 0) if version == 1 else ("", -1)
        assert await fetch(client, "g", ["t"], version) == {place: (-1, none)}
        described = await client.call(DescribeGroupsRequest(groups=["g"]), version=5)
        assert [group.error_code for group in described.groups] == [none]
        deleted = await client.call(DeleteGroupsRequest(groups_names=["g"]), version=2)
        assert [result.error_code for result in deleted.results] == [none]
        forgotten = await client.call(OffsetDeleteRequest(group_id="g"), version=0)
        assert forgotten.error_code == none
        assert await listed(client) == []

    play(scenario, FEW)


# -- rights --------------------------------------------------------------------------------------------------


def test_who_may_not_read_a_topic_commits_the_others() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        await topic_with(client, 1, name="u")
        deny(node, (Operation.READ, "t"), (Operation.DESCRIBE, "t"), (Operation.READ, "mine"))
        denied = CODE.TOPIC_AUTHORIZATION_FAILED
        assert await commit(client, "g", ("t", 0, 5), ("u", 0, 6)) == [denied, CODE.NONE]
        assert await commit(client, "g", ("t", 0, 5)) == [denied]
        assert await commit(client, "mine", ("u", 0, 5)) == [CODE.GROUP_AUTHORIZATION_FAILED]
        deny(node)
        assert await fetch(client, "g") == {("u", 0): (6, CODE.NONE)}

    play(scenario, FEW)


@pytest.mark.parametrize("version", [1, 2, 7, 8, 9])
def test_who_may_not_know_of_a_topic_sees_the_others(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        await topic_with(client, 1, name="u")
        await commit(client, "g", ("t", 0, 5), ("u", 0, 6))
        deny(node, (Operation.DESCRIBE, "t"), (Operation.DESCRIBE, "mine"))
        visible = {("u", 0): (6, CODE.NONE)}
        assert await fetch(client, "g", ["t", "u"], version) == {
            **visible,
            ("t", 0): (-1, CODE.TOPIC_AUTHORIZATION_FAILED),
        }
        if version > 1:
            assert await fetch(client, "g", None, version) == visible
        place = ("t", 0) if version == 1 else ("", -1)
        assert await fetch(client, "mine", ["t"], version) == {place: (-1, CODE.GROUP_AUTHORIZATION_FAILED)}

    play(scenario, FEW)


def test_rights_of_administration() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        await topic_with(client, 1, name="u")
        for group in ("mine", "yours"):
            await commit(client, group, ("t", 0, 5), ("u", 0, 6))
        deny(
            node,
            (Operation.DESCRIBE, "kafka-cluster"),
            (Operation.DESCRIBE, "yours"),
            (Operation.DELETE, "yours"),
            (Operation.READ, "t"),
        )
        refused = CODE.GROUP_AUTHORIZATION_FAILED
        assert await listed(client) == ["mine"]
        described = await client.call(
            DescribeGroupsRequest(groups=["mine", "yours"], include_authorized_operations=True), version=6
        )
        assert {group.group_id: group.error_code for group in described.groups} == {
            "mine": CODE.NONE,
            "yours": refused,
        }
        operations = {group.group_id: group.authorized_operations for group in described.groups}
        assert operations["mine"] == sum(1 << bit for bit in (3, 6, 8, 10, 11))
        assert operations["yours"] == -(2**31)

        topics = [
            OffsetDeleteRequest.OffsetDeleteRequestTopic(
                name=name,
                partitions=[OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=0)],
            )
            for name in ("t", "u")
        ]
        assert (
            await client.call(OffsetDeleteRequest(group_id="yours", topics=topics), version=0)
        ).error_code == refused
        answer = await client.call(OffsetDeleteRequest(group_id="mine", topics=topics), version=0)
        assert {topic.name: topic.partitions[0].error_code for topic in answer.topics} == {
            "t": CODE.TOPIC_AUTHORIZATION_FAILED,
            "u": CODE.NONE,
        }
        assert await fetch(client, "mine") == {("t", 0): (5, CODE.NONE)}
        deleted = await client.call(DeleteGroupsRequest(groups_names=["yours", "mine"]), version=3)
        assert {result.group_id: result.error_code for result in deleted.results} == {
            "yours": refused,
            "mine": CODE.NONE,
        }

    play(scenario, FEW)


# -- what becomes of them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Node.restart, lambda node: node.crash(Loss.NONE)], ids=["stop", "kill"])
def test_offsets_are_there_after_a_restart(end: Callable[[Node], object]) -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1, 1)
        for round_ in range(3):
            for group in GROUPS:
                await commit(client, group, ("t", 0, round_), ("t", 1, 7))
        await client.call(DeleteGroupsRequest(groups_names=[GROUPS[0]]), version=3)
        await end(node)  # type: ignore[misc]
        client = await groups_loaded(node)
        assert await listed(client) == sorted(GROUPS[1:])
        assert await fetch(client, GROUPS[0]) == {}
        for group in GROUPS[1:]:
            assert await fetch(client, group) == {("t", 0): (2, CODE.NONE), ("t", 1): (7, CODE.NONE)}

    play(scenario, FEW)


def test_while_groups_are_loaded_they_are_not_listed() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        for group in GROUPS:
            await commit(client, group, ("t", 0, 1))
        await node.restart()
        client = await node.client()
        early = await client.call(ListGroupsRequest(), version=5)
        assert isinstance(early, ListGroupsResponse)
        assert (early.error_code, early.groups) == (CODE.COORDINATOR_LOAD_IN_PROGRESS, [])
        await groups_loaded(node)
        assert await listed(client) == sorted(GROUPS)

    play(scenario, FEW)


def test_a_commit_is_answered_when_it_is_committed() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        follower_has = node.hold_high_watermark("__consumer_offsets")
        waiting = asyncio.ensure_future(commit(client, "g", ("t", 0, 5)))
        await a_while()
        assert not waiting.done()
        other = await node.client()
        reader = asyncio.ensure_future(fetch(other, "g"))
        await a_while()
        assert not reader.done()
        follower_has(1)
        assert await waiting == [CODE.NONE]
        assert await reader == {("t", 0): (5, CODE.NONE)}

    play(scenario, "offsets.topic.num.partitions=1")


def test_offsets_go_with_their_topic() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        topic_id = await topic_with(client, 1)
        await topic_with(client, 1, name="u")
        for group in GROUPS:
            await commit(client, group, ("t", 0, 1), ("u", 0, 2))
        await delete_topic(client, topic_id)
        await topic_with(client, 1)
        for group in GROUPS:
            assert await fetch(client, group) == {("u", 0): (2, CODE.NONE)}
            assert await fetch(client, group, ["t"]) == {("t", 0): (-1, CODE.NONE)}

    play(scenario, FEW)


def test_metadata_may_be_as_long_as_the_property_says() -> None:
    async def scenario(node: Node) -> None:
        client = await groups_loaded(node)
        await topic_with(client, 1)
        for length, expected in ((5, CODE.NONE), (6, CODE.OFFSET_METADATA_TOO_LARGE)):
            row = OffsetCommitRequest.OffsetCommitRequestPartition(committed_metadata="x" * length)
            topic = OffsetCommitRequest.OffsetCommitRequestTopic(name="t", partitions=[row])
            answer = await client.call(OffsetCommitRequest(group_id="g", topics=[topic]), version=9)
            assert answer.topics[0].partitions[0].error_code == expected

    play(scenario, FEW, "offset.metadata.max.bytes=5")
