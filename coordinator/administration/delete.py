"""DeleteGroups: groups without members, and all that they have committed (KIP-229).

Source: Kafka GroupCoordinatorShard.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from coordinator.group_kinds import kind_of
from coordinator.offsets.delete import tombstone
from protocol.errors import ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs


def delete_groups(state: GroupState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Propose tombstones for every group of the request; all belong to this shard, and none is named twice."""
    request = cast("DeleteGroupsRequest", call.request)
    results = [
        DeleteGroupsResponse.DeletableGroupResult(
            group_id=group_id, error_code=_delete(state, group_id, effects)
        )
        for group_id in request.groups_names
    ]
    effects.answer(call.waiter, DeleteGroupsResponse(results=results))


def _delete(state: GroupState, group_id: str, effects: Effects) -> ErrorCode:
    group = state.groups.get(group_id)
    if group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    refusal = kind_of(group).refuse_delete(group)
    if not refusal:
        for topic, partition in state.offsets.partitions(group_id):
            tombstone(group_id, topic, partition, effects)
        kind_of(group).remove(group, effects)
    return refusal
