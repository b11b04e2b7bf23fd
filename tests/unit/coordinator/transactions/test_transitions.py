"""Goal: no transition but those of the table, and each leaves what it has no say in as it was.

Method: a transaction in every state, through every function; the table is checked against what Kafka's enum says.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coordinator.transactions import transitions
from coordinator.transactions.states import AT_REST, BY_LABEL, PREDECESSORS, TransactionState
from coordinator.transactions.transaction import EPOCH_MAX, Identity, Transaction
from tests.support.transactions import P0, P1

EMPTY, ONGOING = TransactionState.EMPTY, TransactionState.ONGOING
PREPARE_COMMIT, PREPARE_ABORT = TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT
COMPLETE_COMMIT, COMPLETE_ABORT = TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT

Step = Callable[[Transaction], Transaction]


def transaction(state: TransactionState, epoch: int = 7) -> Transaction:
    partitions = () if state in AT_REST else (P0,)
    return Transaction(state, 50, epoch, 50, -1, 60_000, partitions, 100, 200, 2)


def decided(*, commit: bool, bump: bool = True, next_producer_id: int = -1) -> Step:
    return lambda before: transitions.decided(
        before,
        commit=commit,
        bump_epoch=bump,
        client_version=2 if bump else 0,
        next_producer_id=next_producer_id,
        now_ms=300,
    )


STEPS: list[tuple[Step, TransactionState, set[TransactionState]]] = [
    (lambda t: transitions.taken_over(t, Identity(50, 8), 9, 300), EMPTY, set(AT_REST)),
    (lambda t: transitions.joined_by(t, [P1], 2, 300), ONGOING, {*AT_REST, ONGOING}),
    (decided(commit=True), PREPARE_COMMIT, {ONGOING}),
    (decided(commit=False), PREPARE_ABORT, {*AT_REST, ONGOING}),
]


@pytest.mark.parametrize("state", list(TransactionState))
@pytest.mark.parametrize(("step", "after", "predecessors"), STEPS)
def test_a_step_is_taken_from_its_predecessors_alone(
    state: TransactionState, step: Step, after: TransactionState, predecessors: set[TransactionState]
) -> None:
    assert PREDECESSORS[after] == predecessors
    if state in predecessors:
        assert step(transaction(state)).state is after
    else:
        with pytest.raises(AssertionError):
            step(transaction(state))


@pytest.mark.parametrize("state", list(TransactionState))
def test_only_what_is_decided_is_completed_and_as_it_was_decided(state: TransactionState) -> None:
    ends = {PREPARE_COMMIT: COMPLETE_COMMIT, PREPARE_ABORT: COMPLETE_ABORT}
    if state in ends:
        completed = transitions.complete(transaction(state), 300)
        assert completed == transaction(state)._replace(state=ends[state], partitions=(), updated_ms=300)
    else:
        with pytest.raises(AssertionError):
            transitions.complete(transaction(state), 300)


def test_states_are_told_by_the_names_and_numbers_of_kafka() -> None:
    assert {label: state.value for label, state in BY_LABEL.items()} == {
        "Empty": 0,
        "Ongoing": 1,
        "PrepareCommit": 2,
        "PrepareAbort": 3,
        "CompleteCommit": 4,
        "CompleteAbort": 5,
        "Dead": 6,
        "PrepareEpochFence": 7,
    }
    assert all(BY_LABEL[state.label] is state for state in TransactionState)
    assert PREDECESSORS.keys() == set(TransactionState)


def test_a_transaction_starts_with_its_first_partition() -> None:
    started = transitions.joined_by(transaction(COMPLETE_COMMIT), [P1, P0, P1], 2, 300)
    assert (started.started_ms, started.updated_ms, started.partitions) == (300, 300, (P1, P0))
    more = transitions.joined_by(started, [P0], 0, 400)
    assert (more.started_ms, more.updated_ms, more.partitions) == (300, 400, (P1, P0))
    assert more.client_version == 0


def test_a_decision_bumps_the_epoch_or_leaves_it() -> None:
    assert decided(commit=True)(transaction(ONGOING)).producer_epoch == 8
    assert decided(commit=True, bump=False)(transaction(ONGOING)).producer_epoch == 7


def test_an_epoch_never_overflows() -> None:
    assert decided(commit=False)(transaction(ONGOING, EPOCH_MAX)).producer_epoch == EPOCH_MAX


def test_a_producer_without_epochs_goes_on_under_a_new_id_when_the_transaction_is_complete() -> None:
    prepared = decided(commit=True, next_producer_id=51)(transaction(ONGOING, EPOCH_MAX - 1))
    assert (prepared.producer_id, prepared.producer_epoch) == (50, EPOCH_MAX)
    assert prepared.goes_on_as == (51, 0)
    completed = transitions.complete(prepared, 400)
    assert completed.identity == completed.goes_on_as == (51, 0)
    assert (completed.previous_producer_id, completed.next_producer_id) == (50, -1)


def test_who_takes_over_has_nothing_of_the_transaction_before() -> None:
    taken = transitions.taken_over(transaction(COMPLETE_ABORT), Identity(51, 0), 9, 300)
    assert taken == Transaction(EMPTY, 51, 0, 50, -1, 9, (), -1, 300, 2)
