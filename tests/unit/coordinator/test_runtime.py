"""Goal: no answer, send or word of a marker leaves before all that it rests on is committed, and none is lost; timers
fire once, in order.

Method: a shard of counters whose decisions are simple enough to be a model, a writer whose high watermark the test
moves; then random schedules of calls, commits, refusals and clock steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.runtime import ShardRuntime, State
from coordinator.shard import (
    AppendRefused,
    Call,
    Caller,
    CoordinatorRecord,
    Effects,
    EndTxnMarkers,
    Event,
    MarkersAnswered,
    TimerFired,
    TimerKey,
    TransactionalProducer,
    TransactionMarker,
    Waiter,
)
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from protocol.messages.message import Message
from protocol.messages.records_group import GroupMetadataKey
from protocol.types import Offset, TimestampMs, TopicPartition

CALLER = Caller(0, "client", "/127.0.0.1")
PARTITION = TopicPartition("t", 0)
MARKER = TransactionMarker(TransactionalProducer(7, 1), True, 3, 2)


def markers(transactional_id: str) -> EndTxnMarkers:
    return EndTxnMarkers(transactional_id, 7, 1, True, 3, 2, (PARTITION,))


class Writer:
    def __init__(self) -> None:
        self.high_watermark: Offset = 0
        self.end: Offset = 0
        self.refusal: ErrorCode | None = None
        self.commits_at_once = True

    def append(
        self,
        records: Sequence[CoordinatorRecord],
        producer: TransactionalProducer | None,
        now_ms: TimestampMs,
    ) -> Offset:
        if self.refusal is not None:
            raise BrokerError(self.refusal)
        return self._append(len(records))

    def append_marker(self, marker: TransactionMarker, now_ms: TimestampMs) -> Offset:
        if self.refusal is not None:
            raise BrokerError(self.refusal)
        return self._append(1)

    def _append(self, count: int) -> Offset:
        first, self.end = self.end, self.end + count
        if self.commits_at_once:
            self.high_watermark = self.end
        return first


class Answers:
    def __init__(self) -> None:
        self.sent: list[tuple[Waiter, Message | ErrorCode]] = []

    def answer(self, waiter: Waiter, response: Message) -> None:
        self.sent.append((waiter, response))

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None:
        self.sent.append((waiter, code))

    def send(self, markers: EndTxnMarkers) -> None:
        """As an `Outbox`: what is sent stands among the answers."""
        self.sent.append((markers, ErrorCode.NONE))


class Counters:
    """Heartbeats write one record each, but for those of the group `read`; those of `park` wait in soft state. Those of
    `send` send markers, too, which write a record once they are answered.
    """

    def __init__(self) -> None:
        self.replayed: list[tuple[str, Offset]] = []
        self.ended: list[tuple[TransactionalProducer, bool]] = []
        self.parked: list[Waiter] = []
        self.fired: list[TimerKey] = []
        self.refused: list[AppendRefused] = []
        self.timers: list[tuple[TimerKey, TimestampMs | None]] = []

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        match event:
            case Call(request=HeartbeatRequest(group_id=group), waiter=waiter):
                if group == "park":
                    self.parked.append(waiter)
                    return
                if group != "read":
                    effects.record(GroupMetadataKey(group=group), None)
                # The answer shows what the decision saw.
                effects.answer(waiter, HeartbeatResponse(throttle_time_ms=len(self.replayed)))
                effects.timers += self.timers
                if group == "send":
                    effects.send(markers(str(waiter)))
            case MarkersAnswered(markers=sent):
                effects.record(GroupMetadataKey(group=sent.transactional_id), None)
            case TimerFired(key=key):
                self.fired.append(key)
            case AppendRefused():
                self.refused.append(event)

    def replay(
        self, record: CoordinatorRecord, offset: Offset, producer: TransactionalProducer | None
    ) -> None:
        assert isinstance(record.key, GroupMetadataKey)
        self.replayed.append((record.key.group, offset))

    def replay_marker(self, producer: TransactionalProducer, *, commit: bool) -> None:
        self.ended.append((producer, commit))

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        effects.timers += self.timers

    def on_resigned(self) -> list[Waiter]:
        return self.parked


class World:
    def __init__(self, *, loaded: bool = True) -> None:
        self.shard, self.writer, self.answers = Counters(), Writer(), Answers()
        self.runtime = ShardRuntime(self.shard, self.writer, self.answers, self.answers)
        if loaded:
            self.runtime.loaded(0)

    def call(self, group: str, waiter: Waiter, now_ms: TimestampMs = 0) -> None:
        self.runtime.call(Call(HeartbeatRequest(group_id=group), CALLER, waiter), now_ms)

    def write_marker(self, number: Waiter) -> None:
        """Write a marker; what is told of it stands among the answers."""
        self.runtime.write_marker(MARKER, lambda code: self.answers.sent.append((number, code)), 0)

    def commit(self) -> None:
        self.writer.high_watermark = self.writer.end
        self.runtime.high_watermark_moved()

    @property
    def answered(self) -> list[Waiter]:
        return [waiter for waiter, _ in self.answers.sent]


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_committed_at_once_is_answered_at_once(world: World) -> None:
    world.call("a", 1)
    assert world.answered == [1]
    assert world.shard.replayed == [("a", 0)]


def test_an_answer_waits_for_its_records_and_a_read_for_what_it_saw(world: World) -> None:
    world.writer.commits_at_once = False
    world.call("a", 1)
    world.call("read", 2)
    assert world.shard.replayed == [("a", 0)]
    assert world.answered == []
    world.writer.high_watermark = 1
    world.runtime.high_watermark_moved()
    assert world.answered == [1, 2]


def test_an_answer_waits_for_what_a_new_leader_found_uncommitted() -> None:
    world = World(loaded=False)
    world.writer.commits_at_once = False
    world.writer.end, world.writer.high_watermark = 7, 5
    world.runtime.loaded(0, 7)
    world.call("read", 1)
    assert world.answered == []
    world.writer.high_watermark = 7
    world.runtime.high_watermark_moved()
    assert world.answered == [1]


def test_a_commit_of_some_answers_only_those(world: World) -> None:
    world.writer.commits_at_once = False
    world.call("a", 1)
    world.call("b", 2)
    world.writer.high_watermark = 1
    world.runtime.high_watermark_moved()
    assert world.answered == [1]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_a_refused_append_has_no_effect_but_the_refusal(
    world: World, refusal: ErrorCode, told: ErrorCode
) -> None:
    world.writer.refusal = refusal
    world.shard.timers = [(("t",), 5)]
    world.call("a", 1)
    assert world.answers.sent == [(1, told)]
    assert world.shard.replayed == []
    assert world.runtime.next_due() is None
    assert [refused.code for refused in world.shard.refused] == [told]


def test_while_loading_calls_are_refused_and_events_are_ignored() -> None:
    world = World(loaded=False)
    world.call("a", 1)
    world.runtime.handle(TimerFired(("t",)), 0)
    assert world.answers.sent == [(1, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)]
    assert world.shard.fired == []


def test_who_waits_when_the_role_is_lost_is_told_and_nobody_twice(world: World) -> None:
    world.writer.commits_at_once = False
    world.call("park", 1)
    world.call("a", 2)
    world.runtime.resign()
    assert sorted(world.answers.sent, key=str) == [
        (1, ErrorCode.NOT_COORDINATOR),
        (2, ErrorCode.NOT_COORDINATOR),
    ]
    world.writer.high_watermark = 9
    world.runtime.high_watermark_moved()
    world.runtime.resign()
    world.call("a", 3)
    assert world.answers.sent[2:] == [(3, ErrorCode.NOT_COORDINATOR)]
    assert world.runtime.state is State.OVER


def test_a_send_waits_for_what_was_decided_and_what_comes_of_it_is_an_event(world: World) -> None:
    world.writer.commits_at_once = False
    world.call("send", 1)
    assert world.answered == []
    world.commit()
    assert world.answered == [1, markers("1")]
    world.runtime.handle(MarkersAnswered(markers("1"), ((PARTITION, ErrorCode.NONE),)), 0)
    assert world.shard.replayed == [("send", 0), ("1", 1)]


def test_a_send_of_a_decision_that_could_not_be_written_never_leaves(world: World) -> None:
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    world.call("send", 1)
    world.commit()
    assert world.answers.sent == [(1, ErrorCode.COORDINATOR_NOT_AVAILABLE)]


def test_what_partitions_said_is_tried_again_by_the_shard_when_it_could_not_be_written(world: World) -> None:
    world.call("send", 1)
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    event = MarkersAnswered(markers("1"), ((PARTITION, ErrorCode.NONE),))
    world.runtime.handle(event, 0)
    assert world.shard.refused == [AppendRefused(event, ErrorCode.COORDINATOR_NOT_AVAILABLE)]


def test_sends_that_wait_when_the_role_is_lost_are_dropped(world: World) -> None:
    world.writer.commits_at_once = False
    world.call("send", 1)
    world.runtime.resign()
    world.commit()
    assert world.answers.sent == [(1, ErrorCode.NOT_COORDINATOR)]
    world.runtime.handle(MarkersAnswered(markers("1"), ((PARTITION, ErrorCode.NONE),)), 0)
    assert world.shard.replayed == [("send", 0)]


def test_a_marker_is_taken_in_at_once_and_told_of_once_it_is_committed(world: World) -> None:
    world.writer.commits_at_once = False
    world.call("a", 1)
    world.write_marker(2)
    world.call("b", 3)
    assert world.shard.ended == [(MARKER.producer, True)]
    assert world.shard.replayed == [("a", 0), ("b", 2)]
    assert world.answered == []
    world.writer.high_watermark = 2
    world.runtime.high_watermark_moved()
    assert world.answered == [1, 2]
    assert world.answers.sent[1] == (2, ErrorCode.NONE)


def test_a_marker_that_the_log_refuses_is_not_taken_in(world: World) -> None:
    world.writer.refusal = ErrorCode.TRANSACTION_COORDINATOR_FENCED
    world.write_marker(1)
    assert world.answers.sent == [(1, ErrorCode.TRANSACTION_COORDINATOR_FENCED)]
    assert world.shard.ended == []


def test_a_marker_is_for_the_leader_once_it_has_loaded(world: World) -> None:
    loading = World(loaded=False)
    loading.write_marker(1)
    assert loading.answers.sent == [(1, ErrorCode.NOT_LEADER_OR_FOLLOWER)]
    assert loading.writer.end == 0
    world.writer.commits_at_once = False
    world.write_marker(2)
    world.runtime.resign()
    world.write_marker(3)
    world.commit()
    assert world.answers.sent == [
        (2, ErrorCode.NOT_LEADER_OR_FOLLOWER),
        (3, ErrorCode.NOT_LEADER_OR_FOLLOWER),
    ]


def test_a_timer_that_moves_later_fires_then_and_one_taken_back_never(world: World) -> None:
    world.shard.timers = [(("a",), 10), (("b",), 10), (("a",), 30), (("b",), None)]
    world.call("read", 1)
    world.runtime.fire_timers(29)
    assert world.shard.fired == []
    world.runtime.fire_timers(30)
    assert world.shard.fired == [("a",)]
    assert world.runtime.next_due() is None


TIMES = st.integers(0, 50)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 3), st.one_of(st.none(), TIMES)),
        st.tuples(st.just("clock"), st.just(0), TIMES),
    ),
    max_size=60,
)


@given(STEPS)
def test_timers_fire_like_a_table_of_due_times(steps: list[tuple[str, int, int | None]]) -> None:
    world = World()
    table: dict[TimerKey, TimestampMs] = {}
    now = 0
    for step, number, amount in steps:
        key = ("t", number)
        if step == "set":
            due = None if amount is None else now + amount
            world.shard.timers = [(key, due)]
            world.call("read", 0, now)
            table.pop(key, None)
            if due is not None:
                table[key] = due
        else:
            now += amount or 0
            world.shard.fired.clear()
            world.runtime.fire_timers(now)
            expected = {key for key, due in table.items() if due <= now}
            assert set(world.shard.fired) == expected
            assert len(world.shard.fired) == len(expected)
            for key in expected:
                del table[key]
        due_first = world.runtime.next_due()
        assert (due_first is None) == (not table)
        if due_first is not None:
            assert due_first <= min(table.values())
    assert len(world.runtime._heap) <= len(steps) + 4


@given(st.lists(st.sampled_from(["write", "read", "send", "marker", "commit", "refuse"]), max_size=40))
def test_nothing_overtakes_what_it_rests_on(steps: list[str]) -> None:
    world = World()
    world.writer.commits_at_once = False
    expected: list[Waiter] = []
    rests_on: list[Offset] = []
    for number, step in enumerate(steps):
        if step == "commit":
            if world.writer.high_watermark < world.writer.end:
                world.writer.high_watermark += 1
            world.runtime.high_watermark_moved()
        else:
            world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS if step == "refuse" else None
            if step == "marker":
                world.write_marker(number)
            else:
                world.call({"write": "a", "refuse": "send"}.get(step, step), number)
            expected += [number, markers(str(number))] if step == "send" else [number]
            rests_on += [world.writer.end] * (2 if step == "send" else 1)
        sent = len(world.answers.sent)
        assert world.answered == expected[:sent]
        assert all(end <= world.writer.high_watermark for end in rests_on[:sent])
    world.commit()
    assert world.answered == expected
