"""ListTransactions: the transactional ids of this shard, by state, producer id, duration and pattern (KIP-664).

Versions 0–2. 1: only transactions that have been open for longer than so many milliseconds; an id without one counts as
very long, as in Kafka. 2: only ids that a pattern matches from end to end (KIP-1152). Patterns are RE2 (see
`coordinator.assignors.regex`), where Kafka takes what Java takes.
Source: Kafka TransactionStateManager.scala (listTransactionStates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from coordinator.transactions.states import BY_LABEL
from protocol.errors import BrokerError
from protocol.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from coordinator.shard import Call, Effects
    from coordinator.transactions.shard_state import TransactionShardState
    from protocol.types import TimestampMs


def list_transactions(
    state: TransactionShardState, call: Call, now_ms: TimestampMs, effects: Effects
) -> None:
    """Answer with the ids that all filters let through; a filter that is empty lets through everything."""
    request = cast("ListTransactionsRequest", call.request)
    response = judged(request)
    transactional_ids: Collection[str] = () if response.error_code else _filtered(state, request, now_ms)
    if transactional_ids and request.transactional_id_pattern:
        transactional_ids = _matching(request.transactional_id_pattern, transactional_ids)
    for transactional_id in transactional_ids:
        transaction = state.transactions[transactional_id]
        response.transaction_states.append(
            ListTransactionsResponse.TransactionState(
                transactional_id=transactional_id,
                producer_id=transaction.producer_id,
                transaction_state=transaction.state.label,
            )
        )
    effects.answer(call.waiter, response)


def judged(request: ListTransactionsRequest) -> ListTransactionsResponse:
    """Return an answer that says what is wrong with the filters, and nothing else yet.

    INVALID_REGULAR_EXPRESSION for the pattern; a state that does not exist is only told.
    """
    unknown = [name for name in dict.fromkeys(request.state_filters) if name not in BY_LABEL]
    response = ListTransactionsResponse(unknown_state_filters=unknown)
    if request.transactional_id_pattern:
        from coordinator.assignors import regex  # noqa: PLC0415 - its library is loaded when needed

        try:
            regex.validate(request.transactional_id_pattern)
        except BrokerError as invalid:
            return ListTransactionsResponse(error_code=invalid.code)
    return response


def _filtered(
    state: TransactionShardState, request: ListTransactionsRequest, now_ms: TimestampMs
) -> list[str]:
    states = {BY_LABEL[name] for name in request.state_filters if name in BY_LABEL}
    producer_ids = frozenset(request.producer_id_filters)
    duration_ms = request.duration_filter
    return [
        transactional_id
        for transactional_id, transaction in state.transactions.items()
        if (not producer_ids or transaction.producer_id in producer_ids)
        and (not request.state_filters or transaction.state in states)
        and (duration_ms < 0 or now_ms - transaction.started_ms > duration_ms)
    ]


def _matching(pattern: str, transactional_ids: Collection[str]) -> list[str]:
    from coordinator.assignors import regex  # noqa: PLC0415 - see above

    matched = regex.matching(pattern, transactional_ids)
    return [transactional_id for transactional_id in transactional_ids if transactional_id in matched]
