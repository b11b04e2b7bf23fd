"""EndTxn: a producer commits or aborts its transaction.

Versions 0–5. 2: PRODUCER_FENCED. 3: flexible. 4: TRANSACTION_ABORTABLE may be answered. 5: transaction version 2 (TV2,
KIP-890), and the identity to go on with is in the answer.

What is told where no transaction is ONGOING, ITS for INVALID_TXN_STATE:

                      up to version 4           from version 5, by epoch
                      the current epoch         one before: sent again       the current one
                      abort       commit        abort        commit          abort       commit
    EMPTY             ITS         ITS           fenced       fenced          aborts      ITS
    COMPLETE_ABORT    NONE        ITS           NONE         ITS             aborts      ITS
    COMPLETE_COMMIT   ITS         NONE          ITS          NONE            aborts      ITS
    PREPARE_*         CONCURRENT_TRANSACTIONS, before the identity is looked at from version 5 on

"One before" holds only where the last transaction was ended under TV2, for only that end gives its producer the next
epoch. Elsewhere, and in any other epoch, the producer is fenced: an older client has taken the id over since, or the
epoch is only there to fence with. Kafka looks at the epochs alone, and has who is fenced go on as the current producer:
what one of the two writes then passes for a repeat of what the other wrote, and is acknowledged and lost.

In PREPARE_* an EndTxn that asks for the opposite is told so once the markers are written.
Source: KIP-98, KIP-890; Kafka TransactionCoordinator.scala (endTransaction, endTransactionWithTV1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.transactions.ending import end
from coordinator.transactions.fencing import fenced
from coordinator.transactions.states import AT_REST, DECIDED, TransactionState
from coordinator.transactions.transaction import EPOCH_MAX, Identity
from coordinator.transactions.transitions import EPOCH_BUMP
from protocol.errors import ErrorCode
from protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from protocol.records import NO_PRODUCER_EPOCH, NO_PRODUCER_ID

if TYPE_CHECKING:
    from coordinator.shard import Call, Effects
    from coordinator.transactions.shard_state import TransactionShardState
    from coordinator.transactions.transaction import Transaction
    from protocol.types import TimestampMs

_FIRST_VERSION_OF_TV2: Final = 5
_FIRST_VERSION_WITH_FENCED: Final = 2

_COMPLETE: Final = AT_REST - {TransactionState.EMPTY}
_NOBODY: Final = Identity(NO_PRODUCER_ID, NO_PRODUCER_EPOCH)


def end_txn(state: TransactionShardState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Decide an EndTxn."""
    request = cast("EndTxnRequest", call.request)
    version = call.caller.version
    tv2 = version >= _FIRST_VERSION_OF_TV2
    transaction = state.transactions.get(request.transactional_id)
    outcome: Identity | ErrorCode
    if not request.transactional_id:
        outcome = ErrorCode.INVALID_REQUEST
    elif transaction is None:
        outcome = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    elif refusal := _refuse_tv2(transaction, request) if tv2 else _refuse_tv1(transaction, request):
        outcome = fenced(refusal, version, _FIRST_VERSION_WITH_FENCED)
    elif _is_done(transaction, request, tv2=tv2):
        outcome = transaction.identity
    else:
        outcome = end(
            state,
            request.transactional_id,
            now_ms,
            effects,
            commit=request.committed,
            client_version=EPOCH_BUMP if tv2 else 0,
        )
    effects.answer(call.waiter, _answer(outcome, tv2=tv2))


def _refuse_tv1(transaction: Transaction, request: EndTxnRequest) -> ErrorCode:
    if transaction.producer_id != request.producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if transaction.producer_epoch != request.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if transaction.state in DECIDED:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    if transaction.state is TransactionState.ONGOING or _ended_as(transaction, request):
        return ErrorCode.NONE
    return ErrorCode.INVALID_TXN_STATE


def _refuse_tv2(transaction: Transaction, request: EndTxnRequest) -> ErrorCode:
    state = transaction.state
    if state in DECIDED:  # first: the producer may be told to go on under an id that is not in force yet
        return ErrorCode.CONCURRENT_TRANSACTIONS
    overflowed = _overflowed(transaction, request)
    if transaction.producer_id != request.producer_id and not overflowed:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if transaction.producer_epoch == request.producer_epoch:
        may_end = state is TransactionState.ONGOING or not request.committed
        return ErrorCode.NONE if may_end else ErrorCode.INVALID_TXN_STATE
    if not _is_repeat(transaction, request):
        return ErrorCode.PRODUCER_FENCED
    return ErrorCode.NONE if _ended_as(transaction, request) else ErrorCode.INVALID_TXN_STATE


def _is_done(transaction: Transaction, request: EndTxnRequest, *, tv2: bool) -> bool:
    """Whether a request that is not refused is one that was sent again."""
    if tv2:
        return transaction.producer_epoch != request.producer_epoch
    return transaction.state in AT_REST


def _is_repeat(transaction: Transaction, request: EndTxnRequest) -> bool:
    """Whether the request bears the epoch that the last end took its producer from, to give it the present one."""
    if transaction.state not in _COMPLETE or transaction.client_version < EPOCH_BUMP:
        return False
    if transaction.producer_epoch == EPOCH_MAX:
        return False  # nobody is given that; only a bug leaves an id in it, which Kafka provides for, too
    return transaction.producer_epoch == request.producer_epoch + 1 or _overflowed(transaction, request)


def _overflowed(transaction: Transaction, request: EndTxnRequest) -> bool:
    """Whether the request bears the last epoch of the id before, and the producer has a new one since."""
    return (
        transaction.previous_producer_id == request.producer_id
        and request.producer_epoch == EPOCH_MAX - 1
        and transaction.producer_epoch == 0
    )


def _ended_as(transaction: Transaction, request: EndTxnRequest) -> bool:
    """Whether the last transaction ended as the request asks."""
    asked = TransactionState.COMPLETE_COMMIT if request.committed else TransactionState.COMPLETE_ABORT
    return transaction.state is asked


def _answer(outcome: Identity | ErrorCode, *, tv2: bool) -> EndTxnResponse:
    if isinstance(outcome, ErrorCode):
        return EndTxnResponse(error_code=outcome)
    identity = outcome if tv2 else _NOBODY
    return EndTxnResponse(producer_id=identity.producer_id, producer_epoch=identity.producer_epoch)
