"""DescribeTransactions: where transactions stand, and which partitions they concern (KIP-664).

Version 0. Of a transaction's topics those are shown that the client may describe. An id that is named twice is
described once, where Kafka repeats itself: a small request must not ask for a large answer many times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_State = DescribeTransactionsResponse.TransactionState


async def handle(
    broker: Broker, request: DescribeTransactionsRequest, context: RequestContext
) -> DescribeTransactionsResponse:
    ids = dict.fromkeys(request.transactional_ids)
    return DescribeTransactionsResponse(
        transaction_states=[await _describe(broker, each, context) for each in ids]
    )


async def _describe(broker: Broker, transactional_id: str, context: RequestContext) -> _State:
    if not broker.authorise(context, Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, transactional_id):
        return _refused(transactional_id, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
    try:
        answer = await broker.transactions.ask(transactional_id, request, context)
    except BrokerError as refusal:
        return _refused(transactional_id, refusal.code)
    assert isinstance(answer, DescribeTransactionsResponse)
    (state,) = answer.transaction_states
    state.topics = [
        topic
        for topic in state.topics
        if broker.authorise(context, Operation.DESCRIBE, ResourceType.TOPIC, topic.topic)
    ]
    return state


def _refused(transactional_id: str, code: ErrorCode) -> _State:
    return _State(transactional_id=transactional_id, error_code=code)
