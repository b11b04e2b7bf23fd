"""InitProducerId with a transactional id: a producer takes the id over, or goes on after an error (KIP-360).

Versions 0–5. 2: flexible. 3: the producer says who it is, and is fenced when it is not the current one. 4:
PRODUCER_FENCED. 5: TRANSACTION_ABORTABLE may be answered. Two phase commit (version 6) does not exist here.

A producer that says nothing gets the next epoch: who was there before is fenced by it. One that says who it is gets it
if it is the current one, or gets what it was already given when that answer was lost. An epoch of `EPOCH_MAX` is never
given, so that there is always one to fence with: the producer gets a new id instead.

    EMPTY, COMPLETE_*   the next identity
    ONGOING             the transaction is aborted, and its producer fenced by that; CONCURRENT_TRANSACTIONS: come again
    PREPARE_*           CONCURRENT_TRANSACTIONS, whoever asks

While a transaction is open, whoever names another identity than the one that began it is fenced. Kafka looks at the
epoch only afterwards: there a fenced producer that asks to go on ends the transaction of the one that fenced it.
In Kafka a producer whose answer with the last epoch of an id was lost is told UNKNOWN_SERVER_ERROR; here it gets it.
Source: KIP-98, KIP-360, KIP-588; Kafka TransactionCoordinator.scala (handleInitProducerId).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.transactions import transitions
from coordinator.transactions.ending import abort_and_fence
from coordinator.transactions.fencing import fenced
from coordinator.transactions.records import propose
from coordinator.transactions.states import DECIDED, TransactionState
from coordinator.transactions.transaction import Identity, is_exhausted
from protocol.errors import ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from protocol.records import NO_PRODUCER_EPOCH, NO_PRODUCER_ID

if TYPE_CHECKING:
    from coordinator.shard import Call, Effects
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Transaction
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_FENCED: Final = 4


def init_producer_id(state: TransactionShardState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Decide an InitProducerId."""
    request = cast("InitProducerIdRequest", call.request)
    outcome = _refuse(state, request) or _decide(state, request, now_ms, effects)
    if isinstance(outcome, ErrorCode):
        code = fenced(outcome, call.caller.version, _FIRST_VERSION_WITH_FENCED)
        response = InitProducerIdResponse(
            error_code=code, producer_id=NO_PRODUCER_ID, producer_epoch=NO_PRODUCER_EPOCH
        )
    else:
        response = InitProducerIdResponse(
            producer_id=outcome.producer_id, producer_epoch=outcome.producer_epoch
        )
    effects.answer(call.waiter, response)


def _refuse(state: TransactionShardState, request: InitProducerIdRequest) -> ErrorCode:
    """Return what is wrong with the request as such, NONE for nothing."""
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH):
        return ErrorCode.INVALID_REQUEST
    if not request.transactional_id:
        return ErrorCode.INVALID_REQUEST
    if not 0 < request.transaction_timeout_ms <= state.config.timeout_ms_max:
        return ErrorCode.INVALID_TRANSACTION_TIMEOUT
    return ErrorCode.NONE


def _decide(
    state: TransactionShardState, request: InitProducerIdRequest, now_ms: TimestampMs, effects: Effects
) -> Identity | ErrorCode:
    transactional_id = request.transactional_id or ""
    claimed = None
    if request.producer_id != NO_PRODUCER_ID:
        claimed = Identity(request.producer_id, request.producer_epoch)
    transaction = state.transactions.get(transactional_id)
    if transaction is None:
        return _first(state, transactional_id, request.transaction_timeout_ms, now_ms, effects)
    if transaction.state in DECIDED:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    if claimed is not None and not _may_be(transaction, claimed):
        return ErrorCode.PRODUCER_FENCED
    if transaction.state is TransactionState.ONGOING:
        code = abort_and_fence(state, transactional_id, now_ms, effects)
        return code or ErrorCode.CONCURRENT_TRANSACTIONS
    given_up = state.exchanges.given_up_for(transactional_id, transaction.identity)
    given = _next(state, transaction, claimed, given_up)
    if isinstance(given, ErrorCode):
        return given
    if given != transaction.identity:
        state.exchanges.propose(transactional_id, current=transaction.identity, given=given, given_up=claimed)
    taken_over = transitions.taken_over(transaction, given, request.transaction_timeout_ms, now_ms)
    propose(state, transactional_id, taken_over, effects)
    return given


def _first(
    state: TransactionShardState,
    transactional_id: str,
    timeout_ms: int,
    now_ms: TimestampMs,
    effects: Effects,
) -> Identity | ErrorCode:
    """Nobody used the id before, or it has expired: whoever says to be somebody gets a new identity like others."""
    producer_id = state.producer_ids.next_now()
    if producer_id is None:
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    transaction = transitions.first(producer_id, timeout_ms, now_ms)
    propose(state, transactional_id, transaction, effects)
    return transaction.identity


def _may_be(transaction: Transaction, claimed: Identity) -> bool:
    """Whether who claims to be somebody may be the current producer. `_next` looks at its epoch.

    The producer id before counts with its last epochs: the answer that told of the new one may have been lost. Not so
    in a transaction: who has begun it has had its answer.
    """
    if transaction.state is TransactionState.ONGOING:
        return claimed == transaction.identity
    if claimed.producer_id == transaction.producer_id:
        return True
    return claimed.producer_id == transaction.previous_producer_id and is_exhausted(claimed.producer_epoch)


def _next(
    state: TransactionShardState,
    transaction: Transaction,
    claimed: Identity | None,
    given_up: Identity | None,
) -> Identity | ErrorCode:
    """Return who the producer is from now on."""
    current = transaction.identity
    if claimed is not None and claimed.producer_epoch != current.producer_epoch:
        repeated = given_up is not None and claimed.producer_epoch == given_up.producer_epoch
        return current if repeated else ErrorCode.PRODUCER_FENCED
    if not transaction.is_exhausted:
        return Identity(current.producer_id, current.producer_epoch + 1)
    producer_id = state.producer_ids.next_now()
    if producer_id is None:
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    return Identity(producer_id, 0)
