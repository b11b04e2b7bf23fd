"""Heartbeat: a member is alive, and learns whether it has to join again.

Versions 0–4. 3: static members (KIP-345). This is by far the most frequent request of groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coordinator.classic.states import ClassicState
from coordinator.consumer.classic_members import heartbeat_consumers
from coordinator.consumer.group import ConsumerGroup
from protocol.errors import ErrorCode
from protocol.messages.heartbeat import HeartbeatResponse

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_NONE: Final = ErrorCode.NONE
_PREPARING: Final = ClassicState.PREPARING_REBALANCE

#: Answers are read and written to the wire, never changed, so one of each serves all.
_ALIVE: Final = HeartbeatResponse()
_REJOIN: Final = HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)
_REFUSALS: Final = {
    code: HeartbeatResponse(error_code=code)
    for code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID, ErrorCode.ILLEGAL_GENERATION)
}


def heartbeat(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Begin the member's session anew, also while it is to join again."""
    request: Any = call.request
    group = state.groups.get(request.group_id)
    if isinstance(group, ConsumerGroup):
        heartbeat_consumers(state, group, call, now_ms, effects)
        return
    if group is None:
        effects.answer(call.waiter, _REFUSALS[ErrorCode.UNKNOWN_MEMBER_ID])
        return
    code = group.refusal(request.member_id, request.group_instance_id)
    if code is _NONE and request.generation_id != group.generation_id:
        code = ErrorCode.ILLEGAL_GENERATION
    if code is not _NONE:
        effects.answer(call.waiter, _REFUSALS[code])
        return
    member = group.members[request.member_id]
    effects.set_timer(member.session_timer, now_ms + member.session_timeout_ms)
    effects.answer(call.waiter, _REJOIN if group.state is _PREPARING else _ALIVE)
