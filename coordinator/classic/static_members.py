"""A static member comes back without its member id, as after a restart (KIP-345).

It takes the place of its former self, which is fenced. When nothing of the generation changes by that, nobody else
notices: the record of the group says the new id. While others wait for the assignment there is a rebalance, since the
leader may be assigning to the old id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.classic.answers import answer_join, dismiss
from coordinator.classic.rebalance import rebalance_or_complete_join, renew_session
from coordinator.classic.records import write_group
from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.classic.group import ClassicGroup
    from coordinator.classic.member import ClassicMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_SKIP_ASSIGNMENT: Final = 9


def come_back(
    state: GroupState,
    group: ClassicGroup,
    old: ClassicMember,
    new: ClassicMember,
    call: Call,
    now_ms: TimestampMs,
    effects: Effects,
) -> None:
    """Put `new`, which sends `call`, in the place of `old`."""
    new.assignment = old.assignment
    effects.cancel_timer(old.session_timer)
    renew_session(new, now_ms, effects)
    if group.state is ClassicState.STABLE and group.protocol_name == _next_protocol(group, old, new):
        _take_over_quietly(group, old, new, call, effects)
        return
    new.join = call
    group.replace(old, new)
    dismiss(old, ErrorCode.FENCED_INSTANCE_ID, effects, old.member_id)
    rebalance_or_complete_join(state, group, now_ms, effects)


def _next_protocol(group: ClassicGroup, old: ClassicMember, new: ClassicMember) -> str:
    return group.best_protocol([new if member is old else member for member in group.members.values()])


def _take_over_quietly(
    group: ClassicGroup, old: ClassicMember, new: ClassicMember, call: Call, effects: Effects
) -> None:
    """Answer from the generation; replay of the record puts the new member in.

    A leader must not assign again. Clients that can be told so are; to others the leader is the one of old, so that
    they take themselves for followers.
    """
    group.replacements[new.member_id] = new
    write_group(group, effects, replacement=(old, new))
    leads = group.leader_id == old.member_id
    leader_id = group.leader_id or ""
    if leads and call.caller.version >= _FIRST_VERSION_WITH_SKIP_ASSIGNMENT:
        roster = [new if member is old else member for member in group.members.values()]
        answer_join(group, new, call, effects, new.member_id, roster, skip_assignment=True)
    else:
        answer_join(group, new, call, effects, leader_id)
