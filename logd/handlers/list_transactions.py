"""ListTransactions: the transactional ids that this node coordinates (KIP-664).

Versions 0–2. 1: by duration (KIP-994). 2: by pattern (KIP-1152). While a partition is being loaded nobody knows all of
them: COORDINATOR_LOAD_IN_PROGRESS. The client sees those that it may describe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.transactions.list import judged
from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError
from protocol.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


async def handle(
    broker: Broker, request: ListTransactionsRequest, context: RequestContext
) -> ListTransactionsResponse:
    response = judged(request)  # also where there is nothing to list yet
    if response.error_code:
        return response
    try:
        answers = await broker.transactions.ask_all(request, context)
    except BrokerError as refusal:
        return ListTransactionsResponse(error_code=refusal.code)
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
