"""ListGroups: the groups of this shard, by state (KIP-518) and type (KIP-848). Case does not matter.

Source: Kafka GroupMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from coordinator.group_kinds import kind_of
from protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs


def list_groups(state: GroupState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Answer with those groups that are in one of the states, and of one of the types; of all where none is given."""
    request = cast("ListGroupsRequest", call.request)
    states = {name.strip().lower() for name in request.states_filter}
    types = {name.lower() for name in request.types_filter}
    groups = []
    for group_id, group in state.groups.items():
        kind = kind_of(group)
        state_name = kind.state_name(group)
        if (not states or state_name.lower() in states) and (not types or kind.TYPE in types):
            groups.append(
                ListGroupsResponse.ListedGroup(
                    group_id=group_id,
                    protocol_type=kind.protocol_type(group),
                    group_state=state_name,
                    group_type=kind.TYPE,
                )
            )
    effects.answer(call.waiter, ListGroupsResponse(groups=groups))
