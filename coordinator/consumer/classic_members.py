"""Members with the classic protocol in a group of consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.classic.answers import join_request, refuse_join
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.consumer.group import ConsumerGroup
    from coordinator.group_state import GroupState
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs


def join_consumers(
    state: GroupState, group: ConsumerGroup, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    refuse_join(call, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, effects, join_request(call).member_id)
