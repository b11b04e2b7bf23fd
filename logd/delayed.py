"""Requests that cannot be answered yet: produce that awaits replicas or the disk, fetch that awaits data.

A parked request is an entry in the wait list of each partition it concerns, and in one deadline heap behind a
single timer: no task, future or timer of its own. Whoever changes a partition (append, high watermark, flush,
role) calls `partition_moved` afterwards; with nobody waiting that is one dictionary look-up.

Each entry is completed exactly once: when its condition holds, or at its deadline, or never once cancelled. The
condition is tested when it is parked and whenever one of its partitions moved, so it is never answered late.
`complete` runs on the stack of the call that brought the end about, `park_*` included, and may park, cancel and
wake again.

Conditions:
- Produce ends when every partition of it is decided. One partition is decided by the first that holds: the role
  was lost, or taken anew in another epoch (the partition's refusal, or NOT_LEADER_OR_FOLLOWER); acks=all: the high
  watermark passed the batch, or fewer replicas than the topic demands are in sync
  (NOT_ENOUGH_REPLICAS_AFTER_APPEND: written, but not safe); acks=1: the flush that the topic demands is done; the
  deadline (REQUEST_TIMED_OUT).
- Fetch ends when `bytes_min` bytes can be read over all its partitions, or any of them has an error to tell, or at
  its deadline. What is answered, and with which codes, its handler finds out by reading again.

Deviation: acks=all is told at once when too few replicas are in sync; Kafka lets it run into its time-out.
Source: apache/kafka core/…/server/{DelayedProduce,DelayedFetch}.scala, server-common/…/purgatory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Final, Protocol, TypeAlias

from protocol.errors import ErrorCode
from protocol.types import NodeId, Offset
from replication.partition import ACKS_ALL, Partition
from replication.ports import AppendResult
from storage.errors import StorageError

logger = logging.getLogger("logd.delayed")

#: A heap with fewer entries than this is not worth tidying.
_TIDY_ABOVE: Final = 64

_NEVER: Final = float("inf")

#: Seconds. Timers round to milliseconds: one that fires early by less than this is on time.
_TIMER_SLACK_S: Final = 0.001


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """The part of an event loop that waiting needs; times in seconds on the loop's own clock."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer: ...


class ProduceWait:
    """One partition of a parked produce request."""

    __slots__ = ("_acks", "_end_offset", "_leader_epoch", "error", "partition")

    def __init__(self, partition: Partition[Any], result: AppendResult, acks: int) -> None:
        """Wait for what `partition.append` just returned to be as safe as `acks` (1 or `ACKS_ALL`) says."""
        self.partition = partition
        self._acks = acks
        self._end_offset: Offset = result.last_offset + 1 if acks == ACKS_ALL else result.flush_to
        self._leader_epoch = partition.leader_epoch
        self.error: ErrorCode | None = None
        """How it ended; None while undecided."""

    def outcome(self) -> ErrorCode | None:
        """Return how the wait ends as things stand; None when it goes on."""
        partition = self.partition
        if partition.refusal is not None:
            return partition.refusal
        if partition.leader_epoch != self._leader_epoch:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if self._acks != ACKS_ALL:
            return ErrorCode.NONE if partition.log.recovery_point >= self._end_offset else None
        if partition.is_under_min_in_sync:
            return ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
        return ErrorCode.NONE if partition.high_watermark >= self._end_offset else None


class FetchWait:
    """One partition of a parked fetch request."""

    __slots__ = ("_leader_epoch", "bytes_max", "bytes_readable", "offset", "partition", "seen_bound")

    def __init__(self, partition: Partition[Any], offset: Offset, bytes_max: int) -> None:
        """Wait for records at `offset`; at most `bytes_max` of them count."""
        self.partition = partition
        self.offset = offset
        self.bytes_max = bytes_max
        self.seen_bound: Offset = offset
        """End (exclusive) of what was measured last."""
        self.bytes_readable = 0
        """Bytes from `offset` to `seen_bound`."""
        self._leader_epoch = partition.leader_epoch

    def has_error(self) -> bool:
        """Whether a read would be refused now."""
        partition = self.partition
        return (
            partition.refusal is not None
            or partition.leader_epoch != self._leader_epoch
            or partition.log.log_start_offset > self.offset
        )


Measure: TypeAlias = Callable[[FetchWait, Offset], int]
"""Bytes that a read of this partition up to the bound (exclusive) would answer now: exact or more, never less."""


class DelayedRequest:
    """A parked request, as whoever parked it knows it."""

    __slots__ = ("complete", "waits")

    def __init__(self, waits: Sequence[ProduceWait | FetchWait], complete: Callable[[], None]) -> None:
        self.waits = waits
        self.complete: Callable[[], None] | None = complete
        """To be called once; None when that is done or nobody wants it any more."""

    def time_out(self) -> None:
        """The time is up: settle what `complete` will find."""


class DelayedProduce(DelayedRequest):
    """A parked produce request."""

    __slots__ = ("undecided",)

    waits: Sequence[ProduceWait]

    def __init__(self, waits: Sequence[ProduceWait], complete: Callable[[], None]) -> None:
        super().__init__(waits, complete)
        self.undecided = len(waits)

    def decide(self, wait: ProduceWait) -> bool:
        """Look at one undecided partition again; return whether it is decided now."""
        wait.error = wait.outcome()
        if wait.error is None:
            return False
        self.undecided -= 1
        return True

    def time_out(self) -> None:
        for wait in self.waits:
            if wait.error is None and not self.decide(wait):
                wait.error = ErrorCode.REQUEST_TIMED_OUT


class DelayedFetch(DelayedRequest):
    """A parked fetch request."""

    __slots__ = ("_bytes_min", "_bytes_readable", "_isolation", "_measure", "_replica_id")

    def __init__(
        self,
        waits: Sequence[FetchWait],
        complete: Callable[[], None],
        *,
        bytes_min: int,
        isolation: int,
        replica_id: NodeId,
        measure: Measure,
    ) -> None:
        super().__init__(waits, complete)
        self._bytes_min = bytes_min
        self._bytes_readable = 0
        self._isolation = isolation
        self._replica_id = replica_id
        self._measure = measure

    def is_satisfied_by(self, wait: FetchWait) -> bool:
        """Look at one partition again; return whether the request can be answered now."""
        if wait.has_error():
            return True
        bound = wait.partition.read_bound(self._isolation, self._replica_id)
        if bound <= wait.seen_bound:
            return False
        if self._bytes_min <= 1:
            return True
        try:
            readable = self._measure(wait, bound)
        except StorageError:
            return True  # the handler will meet it, too, and puts it on the right partition
        self._bytes_readable += readable - wait.bytes_readable
        wait.seen_bound = bound
        wait.bytes_readable = readable
        return self._bytes_readable >= self._bytes_min


class _Watch:
    """Who waits on one partition, in the order they came."""

    __slots__ = ("fetches", "produces", "seen")

    def __init__(self) -> None:
        self.produces: dict[ProduceWait, DelayedProduce] = {}
        self.fetches: dict[FetchWait, DelayedFetch] = {}
        self.seen: tuple[object, ...] | None = None
        """What `produces` were last decided by."""

    def remove(self, wait: ProduceWait | FetchWait) -> None:
        """Wait no more; nothing happens when it is not waited for."""
        if isinstance(wait, ProduceWait):
            self.produces.pop(wait, None)
        else:
            self.fetches.pop(wait, None)

    def decide_produces(self, partition: Partition[Any]) -> list[DelayedRequest]:
        """Decide what can be decided now, and return the requests of which nothing is left."""
        now = (
            partition.high_watermark,
            partition.log.recovery_point,
            partition.is_under_min_in_sync,
            partition.leader_epoch,
            partition.refusal,
        )
        if now == self.seen:  # most appends change nothing for those who wait
            return []
        self.seen = now
        decided = [wait for wait, delayed in self.produces.items() if delayed.decide(wait)]
        popped = [self.produces.pop(wait) for wait in decided]
        return [delayed for delayed in popped if not delayed.undecided]


class DelayedQueue:
    """All parked requests of a node."""

    def __init__(self, timers: Timers) -> None:
        """`timers` is the event loop."""
        self._timers = timers
        self._watches: dict[Partition[Any], _Watch] = {}
        self._deadlines: list[tuple[float, int, DelayedRequest]] = []
        """Heap of (deadline, tie-breaker, request); those that ended earlier stay until they are due or
        outnumber the others."""
        self._tie_breaker = count()
        self._parked = 0
        self._timer: Timer | None = None
        self._timer_at = _NEVER

    def __len__(self) -> int:
        """How many requests are parked."""
        return self._parked

    def park_produce(
        self, waits: Sequence[ProduceWait], timeout_ms: int, complete: Callable[[], None]
    ) -> DelayedProduce:
        """Call `complete` once every one of `waits` has its `error`, at the latest when the time is up."""
        delayed = DelayedProduce(waits, complete)
        self._parked += 1
        for wait in waits:
            if not delayed.decide(wait):
                self._watch(wait.partition).produces[wait] = delayed
        if delayed.undecided:
            self._set_deadline(delayed, timeout_ms)
        else:
            self._finish(delayed)
        return delayed

    def park_fetch(
        self,
        waits: Sequence[FetchWait],
        timeout_ms: int,
        complete: Callable[[], None],
        *,
        bytes_min: int,
        isolation: int,
        replica_id: NodeId,
        measure: Measure,
    ) -> DelayedFetch:
        """Call `complete` once `bytes_min` bytes can be read, a partition has an error, or the time is up.

        `isolation` and `replica_id` are the request's and say how far it may read. `measure` is asked only where
        `bytes_min` is above 1; it must not touch this queue.
        """
        delayed = DelayedFetch(
            waits,
            complete,
            bytes_min=bytes_min,
            isolation=isolation,
            replica_id=replica_id,
            measure=measure,
        )
        self._parked += 1
        for wait in waits:
            if delayed.is_satisfied_by(wait):
                self._finish(delayed)
                return delayed
            self._watch(wait.partition).fetches[wait] = delayed
        self._set_deadline(delayed, timeout_ms)
        return delayed

    def partition_moved(self, partition: Partition[Any]) -> None:
        """Complete the requests that this partition's change satisfies."""
        if (watch := self._watches.get(partition)) is None:
            return
        ready = watch.decide_produces(partition) if watch.produces else []
        ready += [delayed for wait, delayed in watch.fetches.items() if delayed.is_satisfied_by(wait)]
        if not watch.produces and not watch.fetches:
            del self._watches[partition]
        for delayed in ready:
            self._finish(delayed)

    def partitions_moved(self, moved: set[Partition[Any]]) -> None:
        """`partition_moved` for each; `moved`, which may grow meanwhile, is empty afterwards."""
        while moved and self._watches:  # nearly always nobody waits
            self.partition_moved(moved.pop())
        moved.clear()

    def cancel(self, delayed: DelayedRequest) -> None:
        """Forget a request whose client has gone; nothing happens when it has ended."""
        if delayed.complete is not None:
            self._remove(delayed)

    def expire_fetches(self) -> None:
        """Complete every parked fetch as if its time were up: no more data will come for it."""
        for _, _, delayed in sorted(self._deadlines):
            if isinstance(delayed, DelayedFetch):
                self._expire(delayed)

    def expire_all(self) -> None:
        """Complete every parked request as if its time were up: the node is stopping."""
        parked, self._deadlines = self._deadlines, []
        for _, _, delayed in sorted(parked):
            self._expire(delayed)
        self._arm()

    def _watch(self, partition: Partition[Any]) -> _Watch:
        watch = self._watches.get(partition)
        if watch is None:
            watch = self._watches[partition] = _Watch()
        return watch

    # -- ending ----------------------------------------------------------------------------------------

    def _expire(self, delayed: DelayedRequest) -> None:
        if delayed.complete is not None:
            delayed.time_out()
            self._finish(delayed)

    def _finish(self, delayed: DelayedRequest) -> None:
        complete = delayed.complete
        if complete is None:
            return
        self._remove(delayed)
        try:
            complete()
        except Exception:
            # A fault in one answer must not keep the others waiting.
            logger.exception("delayed request failed")

    def _remove(self, delayed: DelayedRequest) -> None:
        """Take a request out of everything but the deadlines, and drop what it holds."""
        waits, delayed.waits = delayed.waits, ()
        delayed.complete = None
        self._parked -= 1
        watches = self._watches
        for wait in waits:
            watch = watches.get(wait.partition)
            if watch is not None:
                watch.remove(wait)
                if not watch.produces and not watch.fetches:
                    del watches[wait.partition]

    # -- deadlines -------------------------------------------------------------------------------------

    def _set_deadline(self, delayed: DelayedRequest, timeout_ms: int) -> None:
        deadline = self._timers.time() + timeout_ms / 1000
        deadlines = self._deadlines
        if len(deadlines) > _TIDY_ABOVE and len(deadlines) > 2 * self._parked:
            deadlines[:] = [entry for entry in deadlines if entry[2].complete is not None]
            heapify(deadlines)
        heappush(deadlines, (deadline, next(self._tie_breaker), delayed))
        if deadline < self._timer_at:
            self._arm()

    def _arm(self) -> None:
        """Have the timer fire no later than the first deadline; it may fire earlier, for nothing."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][2].complete is None:
            heappop(deadlines)
        first = deadlines[0][0] if deadlines else _NEVER
        if first < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = first
            self._timer = self._timers.call_at(first, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        horizon = self._timers.time() + _TIMER_SLACK_S
        deadlines = self._deadlines
        due: list[DelayedRequest] = []
        while deadlines and deadlines[0][0] <= horizon:
            due.append(heappop(deadlines)[2])
        for delayed in due:
            self._expire(delayed)
        self._arm()
