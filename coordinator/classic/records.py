"""The `GroupMetadata` record: made of a classic group, and taken in.

Written are the assignment of a generation when its leader sends it, a static member that came back under another id,
that a group has no members any more, and that a new group exists. While the log is loaded, a record makes the group
anew. When serving, the group in memory is ahead of the record, which then only confirms what was proposed.
Members without a leader are those of a group that had yet to rebalance when it was written; it does once it is loaded.
Source: Kafka group-coordinator, GroupCoordinatorRecordHelpers.java, GroupMetadataManager.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from coordinator.classic.group import ClassicGroup
from coordinator.classic.member import ClassicMember
from coordinator.classic.states import ClassicState
from protocol.messages.records_group import GroupMetadataKey, GroupMetadataValue

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects, TransactionalProducer
    from protocol.types import Offset

_AS_SESSION: Final = -1
"""Rebalance timeout of members whose protocol version has none (JoinGroup 0)."""


def write_group(
    group: ClassicGroup,
    effects: Effects,
    *,
    assignments: Mapping[str, bytes] | None = None,
    replacement: tuple[ClassicMember, ClassicMember] | None = None,
    rebalances: bool = False,
) -> None:
    """Propose the record of a group: with other assignments than it has, or with a new member for an old one, or as
    one that rebalances before anything else.
    """
    name = group.protocol_name
    old, new = replacement or (None, None)
    rows = [
        GroupMetadataValue.MemberMetadata(
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout=member.rebalance_timeout_ms,
            session_timeout=member.session_timeout_ms,
            subscription=member.protocols[name] if name is not None else b"",
            assignment=member.assignment if assignments is None else assignments.get(member.member_id, b""),
        )
        for each in group.members.values()
        for member in (new if new is not None and each is old else each,)
    ]
    leader_id = group.leader_id
    if old is not None and new is not None and leader_id == old.member_id:
        leader_id = new.member_id
    value = GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=group.generation_id,
        protocol=name,
        leader=None if rebalances else leader_id,
        current_state_timestamp=group.state_since_ms,
        members=rows,
    )
    effects.record(GroupMetadataKey(group=group.group_id), value)


def write_new_group(group: ClassicGroup, effects: Effects) -> None:
    """Propose the record that a group exists, without what is under way in it."""
    value = GroupMetadataValue(protocol=None, leader=None, current_state_timestamp=group.state_since_ms)
    effects.record(GroupMetadataKey(group=group.group_id), value)


def replay_group(
    state: GroupState,
    key: GroupMetadataKey,
    value: GroupMetadataValue | None,
    _offset: Offset,
    _producer: TransactionalProducer | None,
) -> None:
    """Take in a record."""
    group = state.groups.get(key.group)
    if value is None:
        if isinstance(group, ClassicGroup):
            del state.groups[key.group]
    elif state.loaded and isinstance(group, ClassicGroup):
        _confirm(group, value)
    else:
        state.groups[key.group] = _loaded(key.group, value)


def _confirm(group: ClassicGroup, value: GroupMetadataValue) -> None:
    group.written = True
    group.former = None
    for new in group.replacements.values():
        assert new.instance_id is not None
        group.replace(group.members[group.static_members[new.instance_id]], new)
        group.refresh_subscriptions()
    group.replacements = {}
    for row in value.members:
        group.members[row.member_id].assignment = row.assignment
    if value.members and group.state is ClassicState.COMPLETING_REBALANCE:
        group.become(ClassicState.STABLE, value.current_state_timestamp)


def _loaded(group_id: str, value: GroupMetadataValue) -> ClassicGroup:
    """Return the group as the log has it: stable, perhaps to rebalance, or empty."""
    group = ClassicGroup(group_id, value.current_state_timestamp)
    group.written = True
    group.generation_id = value.generation
    group.protocol_name = value.protocol
    for row in value.members:
        group.add(_member(group_id, value, row), value.protocol_type)
    if value.leader is not None and value.leader in group.members:
        group.leader_id = value.leader
    if value.members:
        group.state = ClassicState.STABLE
        group.must_rebalance = value.leader is None
    group.protocol_type = value.protocol_type or None
    group.refresh_subscriptions()
    return group


def _member(
    group_id: str, value: GroupMetadataValue, row: GroupMetadataValue.MemberMetadata
) -> ClassicMember:
    """Return a member with the one protocol that the log knows of it."""
    return ClassicMember(
        group_id,
        row.member_id,
        instance_id=row.group_instance_id,
        client_id=row.client_id,
        client_host=row.client_host,
        rebalance_timeout_ms=(
            row.session_timeout if row.rebalance_timeout == _AS_SESSION else row.rebalance_timeout
        ),
        session_timeout_ms=row.session_timeout,
        protocols={value.protocol or "": row.subscription},
        assignment=row.assignment,
    )
