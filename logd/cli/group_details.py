"""What a coordinator says of one group: its state and members, alike for classic and for consumer groups (KIP-848)."""

from __future__ import annotations

from struct import error as StructError
from struct import unpack_from
from typing import NamedTuple

from logd.cli import output
from logd.cli.groups import CLASSIC, CONSUMER, unknown_group
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.codec import decode
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from protocol.messages.consumer_protocol import ConsumerProtocolAssignment
from protocol.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse

Assignment = dict[str, list[int]]
"""Partitions by topic, both in order."""

_DEAD = "Dead"
_EMPTY = "Empty"


class Member(NamedTuple):
    """A member of a group."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    epoch: int | None
    """None in a classic group, where all members share the generation."""
    assignment: Assignment | None
    """What it owns; None where that is not written as consumers do."""
    target: Assignment | None
    """What it is to own; None in a classic group."""


class Group(NamedTuple):
    """A group and its members."""

    group_id: str
    type: str
    state: str
    assignor: str
    """What assigns partitions; empty while that is not settled."""
    protocol_type: str
    epoch: int | None
    """None for a classic group: its generation is not told."""
    members: list[Member]

    @property
    def is_live(self) -> bool:
        return self.state not in (_EMPTY, _DEAD)


async def describe_group(cluster: ClusterClient, coordinator: Client, group_id: str) -> Group:
    """Describe a group of either protocol. Raises BrokerError, GROUP_ID_NOT_FOUND where there is none."""
    if ConsumerGroupDescribeRequest.API_KEY in coordinator.versions:
        request = ConsumerGroupDescribeRequest(group_ids=[group_id])
        response: ConsumerGroupDescribeResponse = await cluster.call_on(coordinator, request)
        modern = response.groups[0]
        if modern.error_code == ErrorCode.NONE:
            return _modern(modern)
        if modern.error_code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise broker_error(modern.error_code, modern.error_message)
    answer: DescribeGroupsResponse = await cluster.call_on(
        coordinator, DescribeGroupsRequest(groups=[group_id])
    )
    classic = answer.groups[0]
    if classic.error_code == ErrorCode.GROUP_ID_NOT_FOUND or classic.group_state == _DEAD:
        raise unknown_group(group_id)
    if classic.error_code != ErrorCode.NONE:
        raise broker_error(classic.error_code, classic.error_message)
    return _classic(classic)


async def count_members(
    cluster: ClusterClient, coordinator: Client, group_type: str, group_ids: list[str]
) -> dict[str, int]:
    """How many members groups of one type have; left out is what is not described."""
    if group_type == CONSUMER:
        request = ConsumerGroupDescribeRequest(group_ids=group_ids)
        modern: ConsumerGroupDescribeResponse = await cluster.call_on(coordinator, request)
        return {row.group_id: len(row.members) for row in modern.groups if row.error_code == ErrorCode.NONE}
    if group_type == CLASSIC:
        classic: DescribeGroupsResponse = await cluster.call_on(
            coordinator, DescribeGroupsRequest(groups=group_ids)
        )
        return {row.group_id: len(row.members) for row in classic.groups if row.error_code == ErrorCode.NONE}
    return {}


def live_group(group: Group) -> BrokerError:
    """Why the offsets of a group with members cannot be set: the members' next commits would undo it."""
    members = output.format_count(len(group.members), "member")
    text = f"group {group.group_id} is {group.state} with {members}; stop them first"
    return BrokerError(ErrorCode.NON_EMPTY_GROUP, text)


def _modern(row: ConsumerGroupDescribeResponse.DescribedGroup) -> Group:
    members = [
        Member(
            each.member_id,
            each.instance_id,
            each.client_id,
            each.client_host.removeprefix("/"),
            each.member_epoch,
            _by_name(each.assignment),
            _by_name(each.target_assignment),
        )
        for each in row.members
    ]
    return Group(
        row.group_id,
        CONSUMER,
        row.group_state,
        row.assignor_name,
        "consumer",
        row.group_epoch,
        _sorted(members),
    )


def _by_name(assignment: ConsumerGroupDescribeResponse.Assignment | None) -> Assignment:
    topics = [] if assignment is None else assignment.topic_partitions
    return {
        each.topic_name: sorted(each.partitions) for each in sorted(topics, key=lambda row: row.topic_name)
    }


def _classic(row: DescribeGroupsResponse.DescribedGroup) -> Group:
    members = [
        Member(
            each.member_id,
            each.group_instance_id,
            each.client_id,
            each.client_host.removeprefix("/"),
            None,
            _parsed(each.member_assignment) if row.protocol_type == "consumer" else None,
            None,
        )
        for each in row.members
    ]
    return Group(
        row.group_id, CLASSIC, row.group_state, row.protocol_data, row.protocol_type, None, _sorted(members)
    )


def _parsed(data: bytes) -> Assignment | None:
    """What a consumer was assigned, as the leader of its group wrote it. Empty while it has not."""
    if not data:
        return {}
    try:
        (version,) = unpack_from(">h", data)
        # Later versions only add to the end.
        latest = ConsumerProtocolAssignment.VERSIONS[1]
        written = decode(ConsumerProtocolAssignment, max(0, min(version, latest)), data, 2)
    except (ProtocolViolation, StructError):
        return None
    found: dict[str, list[int]] = {}
    for topic in written.assigned_partitions:
        found.setdefault(topic.topic, []).extend(topic.partitions)
    return {name: sorted(found[name]) for name in sorted(found)}


def _sorted(members: list[Member]) -> list[Member]:
    return sorted(members, key=lambda member: (member.instance_id or "", member.member_id))
