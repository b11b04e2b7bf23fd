"""ListTransactions: the transactional ids that this node coordinates (KIP-664).

Versions 0–2. 1: by duration (KIP-994). 2: by pattern (KIP-1152). While a partition is being loaded nobody knows all of
them: COORDINATOR_LOAD_IN_PROGRESS. The client sees those that it may describe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.transactions.states import BY_LABEL
from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError
from protocol.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


async def handle(
    broker: Broker, request: ListTransactionsRequest, context: RequestContext
) -> ListTransactionsResponse:
    # Also where there is nothing to list yet.
    response = ListTransactionsResponse(
        unknown_state_filters=[name for name in dict.fromkeys(request.state_filters) if name not in BY_LABEL]
    )
    try:
        if request.transactional_id_pattern:
            from coordinator.assignors import regex  # noqa: PLC0415 - its library is loaded when needed

            regex.validate(request.transactional_id_pattern)
        answers = await broker.transactions.ask_all(request, context)
    except BrokerError as refusal:
        response.error_code = refusal.code
        return response
    for answer in answers:
        assert isinstance(answer, ListTransactionsResponse)
        response.transaction_states += [
            state
            for state in answer.transaction_states
            if broker.authorise(
                context, Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, state.transactional_id
            )
        ]
    return response
