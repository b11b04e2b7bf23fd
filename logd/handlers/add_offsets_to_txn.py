"""AddOffsetsToTxn: a producer is about to commit a group's offsets in its transaction.

Versions 0–4. 2: PRODUCER_FENCED (KIP-588). 3: flexible. 4: TRANSACTION_ABORTABLE (KIP-890). The transaction gets the
partition of `__consumer_offsets` in which the group's offsets are, as it gets any that a producer names itself
(AddPartitionsToTxn 3). From the second version of transactions on, TxnOffsetCommit does this by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.transactions.fencing import fenced
from logd.authorisation import Operation, ResourceType
from logd.coordination.host import caller_of
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_FIRST_VERSION_WITH_FENCED: Final = 2
_VERSION_OF_PARTITIONS: Final = 3


async def handle(
    broker: Broker, request: AddOffsetsToTxnRequest, context: RequestContext
) -> AddOffsetsToTxnResponse:
    """The group's partition exists when the answer is sent: else it could not be told how the transaction ended."""
    transactional_id, group_id = request.transactional_id, request.group_id
    if not broker.authorise(context, Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id):
        return AddOffsetsToTxnResponse(error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if not broker.authorise(context, Operation.READ, ResourceType.GROUP, group_id):
        return AddOffsetsToTxnResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED)
    try:
        await broker.groups.ensure_topic()
        code = await _add(broker, request, context)
    except BrokerError as refusal:
        code = refusal.code
    return AddOffsetsToTxnResponse(error_code=fenced(code, context.version, _FIRST_VERSION_WITH_FENCED))


async def _add(broker: Broker, request: AddOffsetsToTxnRequest, context: RequestContext) -> ErrorCode:
    """Return the code of the group's partition. Raises: BrokerError."""
    index = broker.groups.partition_of(request.group_id)
    assert index is not None
    answer = await broker.transactions.ask_for(
        request.transactional_id,
        AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=request.transactional_id,
            v3_and_below_producer_id=request.producer_id,
            v3_and_below_producer_epoch=request.producer_epoch,
            v3_and_below_topics=[
                AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(
                    name=broker.groups.topic_name, partitions=[index]
                )
            ],
        ),
        caller_of(context)._replace(version=_VERSION_OF_PARTITIONS),
    )
    assert isinstance(answer, AddPartitionsToTxnResponse)
    (topic,) = answer.results_by_topic_v3_and_below
    (partition,) = topic.results_by_partition
    return ErrorCode(partition.partition_error_code)
