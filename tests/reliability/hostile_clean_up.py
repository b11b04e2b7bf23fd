"""Takes away what hostile frames that happened to be right have made of a broker's groups."""

from __future__ import annotations

from logd.clients.client import Client
from protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.describe_groups import DescribeGroupsRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.list_groups import ListGroupsRequest

_LEAVE = -1


async def remove_groups(client: Client) -> None:
    """Have every member of every group leave, and delete the groups with their offsets."""
    await client.call(FindCoordinatorRequest(key_type=0, coordinator_keys=["any"]))
    groups = (await client.call(ListGroupsRequest())).groups
    for group in groups:
        if group.group_type == "consumer":
            await _leave_consumer_group(client, group.group_id)
        else:
            await _leave_classic_group(client, group.group_id)
    names = [group.group_id for group in groups]
    if names:
        deleted = await client.call(DeleteGroupsRequest(groups_names=names))
        assert not any(result.error_code for result in deleted.results), deleted


async def _leave_classic_group(client: Client, group_id: str) -> None:
    described = await client.call(DescribeGroupsRequest(groups=[group_id]))
    members = [
        LeaveGroupRequest.MemberIdentity(member_id=member.member_id) for member in described.groups[0].members
    ]
    if members:
        await client.call(LeaveGroupRequest(group_id=group_id, members=members))


async def _leave_consumer_group(client: Client, group_id: str) -> None:
    described = await client.call(ConsumerGroupDescribeRequest(group_ids=[group_id]))
    for member in described.groups[0].members:
        leaving = ConsumerGroupHeartbeatRequest(
            group_id=group_id, member_id=member.member_id, member_epoch=_LEAVE, instance_id=member.instance_id
        )
        await client.call(leaving)
