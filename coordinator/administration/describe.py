"""DescribeGroups: the members of classic groups.

A group that is not there, or is none of these, is told as dead; from version 6 on with GROUP_ID_NOT_FOUND (KIP-1043).
What the protocol has of a member, and which protocol, is told only while the group is stable.
Source: Kafka GroupMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.classic.group import ClassicGroup
from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode
from protocol.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_NOT_FOUND: Final = 6

_Described = DescribeGroupsResponse.DescribedGroup
_Member = DescribeGroupsResponse.DescribedGroupMember


def describe(state: GroupState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Answer for every group of the request; all belong to this shard."""
    request = cast("DescribeGroupsRequest", call.request)
    groups = []
    for group_id in request.groups:
        group = state.groups.get(group_id)
        if isinstance(group, ClassicGroup):
            groups.append(_described(group))
        else:
            groups.append(_dead(group_id, call.caller.version))
    effects.answer(call.waiter, DescribeGroupsResponse(groups=groups))


def _described(group: ClassicGroup) -> _Described:
    stable = group.state is ClassicState.STABLE
    name = group.protocol_name if stable else None
    return _Described(
        group_id=group.group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=name or "",
        members=[
            _Member(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=b"" if name is None else member.protocols[name],
                member_assignment=member.assignment,
            )
            for member in group.members.values()
        ],
    )


def _dead(group_id: str, version: int) -> _Described:
    described = _Described(group_id=group_id, group_state=ClassicState.DEAD.value)
    if version >= _FIRST_VERSION_WITH_NOT_FOUND:
        described.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        described.error_message = f"There is no classic group {group_id}."
    return described
