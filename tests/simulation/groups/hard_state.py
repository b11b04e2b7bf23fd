"""What of a shard's state must be the same when the log is replayed.

Of a classic group that is stable or empty, all that `GroupMetadata` says; of one that rebalances only that it is one:
members that join, and the generation they are promised, are soft. Of offsets and of consumer groups, everything but
what waits or is counted from the rest.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from coordinator.classic.group import ClassicGroup
from coordinator.classic.states import ClassicState

if TYPE_CHECKING:
    from coordinator.group_state import GroupState

_SOFT = {"ConsumerGroup": frozenset({"asked_to_join", "checked_epoch"})}
"""By class: attributes that a restart need not find again."""


def hard_state(state: GroupState) -> dict[str, Any]:
    """Return it as plain values that can be compared and read, by what they are of; None for what is soft now."""
    found: dict[str, Any] = {}
    for group_id, group in state.groups.items():
        if not isinstance(group, ClassicGroup):
            found[f"group {group_id}"] = plain(group)
        elif group.state in (ClassicState.STABLE, ClassicState.EMPTY) and group.written:
            found[f"group {group_id}"] = _classic(group)
        else:
            found[f"group {group_id}"] = None
    for group_id in state.offsets.groups():
        found[f"offsets of {group_id}"] = plain(state.offsets.of_group(group_id))
    return found


def _classic(group: ClassicGroup) -> dict[str, Any]:
    stable = group.state is ClassicState.STABLE
    return {
        "state": group.state.value,
        "since": group.state_since_ms,
        "generation": group.generation_id,
        "protocol": (group.protocol_type, group.protocol_name if stable else None),
        "leader": group.leader_id,
        "static": group.static_members,
        "members": {
            member_id: (
                member.instance_id,
                member.client_id,
                member.client_host,
                member.rebalance_timeout_ms,
                member.session_timeout_ms,
                member.protocols.get(group.protocol_name or ""),
                member.assignment,
            )
            for member_id, member in group.members.items()
        },
    }


def plain(value: Any) -> Any:
    """Return a value as dicts, lists and scalars; what is soft is left out."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple | str | bytes | int | float | frozenset | None):
        return value
    if isinstance(value, list | set):
        return type(value)(plain(each) for each in value)
    slots = getattr(type(value), "__slots__", None)
    names = slots if slots is not None else vars(value)
    soft = _SOFT.get(type(value).__name__, frozenset())
    return {name: plain(getattr(value, name)) for name in names if name not in soft}
