"""The coordinator's node: a log whose high watermark lags, and one shard that loses it and comes back.

The log keeps records as bytes, as the broker writes them, so that a shard that is built anew reads them back. A move
of the leadership loses some of what was not committed, batch by batch; a restart loses nothing. Either way the cleaner
may have been over the front of the log meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from coordinator.group_config import GroupConfig
from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS, encode_key, encode_value
from coordinator.runtime import ShardRuntime, State
from coordinator.shard import (
    Call,
    Caller,
    CoordinatorRecord,
    Effects,
    Event,
    TopicsChanged,
    TransactionalProducer,
    TransactionMarker,
    Waiter,
)
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.types import Offset, TimestampMs
from tests.simulation.common.alarm import Alarm
from tests.simulation.common.clock import Clock
from tests.simulation.common.network import Exchange
from tests.simulation.groups.checks import Checker
from tests.support.groups import OwnConfigs
from tests.support.shards import Topics

REFUSALS = (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.KAFKA_STORAGE_ERROR)


class Entry(NamedTuple):
    """One record of the log."""

    offset: Offset
    batch: Offset
    """Offset of the first record that was written with it."""
    key: bytes
    value: bytes | None
    record: CoordinatorRecord


class MemoryLog:
    """A `PartitionWriter` that commits when it likes and refuses at times."""

    def __init__(self, clock: Clock, choose: Random, checker: Checker) -> None:
        self.entries: list[Entry] = []
        self.end_offset: Offset = 0
        self.high_watermark: Offset = 0
        self.lag_ms = 0
        """Appends are committed after up to so long; 0 for at once."""
        self.refuse_one_in = 0
        """Of so many appends one is refused; 0 for none."""
        self.refuse_until_ms: TimestampMs = 0
        self.on_committed = _nothing
        self._clock = clock
        self._choose = choose
        self._checker = checker

    def append(
        self,
        records: Sequence[CoordinatorRecord],
        producer: TransactionalProducer | None,
        now_ms: TimestampMs,
    ) -> Offset:
        if self._refuses():
            self._checker.append_refused(self.end_offset)
            raise BrokerError(self._choose.choice(REFUSALS))
        first = self.end_offset
        for record in records:
            value = None if record.value is None else encode_value(record.value)
            self.entries.append(Entry(self.end_offset, first, encode_key(record.key), value, record))
            self.end_offset += 1
        self._checker.appended()
        if self.lag_ms == 0 and self.high_watermark == first:
            self.high_watermark = self.end_offset
        else:
            self._clock.after(self._choose.randint(0, self.lag_ms), self._commit, self.end_offset)
        return first

    def append_marker(self, marker: TransactionMarker, now_ms: TimestampMs) -> Offset:
        raise AssertionError("there are no transactions here")

    def commit_all(self) -> None:
        self._commit(self.end_offset)

    def _commit(self, offset: Offset) -> None:
        offset = min(offset, self.end_offset)
        if offset > self.high_watermark:
            self.high_watermark = offset
            self.on_committed()

    def _refuses(self) -> bool:
        if self._clock.now_ms < self.refuse_until_ms:
            return True
        return self.refuse_one_in > 0 and self._choose.randrange(self.refuse_one_in) == 0

    def lose_tail(self) -> None:
        """Another replica leads, which had all that is committed, and perhaps more."""
        batches = sorted({entry.batch for entry in self.entries if entry.offset >= self.high_watermark})
        if batches:
            self.end_offset = self._choose.choice([max(batches[0], self.high_watermark), *batches[1:]])
            self.entries = [entry for entry in self.entries if entry.offset < self.end_offset]

    def compact(self) -> None:
        """Keep the last record of each key in the front of the log, and perhaps no tombstones."""
        end = self._choose.randint(0, self.high_watermark)
        last = {entry.key: entry.offset for entry in self.entries if entry.offset < end}
        drop_tombstones = self._choose.random() < 0.5
        self.entries = [
            entry
            for entry in self.entries
            if entry.offset >= end
            or (last[entry.key] == entry.offset and not (drop_tombstones and entry.value is None))
        ]


class _Watched(GroupShard):
    """Lets the checker see every decision, before it is performed."""

    __slots__ = ("checker", "log")

    checker: Checker
    log: MemoryLog

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        super().decide(event, now_ms, effects)
        self.checker.decided(event, effects, self.log.end_offset)

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        super().on_loaded(now_ms, effects)
        self.checker.decided(None, effects, self.log.end_offset)


class Node:
    """Takes requests, sends answers; between two shards it refuses."""

    def __init__(
        self, clock: Clock, choose: Random, checker: Checker, config: GroupConfig, topics: Topics
    ) -> None:
        self.log = MemoryLog(clock, choose, checker)
        self.log.on_committed = self._committed
        self.topics = topics
        self._clock = clock
        self._choose = choose
        self._checker = checker
        self._config = config
        self._entropy = _Drawn(choose)
        self.runtime: ShardRuntime | None = None
        self._alarm: Alarm
        self.start()

    # -- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Lead the partition: build the shard from the log."""
        shard = self._replayed()
        self._checker.loaded([entry.record for entry in self.log.entries])
        self.runtime = ShardRuntime(shard, self.log, self)
        self._alarm = Alarm(self._clock, self._choose, self.runtime)
        self.runtime.loaded(self._clock.now_ms, self.log.end_offset)
        self._alarm.arm()

    def stop(self, *, moved: bool) -> None:
        """Lose the shard: because the leadership `moved`, or the node stopped in order."""
        runtime, self.runtime = self.runtime, None
        if runtime is None:
            return
        self.check_replay(runtime)
        runtime.resign()
        self._checker.resigned()
        if moved:
            self.log.lose_tail()
        self._clock.after(self._choose.randint(0, 2000), self.log.commit_all)
        if self._choose.random() < 0.5:
            self.log.compact()

    def check_replay(self, runtime: ShardRuntime | None = None) -> None:
        """What serving built is what the log says."""
        runtime = self.runtime if runtime is None else runtime
        if runtime is not None and runtime.state is State.ACTIVE:
            assert isinstance(runtime.shard, GroupShard)
            self._checker.same_hard_state(runtime.shard, self._replayed())

    def _replayed(self) -> GroupShard:
        shard = _Watched(self._config, self.topics, self._entropy, OwnConfigs())
        shard.checker = self._checker
        shard.log = self.log
        for entry in self.log.entries:
            record = GROUP_RECORDS.decode(entry.key, entry.value)
            assert record is not None
            shard.replay(record, entry.offset, None)
        return shard

    # -- events ------------------------------------------------------------------------------------------

    def receive(self, exchange: Exchange) -> None:
        """A request arrived."""
        runtime = self.runtime
        if runtime is None:
            exchange.take(self._choose.choice(_AWAY))
            return
        self._checker.received(exchange)
        runtime.call(
            Call(
                exchange.request,
                Caller(exchange.version, exchange.client_id, exchange.client_host),
                exchange,
            ),
            self._clock.now_ms,
        )
        self._alarm.arm()

    def topics_changed(self, deleted: tuple[str, ...] = (), deleted_ids: tuple[bytes, ...] = ()) -> None:
        if self.runtime is not None:
            self.runtime.handle(TopicsChanged(deleted, deleted_ids), self._clock.now_ms)
            self._alarm.arm()

    def answer(self, waiter: Waiter, response: Message) -> None:
        self._answered(waiter, response)

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None:
        self._answered(waiter, code)

    def _answered(self, waiter: Waiter, outcome: Message | ErrorCode) -> None:
        assert isinstance(waiter, Exchange)
        over = self.runtime is None
        self._checker.answered(waiter, outcome, self.log.high_watermark, over=over)
        waiter.take(outcome)

    def _committed(self) -> None:
        if self.runtime is not None:
            self.runtime.high_watermark_moved()


_AWAY = (
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
)


class _Drawn:
    """`Entropy` of the seed."""

    def __init__(self, choose: Random) -> None:
        self._choose = choose

    def uuid(self) -> bytes:
        return self._choose.randbytes(16)


def _nothing() -> None:
    return None
