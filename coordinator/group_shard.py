"""The group coordinator for one partition of `__consumer_offsets`: routes each event to the module that decides it.

A call goes by the type of its request, a timer by the first part of its key, a record by the type of its key; the rest
concerns all. The modules are functions over a `GroupState`; this one holds the tables and nothing else.
Source: Kafka group-coordinator, GroupCoordinatorShard.java, GroupMetadataManager.java.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_never

from coordinator.administration.delete import delete_groups
from coordinator.administration.describe import describe
from coordinator.administration.list import list_groups
from coordinator.classic import lifecycle as classic_lifecycle
from coordinator.classic.group import JOIN_TIMER, SYNC_TIMER
from coordinator.classic.heartbeat import heartbeat
from coordinator.classic.join import join, join_not_written
from coordinator.classic.leave import leave
from coordinator.classic.member import SESSION_TIMER
from coordinator.classic.rebalance import join_time_over, sync_time_over
from coordinator.classic.records import replay_group
from coordinator.classic.sessions import PENDING_TIMER, pending_expired, session_expired
from coordinator.classic.sync import sync, sync_not_written
from coordinator.consumer import lifecycle as consumer_lifecycle
from coordinator.consumer import replay as consumer_replay
from coordinator.consumer import timers as consumer_timers
from coordinator.consumer.describe import describe as describe_consumers
from coordinator.consumer.heartbeat import heartbeat as consumer_heartbeat
from coordinator.consumer.leaving import rebalance_over, session_over
from coordinator.consumer.migration import not_written
from coordinator.group_state import GroupState
from coordinator.offsets.commit import commit
from coordinator.offsets.delete import (
    ORPHANS_TIMER,
    delete_offsets,
    drop_orphans,
    orphans_stayed,
    topics_changed,
)
from coordinator.offsets.expiry import EXPIRY_TIMER, begin_expiry, expire_offsets, expiry_failed
from coordinator.offsets.fetch import fetch
from coordinator.offsets.replay import replay_end_of_transaction, replay_legacy_offset, replay_offset
from coordinator.offsets.txn_commit import commit_in_transaction
from coordinator.shard import (
    AppendRefused,
    Call,
    Effects,
    MarkersAnswered,
    TimerFired,
    TimerKey,
    TopicsChanged,
)
from protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.describe_groups import DescribeGroupsRequest
from protocol.messages.heartbeat import HeartbeatRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.list_groups import ListGroupsRequest
from protocol.messages.offset_commit import OffsetCommitRequest
from protocol.messages.offset_delete import OffsetDeleteRequest
from protocol.messages.offset_fetch import OffsetFetchRequest
from protocol.messages.records_group import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMetadataKey,
    GroupMetadataKey,
    LegacyOffsetCommitKey,
    OffsetCommitKey,
)
from protocol.messages.sync_group import SyncGroupRequest
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest

if TYPE_CHECKING:
    from coordinator.group_config import GroupConfig
    from coordinator.ports import Entropy, GroupConfigs, TopicCatalog
    from coordinator.shard import CoordinatorRecord, Event, TransactionalProducer, Waiter
    from protocol.messages.message import Message
    from protocol.types import Offset, TimestampMs

_CALLS: dict[type[Message], Callable[[GroupState, Call, TimestampMs, Effects], None]] = {
    JoinGroupRequest: join,
    SyncGroupRequest: sync,
    HeartbeatRequest: heartbeat,
    LeaveGroupRequest: leave,
    ConsumerGroupHeartbeatRequest: consumer_heartbeat,
    OffsetCommitRequest: commit,
    TxnOffsetCommitRequest: commit_in_transaction,
    OffsetFetchRequest: fetch,
    OffsetDeleteRequest: delete_offsets,
    DescribeGroupsRequest: describe,
    ConsumerGroupDescribeRequest: describe_consumers,
    ListGroupsRequest: list_groups,
    DeleteGroupsRequest: delete_groups,
}

_TIMERS: dict[object, Callable[[GroupState, TimerKey, TimestampMs, Effects], None]] = {
    SESSION_TIMER: session_expired,
    PENDING_TIMER: pending_expired,
    JOIN_TIMER: join_time_over,
    SYNC_TIMER: sync_time_over,
    consumer_timers.SESSION: session_over,
    consumer_timers.REBALANCE: rebalance_over,
    consumer_timers.JOIN: session_over,
    consumer_timers.SYNC: session_over,
    EXPIRY_TIMER: expire_offsets,
    ORPHANS_TIMER: drop_orphans,
}
"""By kind, which is the first part of the key."""

_RECORDS: dict[
    type[Message], Callable[[GroupState, Any, Any, Offset, TransactionalProducer | None], None]
] = {
    GroupMetadataKey: replay_group,
    ConsumerGroupMetadataKey: consumer_replay.group_metadata,
    ConsumerGroupPartitionMetadataKey: consumer_replay.old_partition_metadata,
    ConsumerGroupMemberMetadataKey: consumer_replay.member_metadata,
    ConsumerGroupTargetAssignmentMetadataKey: consumer_replay.assignment_epoch,
    ConsumerGroupTargetAssignmentMemberKey: consumer_replay.target,
    ConsumerGroupCurrentMemberAssignmentKey: consumer_replay.current_assignment,
    ConsumerGroupRegularExpressionKey: consumer_replay.resolved_regex,
    OffsetCommitKey: replay_offset,
    LegacyOffsetCommitKey: replay_legacy_offset,
}
"""Key and value (None for a tombstone) of the record, its offset, and in whose transaction it is."""

_REFUSED: dict[object, Callable[[GroupState, AppendRefused, TimestampMs, Effects], None]] = {
    JoinGroupRequest: join_not_written,
    SyncGroupRequest: sync_not_written,
    ConsumerGroupHeartbeatRequest: not_written,
    LeaveGroupRequest: not_written,
    consumer_timers.SESSION: not_written,
    consumer_timers.REBALANCE: not_written,
    consumer_timers.JOIN: not_written,
    consumer_timers.SYNC: not_written,
    EXPIRY_TIMER: expiry_failed,
    ORPHANS_TIMER: orphans_stayed,
    TopicsChanged: orphans_stayed,
}
"""By type of the request or kind of the timer whose records could not be appended. What is not here changed nothing
but what its records say, so there is nothing to undo."""

_TOPICS_CHANGED: tuple[Callable[[GroupState, TopicsChanged, TimestampMs, Effects], None], ...] = (
    consumer_lifecycle.topics_changed,
    topics_changed,
)

_LOADED: tuple[Callable[[GroupState, TimestampMs, Effects], None], ...] = (
    classic_lifecycle.begin,
    consumer_lifecycle.begin,
    begin_expiry,
)

_WAITING: tuple[Callable[[GroupState], list[Waiter]], ...] = (classic_lifecycle.waiting,)
"""Return those who wait in soft state."""

_MARKERS: tuple[Callable[[GroupState, TransactionalProducer, bool], None], ...] = (replay_end_of_transaction,)
"""Take in the end of a transaction; whether it was committed."""


class GroupShard:
    """A `coordinator.shard.Shard` of groups."""

    __slots__ = ("state",)

    def __init__(
        self, config: GroupConfig, catalog: TopicCatalog, entropy: Entropy, own_configs: GroupConfigs
    ) -> None:
        self.state = GroupState(config, catalog, entropy, own_configs)

    def configure(self, config: GroupConfig) -> None:
        """Follow these settings from now on."""
        self.state.config = config

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        state = self.state
        match event:
            case Call(request=request):
                _CALLS[type(request)](state, event, now_ms, effects)
            case TimerFired(key=key):
                _TIMERS[key[0]](state, key, now_ms, effects)
            case TopicsChanged():
                for react in _TOPICS_CHANGED:
                    react(state, event, now_ms, effects)
            case AppendRefused():
                undo = _REFUSED.get(_origin(event))
                if undo is not None:
                    undo(state, event, now_ms, effects)
            case MarkersAnswered():
                raise AssertionError("groups send no markers")
            case _:
                assert_never(event)

    def replay(
        self, record: CoordinatorRecord, offset: Offset, producer: TransactionalProducer | None
    ) -> None:
        take_in = _RECORDS.get(type(record.key))
        if take_in is not None:  # the others are of coordinators that do not exist here
            take_in(self.state, record.key, record.value, offset, producer)

    def replay_marker(self, producer: TransactionalProducer, *, commit: bool) -> None:
        for take_in in _MARKERS:
            take_in(self.state, producer, commit)

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        self.state.loaded = True
        for begin in _LOADED:
            begin(self.state, now_ms, effects)

    def on_resigned(self) -> list[Waiter]:
        return [waiter for find in _WAITING for waiter in find(self.state)]


def _origin(refused: AppendRefused) -> object:
    """Return what `_REFUSED` is asked for."""
    match refused.event:
        case Call(request=request):
            return type(request)
        case TimerFired(key=key):
            return key[0]
        case TopicsChanged() | MarkersAnswered():
            return type(refused.event)
