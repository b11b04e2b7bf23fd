"""Bugs that coordinators and partitions could have, to be planted one at a time: the simulation must find each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import coordinator.offsets.txn_commit
import coordinator.transaction_shard
import coordinator.transactions.end_txn
import storage.producer_state
from coordinator.offsets.fetch import _Answers
from coordinator.offsets.store import OffsetStore
from coordinator.runtime import ShardRuntime
from coordinator.transactions import markers, timeouts, transitions
from coordinator.transactions.records import propose
from coordinator.transactions.states import TransactionState
from protocol.errors import BrokerError, ErrorCode
from storage.aborted_transactions import AbortedTransactions
from storage.producer_state import ProducerStateManager
from storage.txn_index import AbortedTxn
from storage.verification import Verifications


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """The broker has the bug inside the block; None for no bug."""
    with ExitStack() as stack:
        for target, attribute, replacement in BUGS[name] if name is not None else ():
            stack.enter_context(patch.object(target, attribute, replacement))
        yield


# The transaction coordinator.


def _accept_late_end(transaction: Any, request: Any) -> ErrorCode:
    code = _refuse_tv2(transaction, request)
    ongoing = transaction.state is TransactionState.ONGOING
    return ErrorCode.NONE if code is ErrorCode.PRODUCER_FENCED and ongoing else code


def _refuse_no_end_sent_again(transaction: Any, request: Any) -> ErrorCode:
    if transaction.state in (TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT):
        return ErrorCode.NONE
    return _refuse_tv2(transaction, request)


def _repeats_by_the_epoch_alone(transaction: Any, request: Any) -> bool:
    is_complete = transaction.state in (TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT)
    return is_complete and bool(transaction.producer_epoch == request.producer_epoch + 1)


def _decide_in_the_old_epoch(transaction: Any, *, bump_epoch: bool, **named: Any) -> Any:
    return _decided(transaction, bump_epoch=False, **named)


def _take_over_in_the_old_epoch(transaction: Any, identity: Any, *arguments: Any) -> Any:
    return _taken_over(transaction, transaction.identity, *arguments)


def _complete_after_the_first(state: Any, event: Any, now_ms: int, effects: Any) -> None:
    round_ = state.rounds.get(event.markers.transactional_id)
    if round_ is None and event.markers.transactional_id in state.decided:
        round_ = markers._round(state, event.markers.transactional_id)
    if round_ is not None and any(code is ErrorCode.NONE for _, code in event.codes):
        round_.left.clear()
    _answered(state, event, now_ms, effects)


def _time_out_what_is_decided(state: Any, key: Any, now_ms: int, effects: Any) -> None:
    for name in list(state.decided):
        transaction = state.transactions[name]
        if transaction.started_ms + transaction.timeout_ms < now_ms:
            aborted = transaction._replace(state=TransactionState.PREPARE_ABORT)
            propose(state, name, aborted, effects)
            markers.send(state, name, aborted, aborted.partitions, effects)
    _abort_timed_out(state, key, now_ms, effects)


# Partitions.


def _end_before_committed(manager: ProducerStateManager, *arguments: Any, **named: Any) -> AbortedTxn | None:
    aborted = _update_marker(manager, *arguments, **named)
    manager.unreplicated.clear()
    manager._find_first_unstable()
    return aborted


def _accept_old_coordinators(
    manager: ProducerStateManager, producer_id: int, epoch: int, coordinator_epoch: int, version: int
) -> None:
    try:
        _check_marker(manager, producer_id, epoch, coordinator_epoch, version)
    except BrokerError as refusal:
        if refusal.code is not ErrorCode.TRANSACTION_COORDINATOR_FENCED:
            raise


def _take_repeats_for_new(manager: ProducerStateManager, *arguments: Any) -> None:
    _check(manager, *arguments)


# Groups.


def _put_at_once(store: OffsetStore, group: str, topic: str, partition: int, *arguments: Any) -> None:
    _put_pending(store, group, topic, partition, *arguments)
    store.put(group, topic, partition, arguments[0])


def _answer_unstable(answers: _Answers, state: Any, group: str, _stable: bool, *arguments: Any) -> None:
    _answers_init(answers, state, group, False, *arguments)


class _AnyMember:
    def refuse_transactional_commit(self, *_: Any) -> ErrorCode:
        return ErrorCode.NONE


# The runtime.


def _let_go_at_once(runtime: ShardRuntime, entry: Any) -> None:
    runtime._let_go(entry)


_refuse_tv2 = coordinator.transactions.end_txn._refuse_tv2
_decided = transitions.decided
_taken_over = transitions.taken_over
_answered = markers.answered
_abort_timed_out = timeouts.abort_timed_out
_update_marker = ProducerStateManager.update_marker
_check_marker = ProducerStateManager.check_marker
_check = ProducerStateManager.check
_put_pending = OffsetStore.put_pending
_answers_init = _Answers.__init__


def _nothing(*_: object, **__: object) -> None:
    return None


_Patch = tuple[Any, str, Any]

BUGS: dict[str, tuple[_Patch, ...]] = {
    "late_end_accepted": ((coordinator.transactions.end_txn, "_refuse_tv2", _accept_late_end),),
    "end_sent_again_taken_for_new": (
        (coordinator.transactions.end_txn, "_refuse_tv2", _refuse_no_end_sent_again),
        (coordinator.transactions.end_txn, "_is_done", lambda *_, **__: False),
    ),
    "end_sent_again_known_by_the_epoch_alone": (
        (coordinator.transactions.end_txn, "_is_repeat", _repeats_by_the_epoch_alone),
    ),
    "epoch_not_bumped": ((transitions, "decided", _decide_in_the_old_epoch),),
    "predecessor_not_fenced": ((transitions, "taken_over", _take_over_in_the_old_epoch),),
    "marker_lost": ((markers, "_DONE", frozenset(ErrorCode)),),
    "complete_after_the_first_marker": ((markers, "answered", _complete_after_the_first),),
    "decided_forgotten_by_a_move": ((coordinator.transaction_shard, "_LOADED", (timeouts.begin,)),),
    "never_timed_out": ((timeouts, "_is_over", lambda *_: False),),
    "timed_out_too_early": ((timeouts, "_is_over", lambda *_: True),),
    "decided_timed_out": (
        (
            coordinator.transaction_shard,
            "_TIMERS",
            {**coordinator.transaction_shard._TIMERS, timeouts.TIMEOUTS_TIMER: _time_out_what_is_decided},
        ),
    ),
    "last_stable_offset_ahead": ((ProducerStateManager, "update_marker", _end_before_committed),),
    "marker_of_old_coordinator": ((ProducerStateManager, "check_marker", _accept_old_coordinators),),
    "not_verified": (
        (ProducerStateManager, "start_verification", _nothing),
        (ProducerStateManager, "_check_first_of_transaction", _nothing),
    ),
    "verified_before_the_marker": ((Verifications, "note_marker", _nothing),),
    "sequences_not_looked_at": ((ProducerStateManager, "check", _take_repeats_for_new),),
    "repeats_forgotten": ((storage.producer_state, "BATCHES_RETAINED", 1),),
    "aborted_not_indexed": ((AbortedTransactions, "add", _nothing),),
    "pending_offsets_shown": ((OffsetStore, "put_pending", _put_at_once),),
    "unstable_offsets_told": ((_Answers, "__init__", _answer_unstable),),
    "offsets_of_fenced_member": ((coordinator.offsets.txn_commit, "kind_of", lambda _: _AnyMember()),),
    "answered_before_committed": ((ShardRuntime, "_park", _let_go_at_once),),
}
