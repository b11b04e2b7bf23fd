"""EndTxn: a producer commits or aborts its transaction.

Versions 0–5. 2: PRODUCER_FENCED (KIP-588). 3: flexible. 4: TRANSACTION_ABORTABLE (KIP-890). 5: the second version of
transactions, where each has an epoch of its own, and the answer tells the next. The answer comes when the decision is
committed; partitions are told of it afterwards. See `coordinator.transactions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from protocol.errors import ErrorCode
from protocol.messages.end_txn import EndTxnRequest, EndTxnResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message


def handle(broker: Broker, request: EndTxnRequest, context: RequestContext) -> Message | None:
    if not broker.authorise(
        context, Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id
    ):
        return _refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    return broker.transactions.call(request.transactional_id, request, context, _refused)


def _refused(code: ErrorCode) -> EndTxnResponse:
    return EndTxnResponse(error_code=code)
