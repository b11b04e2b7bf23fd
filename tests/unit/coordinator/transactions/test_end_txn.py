"""Goal: a transaction ends once, as was first decided, and its producer learns how, however often it has to ask."""

from __future__ import annotations

import pytest

from coordinator.transactions.states import TransactionState
from coordinator.transactions.transaction import EPOCH_MAX, Identity
from protocol.errors import ErrorCode
from tests.support.transactions import P0, P1, TransactionWorld, end_request

LAST = EPOCH_MAX - 1
ITS, CT = ErrorCode.INVALID_TXN_STATE, ErrorCode.CONCURRENT_TRANSACTIONS


def ongoing(*, level: int = 2, epoch: int = 0) -> tuple[TransactionWorld, Identity]:
    """Return a world with an open transaction on P0 and P1, and its producer."""
    world = TransactionWorld(level=level)
    world.init()
    world.given(world.transaction._replace(producer_epoch=epoch))
    identity = world.identity
    assert world.add(identity, P0, P1, version=4 if level == 2 else 3) is ErrorCode.NONE
    return world, identity


@pytest.mark.parametrize("commit", [True, False])
def test_a_producer_that_lost_its_answer_gets_the_next_epoch_again(commit: bool) -> None:
    world, old = ongoing()
    new = world.end(old, commit=commit)
    assert new == (old.producer_id, 1)
    assert world.end(old, commit=commit) is CT
    world.answer_markers()
    for _ in range(2):
        assert world.end(old, commit=commit) == new
        assert world.end(old, commit=not commit) is ITS
        world.restart()  # the epoch alone tells
    world.check_replay()


@pytest.mark.parametrize("commit", [True, False])
def test_a_producer_of_before_learns_by_the_state_how_its_transaction_ended(commit: bool) -> None:
    world, producer = ongoing(level=1)
    assert world.end(producer, commit=commit, version=4) is ErrorCode.NONE
    assert world.end(producer, commit=commit, version=4) is CT
    world.answer_markers()
    for _ in range(2):
        assert world.end(producer, commit=commit, version=4) is ErrorCode.NONE
        assert world.end(producer, commit=not commit, version=4) is ITS
        assert world.identity == producer
        world.restart()


def test_an_end_that_comes_late_does_not_end_the_next_transaction() -> None:
    world, old = ongoing()
    new = world.end(old, commit=False)
    assert isinstance(new, Identity)
    world.answer_markers()
    assert world.add(new, P0) is ErrorCode.NONE
    length = len(world.log)
    for commit in (True, False):
        assert world.end(old, commit=commit) is ErrorCode.PRODUCER_FENCED
    assert len(world.log) == length
    assert world.transaction.state is TransactionState.ONGOING


def test_the_answer_comes_when_the_decision_is_committed_and_does_not_wait_for_markers() -> None:
    world, old = ongoing()
    world.writer.commits_at_once = False
    answer = world.send(end_request(old, commit=True), 5)
    assert (answer.response, world.outbox.sent) == (None, [])
    world.commit()
    assert (answer.response.error_code, answer.response.producer_epoch) == (ErrorCode.NONE, 1)
    assert len(world.outbox.sent) == 1
    assert world.transaction.state is TransactionState.PREPARE_COMMIT


def test_a_decision_that_was_not_written_was_not_made() -> None:
    world, old = ongoing()
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    assert world.call(end_request(old, commit=True)) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    world.writer.refusal = None
    assert world.outbox.sent == []
    assert world.end(old, commit=False) == (old.producer_id, 1)
    assert not world.answer_markers().committed


def test_below_version_5_no_identity_is_told() -> None:
    world, producer = ongoing()
    response = world.call(end_request(producer, commit=True), 4)
    assert (response.error_code, response.producer_id, response.producer_epoch) == (ErrorCode.NONE, -1, -1)


@pytest.mark.parametrize("commit", [True, False])
def test_the_last_epoch_is_followed_by_a_new_id(commit: bool) -> None:
    world, last = ongoing(epoch=LAST)
    new = world.end(last, commit=commit)
    assert new == (1001, 0)
    markers = world.answer_markers()
    assert (markers.producer_id, markers.producer_epoch) == (1000, EPOCH_MAX)
    assert world.identity == new
    for _ in range(2):
        assert world.end(last, commit=commit) == new
        assert world.end(last, commit=not commit) is ITS
        world.restart()
    assert isinstance(new, Identity)
    assert world.add(new, P0) is ErrorCode.NONE
    assert world.end(last, commit=commit) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert world.end(new, commit=commit) == (1001, 1)


def test_a_new_id_that_was_promised_is_kept_over_a_restart() -> None:
    world, last = ongoing(epoch=LAST)
    new = world.end(last)
    world.restart()
    world.answer_markers()
    assert world.identity == new


def test_without_a_producer_id_at_hand_the_last_epoch_cannot_end_yet() -> None:
    world, last = ongoing(epoch=LAST)
    world.producer_ids.used_up = True
    assert world.end(last) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert world.transaction.state is TransactionState.ONGOING
    world.producer_ids.used_up = False
    assert world.end(last) == (1001, 0)


def test_an_epoch_that_nobody_was_given_ends_in_a_new_id() -> None:
    """Who claims the epoch that was only there to fence with must not overflow it."""
    world, top = ongoing(epoch=EPOCH_MAX)
    assert world.end(top, commit=True) == (1001, 0)
    assert world.answer_markers().producer_epoch == EPOCH_MAX


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_who_was_taken_over_does_not_become_its_successor(level: int, commit: bool) -> None:
    """The successor is of before: its transactions all have the epoch that it was given."""
    world, old = ongoing()
    old = world.end(old)  # type: ignore[assignment]
    world.answer_markers()
    world.feature.level = level
    successor = world.init()
    assert successor == (old.producer_id, old.producer_epoch + 1)
    assert isinstance(successor, Identity)
    assert world.add(successor, P0, version=3) is ErrorCode.NONE
    assert world.end(successor, commit=commit, version=4) is ErrorCode.NONE
    world.answer_markers()
    for _ in range(2):
        length = len(world.log)
        assert world.end(old, commit=commit) is ErrorCode.PRODUCER_FENCED
        assert world.end(old, commit=not commit) is ErrorCode.PRODUCER_FENCED
        assert world.init(old) is ErrorCode.PRODUCER_FENCED
        assert (world.identity, len(world.log)) == (successor, length)
        assert world.end(successor, commit=commit, version=4) is ErrorCode.NONE
        world.restart()


@pytest.mark.parametrize("epoch", [0, LAST])
def test_the_epoch_that_was_only_there_to_fence_with_is_given_to_nobody(epoch: int) -> None:
    """`transaction.version` is set back while the client is in a transaction, and then its time is over."""
    world, old = ongoing(epoch=epoch)
    world.feature.level = 1
    world.tick(80_000)
    world.answer_markers()
    assert world.identity == (old.producer_id, epoch + 1)
    for _ in range(2):
        assert world.end(old, commit=False) is ErrorCode.PRODUCER_FENCED
        assert world.end(old, commit=True) is ErrorCode.PRODUCER_FENCED
        world.restart()
    assert world.init(old) is ErrorCode.PRODUCER_FENCED
    assert world.init() == ((old.producer_id, 2) if epoch == 0 else (1001, 0))


def test_the_last_epoch_of_all_is_told_to_nobody_even_where_an_id_was_left_in_it() -> None:
    world, last = ongoing(epoch=LAST)
    left = world.transaction._replace(
        state=TransactionState.COMPLETE_ABORT, producer_epoch=EPOCH_MAX, partitions=()
    )
    world.given(left)
    assert left.client_version == 2
    assert world.end(last, commit=False) is ErrorCode.PRODUCER_FENCED
    assert world.init() == (1001, 0)


def test_an_abort_without_a_transaction_is_complete_at_once() -> None:
    world = TransactionWorld()
    world.init()
    old, length = world.identity, len(world.log)
    assert world.end(old, commit=False) == (old.producer_id, 1)
    states = [record.value.transaction_status for record in world.records(length) if record.value]  # type: ignore[attr-defined]
    assert states == [TransactionState.PREPARE_ABORT, TransactionState.COMPLETE_ABORT]
    assert world.outbox.sent == []
    assert world.transaction.started_ms == world.now_ms
    assert world.end(old, commit=False) == (old.producer_id, 1)
    world.check_replay()


@pytest.mark.parametrize("version", [0, 4, 5])
def test_a_commit_that_comes_before_the_timeout_wins(version: int) -> None:
    world, old = ongoing(level=2 if version == 5 else 1)
    assert not isinstance(world.end(old, version=version), ErrorCode) or version < 5
    world.tick(200_000)
    assert world.transaction.state is TransactionState.PREPARE_COMMIT
    assert world.answer_markers().committed


@pytest.mark.parametrize(
    ("version", "meanwhile", "afterwards"),
    [
        (5, CT, ITS),
        (4, ErrorCode.PRODUCER_FENCED, ErrorCode.PRODUCER_FENCED),
        (1, ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_PRODUCER_EPOCH),
    ],
)
def test_a_commit_that_comes_after_the_timeout_is_refused(
    version: int, meanwhile: ErrorCode, afterwards: ErrorCode
) -> None:
    world, old = ongoing(level=2 if version == 5 else 1)
    world.tick(80_000)
    assert world.end(old, version=version) is meanwhile
    assert not world.answer_markers().committed
    assert world.end(old, version=version) is afterwards
    assert world.transaction.state is TransactionState.COMPLETE_ABORT


def test_a_producer_that_ran_out_of_time_finds_out_and_goes_on() -> None:
    world, old = ongoing()
    world.tick(80_000)
    world.answer_markers()
    assert world.end(old, commit=False) == (old.producer_id, 1)
    assert world.init(old) == (old.producer_id, 1)
