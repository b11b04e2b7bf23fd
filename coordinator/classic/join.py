"""JoinGroup: a member comes, comes back, or asks for a rebalance.

Versions 0–9. 0: the session timeout is the rebalance timeout, too. 4: a dynamic member comes without an id, gets one
with MEMBER_ID_REQUIRED, and joins with that (KIP-394). 5: static members (KIP-345). 7: the protocol may be null.
9: a static leader that comes back is told to skip the assignment (KIP-814).
Source: Kafka group-coordinator, GroupMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.classic.answers import answer_member, join_request, refuse_join
from coordinator.classic.group import ClassicGroup
from coordinator.classic.member import ClassicMember
from coordinator.classic.rebalance import complete_join_if_over, rebalance_or_complete_join
from coordinator.classic.records import write_new_group
from coordinator.classic.sessions import PENDING_TIMER
from coordinator.classic.states import ClassicState
from coordinator.classic.static_members import come_back
from coordinator.consumer.classic_members import join_consumers
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.records import group_gone
from coordinator.shard import Call
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import AppendRefused, Effects
    from protocol.messages.join_group import JoinGroupRequest
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_REBALANCE_TIMEOUT: Final = 1
_FIRST_VERSION_WITH_MEMBER_ID_REQUIRED: Final = 4

NEW_MEMBER_TIMEOUT_MS: Final = 300_000
"""How long a first JoinGroup is kept waiting: a client that gave up and came again counts as a member until then."""


def join(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Take a member in, if it may; it is answered when the join phase ends."""
    request = join_request(call)
    config = state.config
    if not config.session_timeout_ms_min <= request.session_timeout_ms <= config.session_timeout_ms_max:
        refuse_join(call, ErrorCode.INVALID_SESSION_TIMEOUT, effects, request.member_id)
        return
    group = state.groups.get(request.group_id)
    if isinstance(group, ConsumerGroup) and not group.is_empty:
        join_consumers(state, group, call, now_ms, effects)
        return
    if not isinstance(group, ClassicGroup):
        if request.member_id:
            refuse_join(call, ErrorCode.UNKNOWN_MEMBER_ID, effects, request.member_id)
            return
        group = _new_group(state, request.group_id, group, now_ms, effects)
    if not _has_room(state, group, request.member_id):
        removed = group.remove(request.member_id)
        if removed is not None:
            effects.cancel_timer(removed.session_timer)
        refuse_join(call, ErrorCode.GROUP_MAX_SIZE_REACHED, effects)
        complete_join_if_over(group, now_ms, effects)
    elif not group.supports(request.protocol_type, [protocol.name for protocol in request.protocols]):
        refuse_join(call, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, effects, request.member_id)
    elif request.member_id:
        _join_known(state, group, call, now_ms, effects)
    else:
        _join_unknown(state, group, call, now_ms, effects)


def join_not_written(
    state: GroupState, refused: AppendRefused, now_ms: TimestampMs, effects: Effects
) -> None:
    """The log could not take in that a group exists, or that a static member came back: neither is so."""
    assert isinstance(refused.event, Call)
    group_id = join_request(refused.event).group_id
    group = state.groups.get(group_id)
    if not isinstance(group, ClassicGroup):
        return
    group.replacements = {}
    if not group.written:
        if group.former is None:
            del state.groups[group_id]
        else:
            state.groups[group_id] = group.former
        for member in group.members.values():
            if member.join is not None:
                effects.refuse(member.join.waiter, refused.code)


def _new_group(
    state: GroupState,
    group_id: str,
    former: ConsumerGroup | None,
    now_ms: TimestampMs,
    effects: Effects,
) -> ClassicGroup:
    """Return a new group, which is written with what this event amounts to; one of consumers gives way to it."""
    if former is not None:
        group_gone(effects, former)
    group = state.groups[group_id] = ClassicGroup(group_id, now_ms)
    group.former = former
    write_new_group(group, effects)
    return group


def _has_room(state: GroupState, group: ClassicGroup, member_id: str) -> bool:
    """Whether the group may take the member in. While it rebalances, those who come first have the places."""
    size_max = state.config.group_size_max
    match group.state:
        case ClassicState.PREPARING_REBALANCE:
            member = group.members.get(member_id)
            return (member is not None and member.join is not None) or group.joining < size_max
        case ClassicState.COMPLETING_REBALANCE | ClassicState.STABLE:
            return member_id in group.members or len(group.members) < size_max
        case _:
            return True


def _join_unknown(
    state: GroupState, group: ClassicGroup, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    """Somebody without a member id: a new member, or a static one that came back."""
    request = join_request(call)
    instance_id = request.group_instance_id
    member_id = f"{call.caller.client_id if instance_id is None else instance_id}-{_uuid(state)}"
    if instance_id is not None and instance_id in group.static_members:
        new = _member(call, member_id)
        come_back(state, group, group.members[group.static_members[instance_id]], new, call, now_ms, effects)
    elif instance_id is None and call.caller.version >= _FIRST_VERSION_WITH_MEMBER_ID_REQUIRED:
        group.pending_members.add(member_id)
        effects.set_timer((PENDING_TIMER, group.group_id, member_id), now_ms + request.session_timeout_ms)
        refuse_join(call, ErrorCode.MEMBER_ID_REQUIRED, effects, member_id)
    else:
        _add(state, group, call, member_id, now_ms, effects)


def _join_known(
    state: GroupState, group: ClassicGroup, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    """Somebody with a member id: the owner of an id given out, or a member."""
    request = join_request(call)
    member_id = request.member_id
    if member_id in group.pending_members and request.group_instance_id is None:
        effects.cancel_timer((PENDING_TIMER, group.group_id, member_id))
        _add(state, group, call, member_id, now_ms, effects)
        return
    code = group.refusal(member_id, request.group_instance_id)
    if code is not ErrorCode.NONE:
        refuse_join(call, code, effects, member_id, protocol_name=None)
        return
    member = group.members[member_id]
    unchanged = member.has_protocols(_protocols(request))
    # A leader that joins a stable group wants a rebalance: it saw what no metadata tells, as partitions that are new.
    if (group.state is ClassicState.COMPLETING_REBALANCE and unchanged) or (
        group.state is ClassicState.STABLE and unchanged and group.leader_id != member_id
    ):
        answer_member(group, member, call, effects)
        return
    _update(group, member, call, effects)
    rebalance_or_complete_join(state, group, now_ms, effects)


def _add(
    state: GroupState,
    group: ClassicGroup,
    call: Call,
    member_id: str,
    now_ms: TimestampMs,
    effects: Effects,
) -> None:
    """Take in a new member, for which all others have to join again."""
    member = _member(call, member_id)
    member.is_new = True
    member.join = call
    group.extended = True
    group.add(member, join_request(call).protocol_type)
    effects.set_timer(member.session_timer, now_ms + NEW_MEMBER_TIMEOUT_MS)
    rebalance_or_complete_join(state, group, now_ms, effects)


def _update(group: ClassicGroup, member: ClassicMember, call: Call, effects: Effects) -> None:
    """Have a member wait with what it says now. If it waits already, that request was given up by the client."""
    request = join_request(call)
    if member.join is None:
        group.joining += 1
    else:
        refuse_join(member.join, ErrorCode.REBALANCE_IN_PROGRESS, effects, member.member_id)
    member.join = call
    member.protocols = _protocols(request)
    member.session_timeout_ms = request.session_timeout_ms
    member.rebalance_timeout_ms = _rebalance_timeout_ms(call)


def _member(call: Call, member_id: str) -> ClassicMember:
    request = join_request(call)
    return ClassicMember(
        request.group_id,
        member_id,
        instance_id=request.group_instance_id,
        client_id=call.caller.client_id,
        client_host=call.caller.client_host,
        rebalance_timeout_ms=_rebalance_timeout_ms(call),
        session_timeout_ms=request.session_timeout_ms,
        protocols=_protocols(request),
    )


def _protocols(request: JoinGroupRequest) -> dict[str, bytes]:
    """Return the metadata by protocol; of a protocol that is named twice, the first counts."""
    protocols: dict[str, bytes] = {}
    for protocol in request.protocols:
        protocols.setdefault(protocol.name, protocol.metadata)
    return protocols


def _rebalance_timeout_ms(call: Call) -> int:
    request = join_request(call)
    if call.caller.version < _FIRST_VERSION_WITH_REBALANCE_TIMEOUT:
        return request.session_timeout_ms
    return request.rebalance_timeout_ms


def _uuid(state: GroupState) -> str:
    """Return a random UUID as Java writes it."""
    raw = bytearray(state.entropy.uuid())
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
