"""Classic groups over the wire: finding the coordinator, every version of every request, and who may not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from logd.authorisation import Operation, ResourceType
from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.heartbeat import HeartbeatRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.message import Message
from protocol.messages.sync_group import SyncGroupRequest
from storage.fs.faulty import Loss
from tests.support.node import Node, a_while, play

GROUP_TOPIC = "__consumer_offsets"
GROUP, TRANSACTION, SHARE = 0, 1, 2


def join_request(member_id: str = "", group_id: str = "g", **fields: Any) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"topics")],
        **fields,
    )


def sync_request(
    member_id: str, generation_id: int, *, leads: bool = False, **fields: Any
) -> SyncGroupRequest:
    share = SyncGroupRequest.SyncGroupRequestAssignment(member_id=member_id, assignment=b"share")
    return SyncGroupRequest(
        group_id="g",
        generation_id=generation_id,
        member_id=member_id,
        assignments=[share] if leads else [],
        **{"protocol_type": "consumer", "protocol_name": "range"} | fields,
    )


def leave_request(member_id: str, version: int) -> LeaveGroupRequest:
    if version < 3:
        return LeaveGroupRequest(group_id="g", member_id=member_id)
    return LeaveGroupRequest(group_id="g", members=[LeaveGroupRequest.MemberIdentity(member_id=member_id)])


async def find(client: Client, *keys: str, key_type: int = GROUP, version: int = 6) -> Any:
    """Return the answers for all keys."""
    if version < 4:
        (key,) = keys
        return [await client.call(FindCoordinatorRequest(key=key, key_type=key_type), version=version)]
    request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=list(keys))
    return (await client.call(request, version=version)).coordinators


async def join(client: Client, version: int = 9) -> Any:
    """Join as a new member; return the answer that ends it."""
    answer = await client.call(join_request(), version=version)
    if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        assert version >= 4
        answer = await client.call(join_request(answer.member_id), version=version)
    return answer


async def rebalancing(client: Client, member_id: str) -> None:
    """Return when somebody new has joined, and waits for the only member there was."""
    beat = HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id)
    while (code := (await client.call(beat)).error_code) == ErrorCode.NONE:
        await asyncio.sleep(0.001)
    assert code == ErrorCode.REBALANCE_IN_PROGRESS


# -- finding the coordinator -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(7))
def test_the_first_to_look_has_the_topic_made_and_is_told_where(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        (found,) = await find(client, "g", version=version)
        assert (found.error_code, found.node_id) == (ErrorCode.NONE, node.broker.node_id)
        assert (found.host, found.port) == ("127.0.0.1", node.port)
        topic = node.broker.metadata.image.topics[GROUP_TOPIC]
        assert (len(topic.partitions), topic.internal) == (50, True)
        assert (await join(client)).error_code == ErrorCode.NONE

    play(scenario)


def test_many_keys_are_answered_one_by_one() -> None:
    async def scenario(node: Node) -> None:
        found = await find(await node.client(), "a", "b", "", "a")
        assert [(each.key, each.error_code) for each in found] == [("a", 0), ("b", 0), ("", 0), ("a", 0)]

    play(scenario)


def test_what_has_no_coordinator() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        for key_type, version, code in (
            (SHARE, 6, ErrorCode.INVALID_REQUEST),
            (SHARE, 5, ErrorCode.INVALID_REQUEST),
            (7, 4, ErrorCode.INVALID_REQUEST),
            (-1, 1, ErrorCode.INVALID_REQUEST),
        ):
            (found,) = await find(client, "k", key_type=key_type, version=version)
            assert found.error_code == code
            assert (found.node_id, found.host, found.port) == (-1, "", -1)
            assert found.error_message
        assert GROUP_TOPIC not in node.broker.metadata.image.topics

    play(scenario)


def test_a_coordinator_whose_disk_failed_is_not_available() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await find(client, "g")
        node.broker.replicas.is_offline = lambda topic, index: topic == GROUP_TOPIC  # type: ignore[method-assign]
        (found,) = await find(client, "g")
        assert found.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE

    play(scenario)


# -- members -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(10))
def test_a_member_comes_and_goes_in_every_version(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client("app")
        await find(client, "g")
        joined = await join(client, version)
        assert (joined.error_code, joined.generation_id, joined.leader) == (0, 1, joined.member_id)
        assert joined.member_id.startswith("app-")
        assert joined.protocol_name == "range"
        assert [(each.member_id, each.metadata) for each in joined.members] == [(joined.member_id, b"topics")]
        synced = await client.call(sync_request(joined.member_id, 1, leads=True), version=min(version, 5))
        assert (synced.error_code, synced.assignment) == (0, b"share")
        beat = HeartbeatRequest(group_id="g", generation_id=1, member_id=joined.member_id)
        assert (await client.call(beat, version=min(version, 4))).error_code == 0
        left = await client.call(leave_request(joined.member_id, min(version, 5)), version=min(version, 5))
        assert left.error_code == 0
        gone = await client.call(leave_request(joined.member_id, min(version, 5)), version=min(version, 5))
        codes = [gone.error_code] if version < 3 else [each.error_code for each in gone.members]
        assert codes == [ErrorCode.UNKNOWN_MEMBER_ID]

    play(scenario)


@pytest.mark.parametrize("version", range(10))
def test_what_a_refused_join_tells_in_every_version(version: int) -> None:
    """Before version 7 the protocol is not null."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await find(client, "g")
        await join(client)
        refused = await client.call(join_request("nobody"), version=version)
        assert (refused.error_code, refused.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "nobody")
        assert (refused.generation_id, refused.leader) == (-1, "")
        assert refused.protocol_name == ("" if version < 7 else None)

    play(scenario)


def test_members_wait_for_each_other() -> None:
    async def scenario(node: Node) -> None:
        one, two = await node.client(), await node.client()
        await find(one, "g")
        first = await join(one)
        second = asyncio.ensure_future(join(two))
        await rebalancing(one, first.member_id)
        await a_while()
        assert not second.done()
        again = await one.call(join_request(first.member_id))
        told = await second
        assert (again.generation_id, told.generation_id, told.leader) == (2, 2, first.member_id)
        synced = asyncio.ensure_future(two.call(sync_request(told.member_id, 2)))
        await a_while()
        assert not synced.done()
        await one.call(sync_request(first.member_id, 2, leads=True))
        assert (await synced).assignment == b""

    play(scenario)


def test_who_waits_when_the_node_stops_is_told() -> None:
    async def scenario(node: Node) -> None:
        one, two = await node.client(), await node.client()
        await find(one, "g")
        first = await join(one)
        waiting = asyncio.ensure_future(join(two))
        await rebalancing(one, first.member_id)
        node.broker.groups.stop()
        assert (await waiting).error_code == ErrorCode.NOT_COORDINATOR

    play(scenario)


@pytest.mark.parametrize("crash", [False, True])
def test_a_group_outlives_the_broker(crash: bool) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await find(client, "g")
        joined = await join(client)
        await client.call(sync_request(joined.member_id, 1, leads=True))
        if crash:
            await node.crash(Loss.NONE)
        else:
            await node.restart()
        client = await node.client()
        beat = HeartbeatRequest(group_id="g", generation_id=1, member_id=joined.member_id)
        assert (await client.call(beat)).error_code == 0
        synced = await client.call(sync_request(joined.member_id, 1))
        while synced.error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            await a_while()
            synced = await client.call(sync_request(joined.member_id, 1))
        assert synced.assignment == b"share"

    play(scenario)


def test_heartbeats_are_fine_while_the_coordinator_loads() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await find(client, "g")
        joined = await join(client)
        await client.call(sync_request(joined.member_id, 1, leads=True))
        await node.restart()
        client = await node.client()
        beat = HeartbeatRequest(group_id="g", generation_id=1, member_id="whoever")
        code = (await client.call(beat)).error_code
        assert code == ErrorCode.NONE  # nobody has asked before: loading begins now
        while code == ErrorCode.NONE:
            code = (await client.call(beat)).error_code
        assert code == ErrorCode.UNKNOWN_MEMBER_ID

    play(scenario)


# -- refusals ----------------------------------------------------------------------------------------------

OF_MEMBERS: list[Message] = [
    join_request(),
    sync_request("m", 1),
    HeartbeatRequest(group_id="g", generation_id=1, member_id="m"),
    leave_request("m", 5),
]


def _named(request: Message) -> str:
    return type(request).__name__


@pytest.mark.parametrize("request_", OF_MEMBERS, ids=_named)
def test_without_the_topic_nobody_coordinates(request_: Message) -> None:
    async def scenario(node: Node) -> None:
        answer = await (await node.client()).call(request_)
        assert answer.error_code == ErrorCode.NOT_COORDINATOR

    play(scenario)


@pytest.mark.parametrize("request_", OF_MEMBERS, ids=_named)
def test_a_group_needs_a_name(request_: Any) -> None:
    async def scenario(node: Node) -> None:
        request_.group_id = ""
        answer = await (await node.client()).call(request_)
        request_.group_id = "g"
        assert answer.error_code == ErrorCode.INVALID_GROUP_ID

    play(scenario)


@pytest.mark.parametrize("request_", OF_MEMBERS, ids=_named)
def test_who_may_not_read_a_group_is_no_member(request_: Message) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await find(client, "g")
        node.broker.authorise = lambda _context, operation, resource, name: (
            (operation, resource, name) != (Operation.READ, ResourceType.GROUP, "g")
        )
        assert (await client.call(request_)).error_code == ErrorCode.GROUP_AUTHORIZATION_FAILED

    play(scenario)


def test_who_may_not_describe_does_not_find() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        node.broker.authorise = lambda _context, operation, _resource, name: (
            (operation, name) != (Operation.DESCRIBE, "mine")
        )
        found = await find(client, "mine", "yours")
        assert [each.error_code for each in found] == [
            ErrorCode.GROUP_AUTHORIZATION_FAILED,
            ErrorCode.NONE,
        ]
        (found,) = await find(client, "mine", key_type=TRANSACTION)
        assert found.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED

    play(scenario)


@pytest.mark.parametrize("missing", ["protocol_type", "protocol_name"])
def test_from_version_5_on_a_sync_tells_its_protocol(missing: str) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        request = sync_request("m", 1, **{missing: None})
        code = (await client.call(request, version=5)).error_code
        assert code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        assert (await client.call(request, version=4)).error_code == ErrorCode.NOT_COORDINATOR

    play(scenario)
