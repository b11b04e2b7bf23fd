"""Groups that change between the classic protocol and that of KIP-848.

Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (convertTo…, validateOnline…).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from coordinator.classic import kind as classic_kind
from coordinator.classic.group import ClassicGroup
from coordinator.classic.states import ClassicState
from coordinator.consumer import membership
from coordinator.consumer.group import ConsumerGroup
from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from coordinator.consumer.member import ConsumerMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects
    from protocol.types import TimestampMs


def group_for_heartbeat(
    state: GroupState, group_id: str, now_ms: TimestampMs, effects: Effects, *, joins: bool
) -> ConsumerGroup:
    """Return the group that a heartbeat is for. Who joins gets one: a new one, or in place of a classic one.

    Raises: BrokerError GROUP_ID_NOT_FOUND.
    """
    group = state.groups.get(group_id)
    if not joins or isinstance(group, ConsumerGroup):
        return membership.existing_group(state, group_id)
    if isinstance(group, ClassicGroup):
        if group.state is not ClassicState.EMPTY:
            raise BrokerError(
                ErrorCode.GROUP_ID_NOT_FOUND, f"The group {group_id} has members with the classic protocol."
            )
        classic_kind.remove(group, effects)
    return ConsumerGroup(group_id)


def become_classic_without(
    state: GroupState,
    group: ConsumerGroup,
    leavers: Sequence[ConsumerMember],
    now_ms: TimestampMs,
    effects: Effects,
) -> bool:
    """Whether the group becomes a classic one now that these members leave; that is proposed then."""
    return False
