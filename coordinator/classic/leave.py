"""LeaveGroup: members go, or are sent away by an administrator.

Versions 0–5. 0–2: one member; its error is that of the response. 3: many, each with its own error; a static member may
be named by its instance id alone (KIP-345). 5: reasons (KIP-800).
Source: Kafka group-coordinator, GroupMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.classic.answers import dismiss
from coordinator.classic.group import ClassicGroup
from coordinator.classic.rebalance import rebalance_or_complete_join
from coordinator.classic.sessions import PENDING_TIMER
from coordinator.classic.states import ClassicState
from coordinator.consumer.classic_members import leave_consumers
from coordinator.consumer.group import ConsumerGroup
from protocol.errors import ErrorCode
from protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_MANY: Final = 3

_Leaver = LeaveGroupRequest.MemberIdentity


def leave(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Let go of each member; those who stay rebalance."""
    request = cast("LeaveGroupRequest", call.request)
    group = state.groups.get(request.group_id)
    many = call.caller.version >= _FIRST_VERSION_WITH_MANY
    leavers = request.members if many else [_Leaver(member_id=request.member_id)]
    codes = [ErrorCode.UNKNOWN_MEMBER_ID] * len(leavers)
    if isinstance(group, ClassicGroup):
        codes = [_leave(group, leaver, effects) for leaver in leavers]
        if ErrorCode.NONE in codes and group.state is not ClassicState.EMPTY:
            rebalance_or_complete_join(state, group, now_ms, effects)
    elif isinstance(group, ConsumerGroup):
        codes = leave_consumers(state, group, leavers, now_ms, effects)
    effects.answer(call.waiter, _answer(leavers, codes) if many else LeaveGroupResponse(error_code=codes[0]))


def _leave(group: ClassicGroup, leaver: _Leaver, effects: Effects) -> ErrorCode:
    """Remove one member, if it is one."""
    member_id = leaver.member_id
    if not member_id and leaver.group_instance_id is not None:
        member_id = group.static_members.get(leaver.group_instance_id, "")
    elif member_id in group.pending_members:
        group.remove(member_id)
        effects.cancel_timer((PENDING_TIMER, group.group_id, member_id))
        return ErrorCode.NONE
    code = group.refusal(member_id, leaver.group_instance_id)
    if code is ErrorCode.NONE:
        member = group.members[member_id]
        group.remove(member_id)
        effects.cancel_timer(member.session_timer)
        dismiss(member, ErrorCode.UNKNOWN_MEMBER_ID, effects)
    return code


def _answer(leavers: list[_Leaver], codes: list[ErrorCode]) -> LeaveGroupResponse:
    return LeaveGroupResponse(
        members=[
            LeaveGroupResponse.MemberResponse(
                member_id=leaver.member_id, group_instance_id=leaver.group_instance_id, error_code=code
            )
            for leaver, code in zip(leavers, codes, strict=True)
        ]
    )
