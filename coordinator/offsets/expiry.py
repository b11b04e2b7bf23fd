"""Drops offsets that nobody uses any more, and groups that are nothing besides.

An offset expires `offsets.retention.minutes` after the group became empty; in a group that is at work, or that only
stores offsets, after its commit, and never while the group is subscribed to its topic or a transaction is about to move
it. An offset may carry its own time instead. A group without members goes with its last offset.

A sweep over all groups begins every `offsets.retention.check.interval.ms` and goes on in slices.
Source: KIP-211, KIP-496; Kafka OffsetMetadataManager.java, OffsetExpirationConditionImpl.java.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from coordinator.group_kinds import kind_of
from coordinator.group_state import SweepStep
from coordinator.offsets.delete import PAUSE_MS, tombstone
from coordinator.offsets.store import NEVER, SINCE_COMMIT

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.offsets.store import CommittedOffset
    from coordinator.shard import AppendRefused, Effects, TimerKey
    from protocol.types import TimestampMs

EXPIRY_TIMER: Final = "offset expiry"
"""Kind of the timer of the next slice, or sweep: (kind,)."""

_KEY: Final[TimerKey] = (EXPIRY_TIMER,)

#: Offsets and groups looked at in one go; a few milliseconds, and at most some 100 KB of tombstones.
_SLICE: Final = 1_000
#: Offsets of a topic looked at together; a slice may be larger by as many.
_STEP: Final = 100


def begin_expiry(state: GroupState, now_ms: TimestampMs, effects: Effects) -> None:
    """Set the timer of the first sweep."""
    effects.set_timer(_KEY, now_ms + state.config.offsets_retention_check_interval_ms)


def expire_offsets(state: GroupState, _key: TimerKey, now_ms: TimestampMs, effects: Effects) -> None:
    """Look at the next slice: propose tombstones of what has expired."""
    if state.sweep is None:
        state.sweep = _steps(state)
    slice_ = _Slice(state, now_ms, effects)
    left = _SLICE
    while left > 0:
        step = next(state.sweep, None)
        if step is None:
            state.sweep = None
            begin_expiry(state, now_ms, effects)
            return
        slice_.look_at(step)
        left -= 1 + len(step.partitions)
    effects.set_timer(_KEY, now_ms + PAUSE_MS)


def expiry_failed(state: GroupState, _refused: AppendRefused, now_ms: TimestampMs, effects: Effects) -> None:
    """The tombstones could not be written; what was in them is found again by the next sweep."""
    state.sweep = None
    begin_expiry(state, now_ms, effects)


def _steps(state: GroupState) -> Iterator[SweepStep]:
    """Go through all groups, as they are when their turn comes."""
    for group_id in tuple(state.groups):
        for topic, partitions in tuple(state.offsets.of_group(group_id).items()):
            indexes = tuple(partitions)
            for first in range(0, len(indexes), _STEP):
                yield SweepStep(group_id, topic, indexes[first : first + _STEP])
        yield SweepStep(group_id)


class _Slice:
    """One slice of a sweep."""

    __slots__ = ("_dropped", "_effects", "_group_id", "_now_ms", "_state")

    def __init__(self, state: GroupState, now_ms: TimestampMs, effects: Effects) -> None:
        self._state = state
        self._now_ms = now_ms
        self._effects = effects
        self._group_id = ""
        self._dropped = 0
        """Offsets of the group that this slice drops: they are still there until it is replayed."""

    def look_at(self, step: SweepStep) -> None:
        group_id, topic, partitions = step
        group = self._state.groups.get(group_id)
        if group is None:
            return
        if group_id != self._group_id:
            self._group_id, self._dropped = group_id, 0
        if topic is None:
            self._drop_group(group_id)
            return
        since_ms = kind_of(group).offsets_expire_since(group)
        if since_ms is not None and not kind_of(group).is_subscribed_to(group, topic):
            self._drop_offsets(group_id, topic, partitions, since_ms)

    def _drop_offsets(
        self, group_id: str, topic: str, partitions: Sequence[int], since_ms: TimestampMs
    ) -> None:
        offsets = self._state.offsets
        committed = offsets.of_group(group_id).get(topic, {})
        for partition in partitions:
            offset = committed.get(partition)
            if offset is None or not self._has_expired(offset, since_ms):
                continue
            if not offsets.is_pending(group_id, topic, partition):
                tombstone(group_id, topic, partition, self._effects)
                self._dropped += 1

    def _has_expired(self, committed: CommittedOffset, since_ms: TimestampMs) -> bool:
        if committed.expire_timestamp_ms != NEVER:
            return self._now_ms >= committed.expire_timestamp_ms
        if since_ms == SINCE_COMMIT:
            since_ms = committed.commit_timestamp_ms
        return self._now_ms - since_ms >= self._state.config.offsets_retention_ms

    def _drop_group(self, group_id: str) -> None:
        """Drop a group without members, offsets, and transactions that may bring some."""
        state, group = self._state, self._state.groups[group_id]
        left = sum(map(len, state.offsets.of_group(group_id).values())) - self._dropped
        if not left and not state.offsets.has_pending(group_id) and not kind_of(group).refuse_delete(group):
            kind_of(group).remove(group, self._effects)
