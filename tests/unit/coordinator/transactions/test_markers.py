"""Goal: what is decided reaches every partition, and the transaction is complete when it has, not before."""

from __future__ import annotations

import pytest

from coordinator.shard import MarkersAnswered
from coordinator.transactions.states import TransactionState
from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from protocol.types import TopicPartition
from tests.support.transactions import COORDINATOR_EPOCH, ID, P0, P1, P2, TransactionWorld

U1 = TopicPartition("u", 1)
NONE, TIMED_OUT = ErrorCode.NONE, ErrorCode.REQUEST_TIMED_OUT
DECIDED, COMPLETE = TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT


def decided(*partitions: TopicPartition, level: int = 2) -> TransactionWorld:
    """Return a world with a transaction that its producer committed, sent and not answered."""
    world = TransactionWorld(level=level)
    world.init()
    world.add(world.identity, *partitions, version=4 if level == 2 else 3)
    world.end(world.identity, version=5 if level == 2 else 4)
    return world


def test_markers_say_how_the_transaction_ended_and_who_decided() -> None:
    world = decided(P0, U1)
    assert world.outbox.sent == [(ID, 1000, 1, True, COORDINATOR_EPOCH, 2, (P0, U1))]
    world.answer_markers()
    assert world.transaction.state is COMPLETE
    assert world.transaction.partitions == ()
    assert world.runtime.next_due() == min(world.runtime._due.values())
    assert not any(key[0] == "transaction markers" for key in world.runtime._due)


def test_markers_of_producers_that_keep_their_epoch_carry_that() -> None:
    world = decided(P0, level=0)
    assert world.outbox.sent == [(ID, 1000, 0, True, COORDINATOR_EPOCH, 0, (P0,))]


FINAL = [
    ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    ErrorCode.UNSUPPORTED_VERSION,
    ErrorCode.INVALID_PRODUCER_EPOCH,
]


@pytest.mark.parametrize("code", FINAL)
def test_a_partition_that_has_no_use_for_a_marker_is_done_with(code: ErrorCode) -> None:
    world = decided(P0, P1)
    world.answer_markers(t_1=code)
    assert world.transaction.state is COMPLETE


PASSING = [
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.CORRUPT_MESSAGE,
]


@pytest.mark.parametrize("code", PASSING)
def test_only_those_that_could_not_yet_are_asked_again(code: ErrorCode) -> None:
    world = decided(P0, P1, P2)
    first = world.answer_markers(t_0=code, t_2=code)
    assert world.transaction.state is DECIDED
    assert world.outbox.sent == []
    assert [(topic.topic, topic.partitions) for topic in world.describe().topics] == [("t", [0, 2])]
    world.tick(20)
    assert world.outbox.sent == [first._replace(partitions=(P0, P2))]
    world.answer_markers()
    assert world.transaction.state is COMPLETE
    world.check_replay()


def test_pauses_grow_up_to_a_second() -> None:
    world = decided(P0)
    pauses = []
    for _ in range(9):
        world.answer_markers(TIMED_OUT)
        began_ms = world.now_ms
        while not world.outbox.sent:
            world.tick(10)
        pauses.append(world.now_ms - began_ms)
    assert pauses == [20, 40, 80, 160, 320, 640, 1000, 1000, 1000]


def test_a_partition_that_does_not_exist_any_more_is_done_with() -> None:
    world = decided(P0, U1)
    world.answer_markers(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    del world.topics.partitions["u"]
    world.tick(20)
    world.answer_markers(u_1=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert world.transaction.state is COMPLETE


def test_a_coordinator_that_has_a_successor_leaves_the_rest_to_it() -> None:
    world = decided(P0, P1)
    world.answer_markers(t_0=ErrorCode.TRANSACTION_COORDINATOR_FENCED, t_1=TIMED_OUT)
    world.tick(300_000)
    assert world.outbox.sent == []
    assert world.transaction.state is DECIDED
    world.restart()
    world.answer_markers()
    assert world.transaction.state is COMPLETE


def test_a_completion_that_could_not_be_written_is_tried_again_without_markers() -> None:
    world = decided(P0)
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    world.answer_markers()
    world.tick(100)
    assert world.transaction.state is DECIDED
    world.writer.refusal = None
    world.tick(1_000)
    assert world.transaction.state is COMPLETE
    assert world.outbox.sent == []
    world.check_replay()


def test_nothing_is_sent_that_may_be_lost() -> None:
    world = TransactionWorld()
    world.init()
    world.add(world.identity, P0)
    world.writer.commits_at_once = False
    assert world.end(world.identity) is None
    assert world.outbox.sent == []
    del world.log[world.writer.high_watermark :]
    world.restart()
    assert world.transaction.state is TransactionState.ONGOING
    assert world.outbox.sent == []


def test_who_leads_next_tells_all_again() -> None:
    world = decided(P0, P1)
    old = world.outbox.sent[0]
    world.answer_markers(t_1=TIMED_OUT)
    world.restart()
    assert world.outbox.sent == [old._replace(coordinator_epoch=COORDINATOR_EPOCH + 1)]
    world.runtime.handle(MarkersAnswered(old, ((P0, NONE), (P1, NONE))), world.now_ms)
    assert world.transaction.state is DECIDED, "of the term before"
    world.answer_markers()
    assert world.transaction.state is COMPLETE


def test_what_a_new_leader_found_is_sent_when_it_is_committed() -> None:
    world = decided(P0)
    writer_end = len(world.log)
    world.restart()
    world.runtime.resign()
    world.outbox.sent.clear()
    world.writer.high_watermark = writer_end - 1
    world.shard = world.replayed()
    world.runtime = type(world.runtime)(world.shard, world.writer, world.runtime._answers, world.outbox)
    world.runtime.loaded(world.now_ms, writer_end)
    assert world.outbox.sent == []
    world.commit()
    assert len(world.outbox.sent) == 1


def test_what_was_decided_without_partitions_is_completed_by_who_leads_next() -> None:
    world = TransactionWorld()
    world.init()
    world.add(world.identity, P0)
    prepared = world.transaction._replace(state=DECIDED, producer_epoch=1, partitions=())
    world.given(prepared)
    world.tick(0)
    assert world.transaction == prepared._replace(state=COMPLETE)
    assert world.outbox.sent == []


def test_answers_to_what_is_over_change_nothing() -> None:
    world = decided(P0)
    markers = world.answer_markers()
    new = world.identity
    world.add(new, P0)
    before, length = world.transaction, len(world.log)
    for codes in (((P0, NONE),), ((P0, TIMED_OUT),)):
        world.runtime.handle(MarkersAnswered(markers, codes), world.now_ms)
    world.runtime.handle(MarkersAnswered(markers._replace(transactional_id="other"), ()), world.now_ms)
    assert world.transaction == before
    world.end(new)
    world.runtime.handle(MarkersAnswered(markers, ((P0, NONE),)), world.now_ms)
    assert world.transaction.state is DECIDED
    assert len(world.log) == length + 1


def test_what_partitions_said_of_one_transaction_does_not_count_for_the_next() -> None:
    world = decided(P0)
    world.answer_markers()
    world.add(world.identity, P0)
    world.end(world.identity)
    world.answer_markers(TIMED_OUT)
    assert world.transaction.state is DECIDED
    assert world.describe().topics[0].partitions == [0]


def test_two_ids_do_not_wait_for_each_other() -> None:
    world = decided(P0)
    world.answer_markers(TIMED_OUT)
    other = world.init(transactional_id="other")
    assert isinstance(other, Identity)
    world.add(other, P0, transactional_id="other")
    world.end(other, transactional_id="other")
    world.answer_markers()
    assert world.shard.state.transactions["other"].state is COMPLETE
    assert world.transaction.state is DECIDED
