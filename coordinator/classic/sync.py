"""SyncGroup: a member asks for its assignment; the leader brings those of all.

Versions 0–5. 3: static members (KIP-345). 5: protocol type and name are told, and checked (KIP-559).
Source: Kafka group-coordinator, GroupMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from coordinator.classic.answers import answer_sync, refuse_sync
from coordinator.classic.group import ClassicGroup
from coordinator.classic.rebalance import prepare_rebalance, renew_session
from coordinator.classic.records import write_group
from coordinator.classic.states import ClassicState
from coordinator.consumer.classic_members import sync_consumers
from coordinator.consumer.group import ConsumerGroup
from coordinator.shard import Call
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.classic.member import ClassicMember
    from coordinator.group_state import GroupState
    from coordinator.shard import AppendRefused, Effects
    from protocol.messages.sync_group import SyncGroupRequest
    from protocol.types import TimestampMs


def sync(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Answer with the assignment as soon as there is one."""
    request = cast("SyncGroupRequest", call.request)
    group = state.groups.get(request.group_id)
    if isinstance(group, ConsumerGroup):
        sync_consumers(state, group, call, now_ms, effects)
        return
    if group is None:
        refuse_sync(call, ErrorCode.UNKNOWN_MEMBER_ID, effects)
        return
    code = _refusal(group, request)
    if code is not ErrorCode.NONE:
        refuse_sync(call, code, effects)
        return
    member = group.members[request.member_id]
    group.pending_sync.discard(member.member_id)
    if not group.pending_sync:
        effects.cancel_timer(group.sync_timer)
    if group.state is ClassicState.STABLE:
        renew_session(member, now_ms, effects)
        answer_sync(group, member.assignment, call, effects)
        return
    if member.sync is not None:  # given up by the client, which asks again
        refuse_sync(member.sync, ErrorCode.REBALANCE_IN_PROGRESS, effects)
    member.sync = call
    if group.leader_id == member.member_id:
        _assign(group, request, now_ms, effects)


def sync_not_written(
    state: GroupState, refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """The log could not take in the assignment, and all who waited for it know: begin anew."""
    assert isinstance(refused.event, Call)
    group = state.groups.get(cast("SyncGroupRequest", refused.event.request).group_id)
    if not isinstance(group, ClassicGroup) or group.state is not ClassicState.COMPLETING_REBALANCE:
        return
    for member in group.members.values():
        renew_session(member, now_ms, effects)
    prepare_rebalance(state, group, now_ms, effects)


def _refusal(group: ClassicGroup, request: SyncGroupRequest) -> ErrorCode:
    code = group.refusal(request.member_id, request.group_instance_id)
    if code is not ErrorCode.NONE:
        return code
    if request.generation_id != group.generation_id:
        return ErrorCode.ILLEGAL_GENERATION
    if request.protocol_type not in (None, group.protocol_type):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if request.protocol_name not in (None, group.protocol_name):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.state is ClassicState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _assign(group: ClassicGroup, request: SyncGroupRequest, now_ms: TimestampMs, effects: Effects) -> None:
    """Propose the leader's assignment, and tell it to all who wait. Who is not in it gets an empty one."""
    assignments = {each.member_id: each.assignment for each in request.assignments}
    write_group(group, effects, assignments=assignments)
    for member in group.members.values():
        _tell(group, member, assignments.get(member.member_id, b""), now_ms, effects)


def _tell(
    group: ClassicGroup, member: ClassicMember, assignment: bytes, now_ms: TimestampMs, effects: Effects
) -> None:
    if member.sync is not None:
        answer_sync(group, assignment, member.sync, effects)
        member.sync = None
        renew_session(member, now_ms, effects)
