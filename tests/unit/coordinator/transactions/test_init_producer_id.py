"""Goal: one producer at a time has a transactional id, and the one that has it can always go on."""

from __future__ import annotations

import pytest

from coordinator.transaction_config import TransactionConfig
from coordinator.transactions.states import TransactionState
from coordinator.transactions.transaction import EPOCH_MAX, Identity
from protocol.errors import ErrorCode
from tests.support.transactions import ID, P0, TransactionWorld, init_request

LAST = EPOCH_MAX - 1
"""The last epoch that a producer can have."""


@pytest.fixture
def world() -> TransactionWorld:
    return TransactionWorld()


def at_epoch(world: TransactionWorld, epoch: int) -> Identity:
    """Have the id be used up to an epoch."""
    assert isinstance(world.init(), Identity)
    world.given(world.transaction._replace(producer_epoch=epoch))
    return world.identity


def test_the_first_producer_begins_at_epoch_0(world: TransactionWorld) -> None:
    assert world.init(timeout_ms=1234) == (1000, 0)
    transaction = world.transaction
    assert transaction.state is TransactionState.EMPTY
    assert (transaction.timeout_ms, transaction.started_ms, transaction.updated_ms) == (
        1234,
        -1,
        world.now_ms,
    )
    assert (transaction.partitions, transaction.previous_producer_id) == ((), 1000)


def test_ids_do_not_share_producers(world: TransactionWorld) -> None:
    assert world.init(transactional_id="a") == (1000, 0)
    assert world.init(transactional_id="b") == (1001, 0)
    assert world.init(transactional_id="a") == (1000, 1)


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_a_timeout_beyond_the_bounds_is_refused(world: TransactionWorld, timeout_ms: int) -> None:
    assert world.init(timeout_ms=timeout_ms) is ErrorCode.INVALID_TRANSACTION_TIMEOUT
    assert world.log == []
    assert world.init(timeout_ms=900_000) == (1000, 0)


def test_the_bound_may_change_while_it_runs(world: TransactionWorld) -> None:
    world.shard.configure(TransactionConfig(timeout_ms_max=10))
    assert world.init(timeout_ms=11) is ErrorCode.INVALID_TRANSACTION_TIMEOUT
    assert world.init(timeout_ms=10) == (1000, 0)


@pytest.mark.parametrize("claimed", [Identity(-1, 0), Identity(1000, -1)])
def test_half_an_identity_is_invalid(world: TransactionWorld, claimed: Identity) -> None:
    assert world.init() == (1000, 0)
    assert world.init(claimed) is ErrorCode.INVALID_REQUEST


def test_a_refusal_names_nobody(world: TransactionWorld) -> None:
    response = world.call(init_request(timeout_ms=0), 5)
    assert (response.producer_id, response.producer_epoch) == (-1, -1)


def test_without_a_producer_id_at_hand_the_client_comes_again(world: TransactionWorld) -> None:
    world.producer_ids.used_up = True
    assert world.init() is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert world.log == []
    world.producer_ids.used_up = False
    assert world.init() == (1000, 0)


def test_who_claims_an_id_that_is_not_known_gets_a_new_identity(world: TransactionWorld) -> None:
    assert world.init(Identity(5, 17)) == (1000, 0)


def test_a_producer_that_lost_its_answer_gets_it_again(world: TransactionWorld) -> None:
    world.init()
    first = world.identity
    assert world.init(first) == (1000, 1)
    assert world.init(first) == (1000, 1)
    assert world.init(Identity(1000, 1)) == (1000, 2)
    assert world.init(first) is ErrorCode.PRODUCER_FENCED


def test_a_producer_whose_place_was_taken_is_fenced(world: TransactionWorld) -> None:
    world.init()
    first = world.identity
    assert world.init(first) == (1000, 1)
    assert world.init() == (1000, 2)
    assert world.init(first) is ErrorCode.PRODUCER_FENCED
    assert world.init(Identity(1000, 1)) is ErrorCode.PRODUCER_FENCED
    assert world.init(Identity(1000, 1), version=3) is ErrorCode.INVALID_PRODUCER_EPOCH


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_fenced_producer_that_wants_to_go_on_leaves_an_open_transaction_alone(level: int) -> None:
    world = TransactionWorld(level=level)
    world.init()
    fenced = world.identity
    world.init()
    current = world.identity
    assert world.add(current, P0, version=3) is ErrorCode.NONE
    assert world.init(fenced) is ErrorCode.PRODUCER_FENCED
    assert (world.transaction.state, world.identity) == (TransactionState.ONGOING, current)
    assert world.init(current) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert world.transaction.state is TransactionState.PREPARE_ABORT


def test_what_was_given_up_is_not_known_after_a_move(world: TransactionWorld) -> None:
    world.init()
    first = world.identity
    assert world.init(first) == (1000, 1)
    world.restart()
    assert world.init(first) is ErrorCode.PRODUCER_FENCED
    assert world.init(Identity(1000, 1)) == (1000, 2)


def test_a_takeover_that_was_not_written_leaves_the_producer_what_it_had(world: TransactionWorld) -> None:
    world.init()
    first = world.identity
    assert world.init(first) == (1000, 1)
    world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
    assert world.call(init_request(), 5) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert world.call(init_request(Identity(1000, 1)), 5) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    world.writer.refusal = None
    assert world.init(first) == (1000, 1)
    world.check_replay()


def test_an_answer_waits_until_the_takeover_is_committed(world: TransactionWorld) -> None:
    world.init()
    world.writer.commits_at_once = False
    old, new = world.send(init_request(world.identity), 5), world.send(init_request(), 5)
    assert (old.response, new.response) == (None, None)
    world.commit()
    assert (old.response.producer_epoch, new.response.producer_epoch) == (1, 2)


def test_the_last_epoch_is_followed_by_a_new_id(world: TransactionWorld) -> None:
    assert at_epoch(world, LAST - 1) == (1000, LAST - 1)
    assert world.init() == (1000, LAST)
    assert world.init() == (1001, 0)
    assert world.transaction.previous_producer_id == 1000
    assert world.init(Identity(1000, LAST)) is ErrorCode.PRODUCER_FENCED
    assert world.init(Identity(1000, 0)) is ErrorCode.PRODUCER_FENCED


def test_a_producer_with_the_last_epoch_goes_on_under_a_new_id(world: TransactionWorld) -> None:
    last = at_epoch(world, LAST)
    assert world.init(last) == (1001, 0)
    assert world.init(last) == (1001, 0)
    assert world.init(Identity(1001, 0)) == (1001, 1)
    assert world.init(last) is ErrorCode.PRODUCER_FENCED


def test_the_id_before_is_not_known_where_records_do_not_hold_it() -> None:
    """Kafka keeps it in memory, until the coordinator moves."""
    world = TransactionWorld(level=0)
    last = at_epoch(world, LAST)
    assert world.init(last) == (1001, 0)
    assert world.init(last) is ErrorCode.PRODUCER_FENCED
    assert world.init(Identity(1001, 0)) == (1001, 1)


def test_a_new_id_needs_one_at_hand(world: TransactionWorld) -> None:
    at_epoch(world, LAST)
    world.producer_ids.used_up = True
    assert world.init() is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert world.identity == (1000, LAST)


def test_a_producer_that_lost_the_answer_with_the_last_epoch_gets_it(world: TransactionWorld) -> None:
    before = at_epoch(world, LAST - 1)
    assert world.init(before) == (1000, LAST)
    assert world.init(before) == (1000, LAST)
    assert world.init(Identity(1000, 5)) is ErrorCode.PRODUCER_FENCED


@pytest.mark.parametrize("level", [0, 1, 2])
def test_fencing_with_the_last_epoch_leads_to_a_new_id(level: int) -> None:
    world = TransactionWorld(level=level)
    last = at_epoch(world, LAST)
    assert world.add(last, P0, version=3) is ErrorCode.NONE
    assert world.init() is ErrorCode.CONCURRENT_TRANSACTIONS
    assert world.identity == (1000, EPOCH_MAX)
    assert world.init() is ErrorCode.CONCURRENT_TRANSACTIONS
    assert world.answer_markers().producer_epoch == EPOCH_MAX
    assert world.init() == ((1001, 1) if level == 2 else (1001, 0))
    assert world.add(last, P0) is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_a_takeover_of_an_open_transaction_needs_a_producer_id_when_that_is_exhausted(
    world: TransactionWorld,
) -> None:
    last = at_epoch(world, LAST)
    assert world.add(last, P0) is ErrorCode.NONE
    world.producer_ids.used_up = True
    assert world.init() is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert world.transaction.state is TransactionState.ONGOING
    assert world.outbox.sent == []


def test_the_timeout_is_that_of_the_last_takeover(world: TransactionWorld) -> None:
    world.init(timeout_ms=5)
    world.init(timeout_ms=6)
    assert world.describe(ID).transaction_timeout_ms == 6
