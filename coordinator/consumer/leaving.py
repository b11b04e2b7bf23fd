"""How members of a consumer group go: they leave, or are fenced because they were silent or too slow.

    leave (-1), session over, rebalance timeout over ──► all that is written of the member removed, group epoch raised
    leave of a static member (-2)                    ──► epoch -2, partitions kept till it is back or its session ends

Whoever stays learns of it with the next heartbeat, which makes the target anew.
Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (consumerGroupLeave, consumerGroupFenceMembers).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from coordinator.consumer import membership, migration, records, timers
from coordinator.consumer.assignment import NOTHING_OWNED, owned_in_epoch, without_epochs
from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import STATIC_LEAVE_EPOCH, MemberState
from coordinator.consumer.subscription import Subscriptions
from protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coordinator.consumer.member import ConsumerMember
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects, TimerKey
    from protocol.types import TimestampMs


def leave(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Decide a heartbeat that says goodbye. Raises: BrokerError."""
    request = call.request
    assert isinstance(request, ConsumerGroupHeartbeatRequest)
    group = membership.existing_group(state, request.group_id)
    member = membership.existing_member(group, request.member_id, request.instance_id)
    if request.member_epoch == STATIC_LEAVE_EPOCH:
        away = replace(
            member,
            member_epoch=STATIC_LEAVE_EPOCH,
            # The member that comes back has another id; nothing of what it commits is older than its assignment.
            assigned=owned_in_epoch(without_epochs(member.assigned), 0),
            revoking=NOTHING_OWNED,
        )
        records.current_assignment(effects, group.group_id, away)
    else:
        remove_members(state, group, [member], now_ms, effects)
    effects.answer(
        call.waiter,
        ConsumerGroupHeartbeatResponse(member_id=member.member_id, member_epoch=request.member_epoch),
    )


def session_over(state: GroupState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """A member was silent for too long, or kept the others waiting with a request of the classic protocol."""
    group, member = _find(state, key)
    if group is not None and member is not None:
        remove_members(state, group, [member], now_ms, effects)


def rebalance_over(state: GroupState, key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """A member had time enough to give up partitions; one that is away has given them up."""
    group, member = _find(state, key)
    if group is None or member is None or member.member_epoch == STATIC_LEAVE_EPOCH:
        return
    if member.state is MemberState.UNREVOKED_PARTITIONS:
        remove_members(state, group, [member], now_ms, effects)


def remove_members(
    state: GroupState,
    group: ConsumerGroup,
    leavers: Sequence[ConsumerMember],
    now_ms: TimestampMs,
    effects: Effects,
) -> None:
    """Propose that these members are out. If only classic ones are left, the group becomes a classic one."""
    if not leavers or migration.become_classic_without(state, group, leavers, now_ms, effects):
        return
    subscriptions = Subscriptions(group)
    for member in leavers:
        records.member_gone(effects, group.group_id, member.member_id)
        timers.cancel_all(group.group_id, member.member_id, effects)
        subscriptions.swap(member, None)
    for regex in [regex for regex in subscriptions.resolved if subscriptions.regexes[regex] <= 0]:
        records.regex_gone(effects, group.group_id, regex)
        subscriptions.drop(regex)
    metadata_hash = state.topics.metadata_hash(subscriptions.topics)
    records.group_epoch(effects, group.group_id, group.group_epoch + 1, metadata_hash)


def _find(state: GroupState, key: TimerKey) -> tuple[ConsumerGroup | None, ConsumerMember | None]:
    group = state.groups.get(str(key[1]))
    if not isinstance(group, ConsumerGroup):
        return None, None
    return group, group.members.get(str(key[2]))
