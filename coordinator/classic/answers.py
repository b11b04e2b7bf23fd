"""Answers to JoinGroup and SyncGroup, which may come long after the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from protocol.errors import ErrorCode
from protocol.messages.join_group import JoinGroupResponse
from protocol.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coordinator.classic.group import ClassicGroup
    from coordinator.classic.member import ClassicMember
    from coordinator.shard import Call, Effects
    from protocol.messages.join_group import JoinGroupRequest

_FIRST_JOIN_VERSION_WITH_NULL_PROTOCOL: Final = 7

#: Told where no member id is told.
NO_MEMBER: Final = ""


def join_request(call: Call) -> JoinGroupRequest:
    return cast("JoinGroupRequest", call.request)


def answer_member(group: ClassicGroup, member: ClassicMember, call: Call, effects: Effects) -> None:
    """Tell a member its generation; the leader also learns whom it is to assign to."""
    leads = group.leader_id == member.member_id
    roster = group.members.values() if leads else ()
    answer_join(group, member, call, effects, group.leader_id or "", roster)


def answer_join(
    group: ClassicGroup,
    member: ClassicMember,
    call: Call,
    effects: Effects,
    leader_id: str,
    roster: Iterable[ClassicMember] = (),
    *,
    skip_assignment: bool = False,
) -> None:
    """Tell a member its generation, with a leader and members who need not be those that the group has now."""
    name = group.protocol_name
    assert name is not None
    effects.answer(
        call.waiter,
        JoinGroupResponse(
            generation_id=group.generation_id,
            protocol_type=group.protocol_type,
            protocol_name=name,
            leader=leader_id,
            skip_assignment=skip_assignment,
            member_id=member.member_id,
            members=[
                JoinGroupResponse.JoinGroupResponseMember(
                    member_id=each.member_id,
                    group_instance_id=each.instance_id,
                    metadata=each.protocols[name],
                )
                for each in roster
            ],
        ),
    )


def refuse_join(
    call: Call,
    code: ErrorCode,
    effects: Effects,
    member_id: str = NO_MEMBER,
    *,
    protocol_name: str | None = "",
) -> None:
    """Refuse a JoinGroup; `member_id` is the one that the client is to know."""
    if protocol_name is None and call.caller.version < _FIRST_JOIN_VERSION_WITH_NULL_PROTOCOL:
        protocol_name = ""
    effects.answer(
        call.waiter, JoinGroupResponse(error_code=code, member_id=member_id, protocol_name=protocol_name)
    )


def answer_sync(group: ClassicGroup, assignment: bytes, call: Call, effects: Effects) -> None:
    effects.answer(
        call.waiter,
        SyncGroupResponse(
            protocol_type=group.protocol_type, protocol_name=group.protocol_name, assignment=assignment
        ),
    )


def refuse_sync(call: Call, code: ErrorCode, effects: Effects) -> None:
    effects.answer(call.waiter, SyncGroupResponse(error_code=code))


def dismiss(member: ClassicMember, code: ErrorCode, effects: Effects, told_id: str = NO_MEMBER) -> None:
    """Refuse whatever requests of a member wait: it is no member any more."""
    if member.join is not None:
        refuse_join(member.join, code, effects, told_id, protocol_name=None)
        member.join = None
    if member.sync is not None:
        refuse_sync(member.sync, code, effects)
        member.sync = None
