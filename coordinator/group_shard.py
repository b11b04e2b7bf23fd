"""The group coordinator for one partition of `__consumer_offsets`: routes each event to the module that decides it.

A call goes by the type of its request, a timer by the first part of its key, a record by the type of its key. The
modules are functions over a `GroupState`; this one holds the tables and nothing else.
Source: Kafka group-coordinator, GroupCoordinatorShard.java, GroupMetadataManager.java.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_never

from coordinator.group_state import GroupState
from coordinator.shard import AppendRefused, Call, Effects, TimerFired, TimerKey, TopicsChanged

if TYPE_CHECKING:
    from coordinator.group_config import GroupConfig
    from coordinator.ports import Entropy, TopicCatalog
    from coordinator.shard import CoordinatorRecord, Event, TransactionalProducer, Waiter
    from protocol.messages.message import Message
    from protocol.types import Offset, TimestampMs

_CALLS: dict[type[Message], Callable[[GroupState, Call, TimestampMs, Effects], None]] = {}
_TIMERS: dict[object, Callable[[GroupState, TimerKey, TimestampMs, Effects], None]] = {}
_RECORDS: dict[
    type[Message], Callable[[GroupState, Any, Any, Offset, TransactionalProducer | None], None]
] = {}
"""Key and value (None for a tombstone) of the record, its offset, and in whose transaction it is."""


class GroupShard:
    """A `coordinator.shard.Shard` of groups."""

    __slots__ = ("_state",)

    def __init__(self, config: GroupConfig, catalog: TopicCatalog, entropy: Entropy) -> None:
        self._state = GroupState(config, catalog, entropy)

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        state = self._state
        match event:
            case Call(request=request):
                _CALLS[type(request)](state, event, now_ms, effects)
            case TimerFired(key=key):
                _TIMERS[key[0]](state, key, now_ms, effects)
            case TopicsChanged():
                raise NotImplementedError
            case AppendRefused():
                raise NotImplementedError
            case _:
                assert_never(event)

    def replay(
        self, record: CoordinatorRecord, offset: Offset, producer: TransactionalProducer | None
    ) -> None:
        take_in = _RECORDS.get(type(record.key))
        if take_in is not None:  # the others are of coordinators that do not exist here
            take_in(self._state, record.key, record.value, offset, producer)

    def replay_marker(self, producer: TransactionalProducer, *, commit: bool) -> None:
        raise NotImplementedError

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        raise NotImplementedError

    def on_resigned(self) -> list[Waiter]:
        raise NotImplementedError
