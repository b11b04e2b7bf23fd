"""Runs one shard: appends what it decides, parks answers until they are committed, keeps its timers.

States: loading → active → over. While it loads, the log is replayed into the shard and calls are refused with
COORDINATOR_LOAD_IN_PROGRESS. Once over, it is dropped; whoever waits is refused with NOT_COORDINATOR.

    written:    |--- replayed, answers sent ---|--- replayed, answers parked ---|
                                        high watermark                    log end

Invariant: an answer or a send leaves only when all that the shard had replayed when it was decided is committed; what
is parked leaves in the order in which it was decided. Answers that wait are refused when the role is lost, sends are
dropped: who leads next finds them in the log.
Not here: sockets, clocks, reading the log (the caller replays through `shard`).
Source: Kafka coordinator-common, CoordinatorRuntime.java.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple, TypeAlias

from coordinator.ports import Answers, Outbox, PartitionWriter
from coordinator.shard import (
    AppendRefused,
    Call,
    Effects,
    EndTxnMarkers,
    Event,
    Shard,
    TimerFired,
    TimerKey,
    TransactionMarker,
    Waiter,
)
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.types import Offset, TimestampMs

#: A heap with fewer entries than this is not worth tidying.
_TIDY_ABOVE = 64


class State(Enum):
    LOADING = "loading"
    ACTIVE = "active"
    OVER = "over"


Written: TypeAlias = Callable[[ErrorCode], None]
"""Told once what became of a marker: NONE when it is written and committed."""


class _Answer(NamedTuple):
    end_offset: Offset
    """Exclusive: it leaves once the high watermark is here."""
    waiter: Waiter
    outcome: Message | ErrorCode


class _Send(NamedTuple):
    end_offset: Offset
    markers: EndTxnMarkers


class _Marker(NamedTuple):
    end_offset: Offset
    written: Written


_Parked: TypeAlias = _Answer | _Send | _Marker


#: What a caller is told when the append of its records was refused with the code on the left.
APPEND_REFUSALS = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_FETCH_SIZE: ErrorCode.UNKNOWN_SERVER_ERROR,
}


class ShardRuntime:
    """One shard while this node leads its partition."""

    __slots__ = (
        "_answers",
        "_due",
        "_end_offset",
        "_heap",
        "_order",
        "_outbox",
        "_parked",
        "_queued",
        "_writer",
        "shard",
        "state",
    )

    def __init__(
        self, shard: Shard, writer: PartitionWriter, answers: Answers, outbox: Outbox | None = None
    ) -> None:
        """`outbox` is for shards that send."""
        self.shard = shard
        self.state = State.LOADING
        self._writer = writer
        self._answers = answers
        self._outbox = outbox
        self._end_offset: Offset = 0
        """End (exclusive) of what was replayed into the shard."""
        self._parked: deque[_Parked] = deque()
        self._due: dict[TimerKey, TimestampMs] = {}
        """When each timer that is set is due."""
        self._heap: list[tuple[TimestampMs, int, TimerKey]] = []
        self._queued: dict[TimerKey, TimestampMs] = {}
        """The one entry of a key in the heap that counts, never later than the key is due. A timer that moves to a
        later time, as a session does with every heartbeat, keeps its entry until that comes up."""
        self._order = count()

    # -- events ------------------------------------------------------------------------------------------

    def loaded(self, now_ms: TimestampMs, end_offset: Offset = 0) -> None:
        """The log was replayed into the shard, up to `end_offset` (exclusive): take calls from now on.

        What a new leader found at the end of the log may not be committed yet; answers wait for that, too.
        """
        self.state = State.ACTIVE
        self._end_offset = end_offset
        effects = Effects()
        self.shard.on_loaded(now_ms, effects)
        self._perform(effects, None, now_ms)

    def call(self, call: Call, now_ms: TimestampMs) -> None:
        """Work off one request; its waiter is answered now or later, once."""
        if self.state is State.ACTIVE:
            self.handle(call, now_ms)
        elif self.state is State.LOADING:
            self._answers.refuse(call.waiter, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        else:
            self._answers.refuse(call.waiter, ErrorCode.NOT_COORDINATOR)

    def handle(self, event: Event, now_ms: TimestampMs) -> None:
        """Decide an event and perform what it amounts to. Nothing happens unless active."""
        if self.state is not State.ACTIVE:
            return
        effects = Effects()
        self.shard.decide(event, now_ms, effects)
        self._perform(effects, event, now_ms)

    def write_marker(self, marker: TransactionMarker, written: Written, now_ms: TimestampMs) -> None:
        """Write the end of a transaction to the shard's partition, and have the shard take it in.

        `written` is told, now or later, once: NONE when the marker is committed, NOT_LEADER_OR_FOLLOWER where it is not
        this runtime that can write it, or no more, else why the log refused it.
        """
        if self.state is not State.ACTIVE:  # what loads is replayed up to the end that the log had
            written(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            return
        try:
            offset = self._writer.append_marker(marker, now_ms)
        except BrokerError as refusal:
            written(refusal.code)
            return
        self.shard.replay_marker(marker.producer, commit=marker.committed)
        self._end_offset = offset + 1
        self._park(_Marker(self._end_offset, written))

    def high_watermark_moved(self) -> None:
        """More of what was written is committed: let go what waited for it."""
        parked, high_watermark = self._parked, self._writer.high_watermark
        while parked and parked[0].end_offset <= high_watermark:
            self._let_go(parked.popleft())

    def resign(self) -> None:
        """This node does not lead the partition any more, or its disk failed."""
        if self.state is State.OVER:
            return
        parked = tuple(self._parked)
        waiting = [entry.waiter for entry in parked if isinstance(entry, _Answer)]
        if self.state is State.ACTIVE:
            waiting += self.shard.on_resigned()
        self.state = State.OVER
        self._parked.clear()
        self._due.clear()
        self._heap.clear()
        self._queued.clear()
        for waiter in waiting:
            self._answers.refuse(waiter, ErrorCode.NOT_COORDINATOR)
        for entry in parked:
            if isinstance(entry, _Marker):
                entry.written(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    # -- timers ------------------------------------------------------------------------------------------

    def next_due(self) -> TimestampMs | None:
        """When `fire_timers` has something to do, perhaps earlier; None while no timer is set."""
        while self._heap:
            queued_ms, _, key = self._heap[0]
            if self._queued.get(key) == queued_ms and key in self._due:
                return queued_ms
            self._pop()
        return None

    def fire_timers(self, now_ms: TimestampMs) -> None:
        """Let the shard decide about every timer that is due."""
        while self._heap and self._heap[0][0] <= now_ms:
            key = self._pop()
            if key is None:
                continue
            due_ms = self._due[key]
            if due_ms > now_ms:
                self._queue(key, due_ms)
                continue
            del self._due[key]
            self.handle(TimerFired(key), now_ms)

    def _pop(self) -> TimerKey | None:
        """Take the first entry off the heap; return its key when it counts and is set."""
        queued_ms, _, key = heappop(self._heap)
        if self._queued.get(key) != queued_ms:
            return None
        del self._queued[key]
        return key if key in self._due else None

    def _queue(self, key: TimerKey, due_ms: TimestampMs) -> None:
        if len(self._heap) > _TIDY_ABOVE and len(self._heap) > 2 * len(self._due):
            self._tidy()
        self._queued[key] = due_ms
        heappush(self._heap, (due_ms, next(self._order), key))

    def _tidy(self) -> None:
        """Drop the entries of timers that were taken back: they may be due much later."""
        self._heap = [entry for entry in self._heap if self._counts(entry)]
        heapify(self._heap)
        self._queued = {key: queued_ms for queued_ms, _, key in self._heap}

    def _counts(self, entry: tuple[TimestampMs, int, TimerKey]) -> bool:
        queued_ms, _, key = entry
        return key in self._due and self._queued.get(key) == queued_ms

    def _set_timer(self, key: TimerKey, due_ms: TimestampMs | None) -> None:
        if due_ms is None:
            self._due.pop(key, None)
            return
        self._due[key] = due_ms
        queued_ms = self._queued.get(key)
        if queued_ms is None or due_ms < queued_ms:
            self._queue(key, due_ms)

    # -- effects -----------------------------------------------------------------------------------------

    def _perform(self, effects: Effects, event: Event | None, now_ms: TimestampMs) -> None:
        if effects.records and not self._append(effects, event, now_ms):
            return
        for key, due_ms in effects.timers:
            self._set_timer(key, due_ms)
        for waiter, response in effects.answers:
            self._park(_Answer(self._end_offset, waiter, response))
        for waiter, code in effects.refusals:
            self._park(_Answer(self._end_offset, waiter, code))
        for markers in effects.sends:
            self._park(_Send(self._end_offset, markers))

    def _append(self, effects: Effects, event: Event | None, now_ms: TimestampMs) -> bool:
        """Append and replay; whether that went well. If not, nothing of the decision happens."""
        try:
            offset = self._writer.append(effects.records, effects.producer, now_ms)
        except BrokerError as refusal:
            self._append_refused(effects, event, refusal.code, now_ms)
            return False
        for record in effects.records:
            self.shard.replay(record, offset, effects.producer)
            offset += 1
        self._end_offset = offset
        return True

    def _append_refused(
        self, effects: Effects, event: Event | None, refusal: ErrorCode, now_ms: TimestampMs
    ) -> None:
        code = APPEND_REFUSALS.get(refusal, refusal)
        for waiter, _ in (*effects.answers, *effects.refusals):
            self._park(_Answer(self._end_offset, waiter, code))
        if event is not None and not isinstance(event, AppendRefused):
            self.handle(AppendRefused(event, code), now_ms)

    def _park(self, entry: _Parked) -> None:
        if not self._parked and entry.end_offset <= self._writer.high_watermark:
            self._let_go(entry)
        else:
            self._parked.append(entry)

    def _let_go(self, entry: _Parked) -> None:
        match entry:
            case _Answer(waiter=waiter, outcome=Message() as response):
                self._answers.answer(waiter, response)
            case _Answer(waiter=waiter, outcome=ErrorCode() as code):
                self._answers.refuse(waiter, code)
            case _Send(markers=markers):
                assert self._outbox is not None, "a shard that sends has an outbox"
                self._outbox.send(markers)
            case _Marker(written=written):
                written(ErrorCode.NONE)
