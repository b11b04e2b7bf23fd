"""Goal: every request in every state is told what Kafka 4.3 tells it, and changes what it is there for, nothing else.

Method: an id is brought into each state, its producer in epoch 2; a table says what each request, of each identity, is
told there. The tables were read off TransactionCoordinator.scala. CT is CONCURRENT_TRANSACTIONS, ITS INVALID_TXN_STATE,
PF PRODUCER_FENCED, MAP INVALID_PRODUCER_ID_MAPPING; NEXT is the current producer id in the next epoch, SAME the current
identity, NONE an answer without an identity. InitProducerId of who was fenced, while a transaction is open, is told
PRODUCER_FENCED at once, as docs/gaps.md says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from coordinator.transactions.states import TransactionState
from coordinator.transactions.transaction import EPOCH_MAX, Identity
from protocol.errors import ErrorCode
from tests.support.transactions import P0, P1, TransactionWorld

Outcome: TypeAlias = ErrorCode | str

CT, ITS = ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_TXN_STATE
PF, OLD_PF = ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH
MAP, NONE, ABORTABLE = (
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    ErrorCode.NONE,
    ErrorCode.TRANSACTION_ABORTABLE,
)
NEXT, SAME = "next", "same"

EMPTY, ONGOING = TransactionState.EMPTY, TransactionState.ONGOING
PREPARE_COMMIT, PREPARE_ABORT = TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT
COMPLETE_COMMIT, COMPLETE_ABORT = TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT

STATES = (EMPTY, ONGOING, PREPARE_COMMIT, PREPARE_ABORT, COMPLETE_COMMIT, COMPLETE_ABORT)
"""The columns of the tables."""


def in_state(state: TransactionState) -> TransactionWorld:
    """Bring an id into a state, under transaction version 2; its epoch is 2, and 1 came before."""
    world = TransactionWorld(level=2)
    if state in (EMPTY, ONGOING):
        for _ in range(3):
            identity = world.init()
    else:
        world.init()
        identity = world.init()
    assert isinstance(identity, Identity)
    if state is not EMPTY:
        assert world.add(identity, P0) is NONE
    if state not in (EMPTY, ONGOING):
        world.end(identity, commit=state in (PREPARE_COMMIT, COMPLETE_COMMIT))
    if state in (COMPLETE_COMMIT, COMPLETE_ABORT):
        world.answer_markers()
    assert world.transaction.state is state
    assert world.identity.producer_epoch == 2
    return world


WHO: dict[str, Callable[[Identity], Identity | None]] = {
    "nobody": lambda _: None,
    "current": lambda current: current,
    "before": lambda current: Identity(current.producer_id, 1),
    "older": lambda current: Identity(current.producer_id, 0),
    "ahead": lambda current: Identity(current.producer_id, 3),
    "last": lambda current: Identity(current.producer_id, EPOCH_MAX - 1),
    "stranger": lambda current: Identity(current.producer_id + 77, 2),
}

REQUESTS: dict[str, Callable[[TransactionWorld, Identity], object]] = {
    "init 5": lambda world, who: world.init(who, version=5),
    "init 3": lambda world, who: world.init(who, version=3),
    "add 4": lambda world, who: world.add(who, P0, P1, version=4),
    "add 3": lambda world, who: world.add(who, P0, P1, version=3),
    "add 1": lambda world, who: world.add(who, P0, P1, version=1),
    "verify": lambda world, who: world.add(who, P0, verify_only=True),
    "commit 5": lambda world, who: world.end(who, commit=True, version=5),
    "abort 5": lambda world, who: world.end(who, commit=False, version=5),
    "commit 4": lambda world, who: world.end(who, commit=True, version=4),
    "abort 4": lambda world, who: world.end(who, commit=False, version=4),
    "commit 1": lambda world, who: world.end(who, commit=True, version=1),
}

TOLD: dict[tuple[str, str], tuple[Outcome, ...]] = {
    #                        EMPTY      ONGOING  PREPARE_COMMIT/ABORT  COMPLETE_COMMIT/ABORT
    ("init 5", "nobody"): (NEXT, CT, CT, CT, NEXT, NEXT),
    ("init 5", "current"): (NEXT, CT, CT, CT, NEXT, NEXT),
    ("init 5", "before"): (PF, PF, CT, CT, SAME, SAME),
    ("init 5", "older"): (PF, PF, CT, CT, PF, PF),
    ("init 5", "ahead"): (PF, PF, CT, CT, PF, PF),
    ("init 5", "stranger"): (PF, PF, CT, CT, PF, PF),
    ("init 3", "stranger"): (OLD_PF, OLD_PF, CT, CT, OLD_PF, OLD_PF),
    ("add 4", "current"): (NONE, NONE, CT, CT, NONE, NONE),
    ("add 4", "before"): (PF, PF, CT, CT, PF, PF),
    ("add 4", "older"): (PF, PF, CT, CT, PF, PF),
    ("add 4", "ahead"): (PF, PF, CT, CT, PF, PF),
    ("add 4", "stranger"): (MAP, MAP, CT, CT, MAP, MAP),
    ("add 3", "current"): (NONE, NONE, CT, CT, NONE, NONE),
    ("add 3", "before"): (PF, PF, CT, CT, PF, PF),
    ("add 1", "before"): (OLD_PF, OLD_PF, CT, CT, OLD_PF, OLD_PF),
    ("add 1", "stranger"): (MAP, MAP, CT, CT, MAP, MAP),
    ("verify", "current"): (ABORTABLE, NONE, CT, CT, ABORTABLE, ABORTABLE),
    ("verify", "before"): (PF, PF, PF, PF, PF, PF),
    ("verify", "stranger"): (MAP, MAP, MAP, MAP, MAP, MAP),
    ("commit 5", "current"): (ITS, NEXT, CT, CT, ITS, ITS),
    ("commit 5", "before"): (PF, PF, CT, CT, SAME, ITS),
    ("commit 5", "older"): (PF, PF, CT, CT, PF, PF),
    ("commit 5", "ahead"): (PF, PF, CT, CT, PF, PF),
    ("commit 5", "last"): (PF, PF, CT, CT, PF, PF),
    ("commit 5", "stranger"): (MAP, MAP, CT, CT, MAP, MAP),
    ("abort 5", "current"): (NEXT, NEXT, CT, CT, NEXT, NEXT),
    ("abort 5", "before"): (PF, PF, CT, CT, ITS, SAME),
    ("abort 5", "older"): (PF, PF, CT, CT, PF, PF),
    ("abort 5", "ahead"): (PF, PF, CT, CT, PF, PF),
    ("abort 5", "stranger"): (MAP, MAP, CT, CT, MAP, MAP),
    ("commit 4", "current"): (ITS, NONE, CT, CT, NONE, ITS),
    ("commit 4", "before"): (PF, PF, PF, PF, PF, PF),
    ("commit 4", "ahead"): (PF, PF, PF, PF, PF, PF),
    ("commit 4", "stranger"): (MAP, MAP, MAP, MAP, MAP, MAP),
    ("abort 4", "current"): (ITS, NONE, CT, CT, ITS, NONE),
    ("abort 4", "older"): (PF, PF, PF, PF, PF, PF),
    ("commit 1", "before"): (OLD_PF, OLD_PF, OLD_PF, OLD_PF, OLD_PF, OLD_PF),
}

BECOMES: dict[tuple[str, TransactionState], TransactionState] = {
    ("init 5", ONGOING): PREPARE_ABORT,
    **{("init 5", state): EMPTY for state in (EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT)},
    **{
        (request, state): ONGOING
        for request in ("add 4", "add 3")
        for state in (EMPTY, ONGOING, COMPLETE_COMMIT, COMPLETE_ABORT)
    },
    **{("commit " + version, ONGOING): PREPARE_COMMIT for version in "45"},
    **{("abort " + version, ONGOING): PREPARE_ABORT for version in "45"},
    **{("abort 5", state): COMPLETE_ABORT for state in (EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT)},
}
"""The state after a request that has its way."""

HAS_ITS_WAY = {
    (request, who, state)
    for (request, who), outcomes in TOLD.items()
    for state, outcome in zip(STATES, outcomes, strict=True)
    if outcome is NEXT
    or (request.startswith("add") and outcome is NONE)
    or (request.startswith(("commit 4", "abort 4")) and outcome is NONE and state is ONGOING)
    or (request == "init 5" and state is ONGOING and outcome is CT)
    or (request == "init 5" and outcome is SAME)
}


@pytest.mark.parametrize("index", range(len(STATES)), ids=[state.name for state in STATES])
@pytest.mark.parametrize(("request_name", "who"), TOLD)
def test_what_is_told_and_what_it_changes(request_name: str, who: str, index: int) -> None:
    state, told = STATES[index], TOLD[request_name, who][index]
    world = in_state(state)
    before, length = world.transaction, len(world.log)
    given = WHO[who](before.identity)
    outcome = REQUESTS[request_name](world, given)  # type: ignore[arg-type]
    if told is NEXT:
        assert outcome == (before.producer_id, before.producer_epoch + 1)
    elif told is SAME:
        assert outcome == before.identity
    else:
        assert outcome is told
    if (request_name, who, state) in HAS_ITS_WAY:
        assert len(world.log) > length
        assert world.transaction.state is BECOMES[request_name, state]
    else:
        assert len(world.log) == length
        assert world.transaction == before
    world.check_replay()


@pytest.mark.parametrize("level", [0, 1])
def test_an_open_transaction_is_taken_over_under_earlier_versions_by_an_epoch_that_nobody_gets(
    level: int,
) -> None:
    world = TransactionWorld(level=level)
    old = world.init()
    assert isinstance(old, Identity)
    assert world.add(old, P0, version=3) is NONE
    assert world.init() is CT
    assert world.transaction.state is PREPARE_ABORT
    assert world.identity == (old.producer_id, 1)
    assert world.end(old, version=4) is PF
    assert world.answer_markers().producer_epoch == 1
    assert world.end(old, version=4) is PF
    assert world.init() == (old.producer_id, 2)


@pytest.mark.parametrize("request_name", [name for name in REQUESTS if not name.startswith("init")])
def test_an_id_that_is_not_known_has_no_producer(request_name: str) -> None:
    world = TransactionWorld()
    assert REQUESTS[request_name](world, Identity(5, 0)) is MAP
    assert world.log == []


@pytest.mark.parametrize("version", [0, 3, 4, 5])
def test_requests_without_an_id_are_invalid(version: int) -> None:
    world = TransactionWorld()
    who = Identity(5, 0)
    assert world.init(transactional_id="", version=version) is ErrorCode.INVALID_REQUEST
    assert world.add(who, P0, transactional_id="", version=version) is ErrorCode.INVALID_REQUEST
    assert world.end(who, transactional_id="", version=version) is ErrorCode.INVALID_REQUEST
    assert world.add(who, P0, transactional_id="", verify_only=True) is ErrorCode.INVALID_REQUEST
