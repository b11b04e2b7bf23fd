"""WriteTxnMarkers: a transaction's coordinator, or an administrator, has partitions told how a transaction ended.

Versions 1–2. 2: the transaction version under which it was ended (KIP-890). Answered once every marker is committed, or
cannot be. Producers stand in the answer in the order in which they are first named, each once.
Deviation: a partition that is not online here is told with the code that says why; Kafka says
UNKNOWN_TOPIC_OR_PARTITION. Coordinators try again on either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Final

from coordinator.shard import TransactionalProducer, TransactionMarker
from logd.authorisation import Operation, ResourceType
from logd.coordination.markers import write_marker
from logd.handlers.authorized_operations import CLUSTER_NAME
from protocol.errors import ErrorCode
from protocol.messages.write_txn_markers import WriteTxnMarkersRequest, WriteTxnMarkersResponse
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.types import ProducerId

_WHO_MAY: Final = (Operation.ALTER, Operation.CLUSTER_ACTION)

_Marker = WriteTxnMarkersRequest.WritableTxnMarker
_Result = WriteTxnMarkersResponse.WritableTxnMarkerResult
_TopicResult = WriteTxnMarkersResponse.WritableTxnMarkerTopicResult
_PartitionResult = WriteTxnMarkersResponse.WritableTxnMarkerPartitionResult


def handle(
    broker: Broker, request: WriteTxnMarkersRequest, context: RequestContext
) -> WriteTxnMarkersResponse | Awaitable[WriteTxnMarkersResponse]:
    """Answer at once when nothing has to be waited for."""
    outcomes = _Outcomes(
        sum(len(topic.partition_indexes) for each in request.markers for topic in each.topics)
    )
    may = any(
        broker.authorise(context, operation, ResourceType.CLUSTER, CLUSTER_NAME) for operation in _WHO_MAY
    )
    for asked in request.markers:
        marker = TransactionMarker(
            TransactionalProducer(asked.producer_id, asked.producer_epoch),
            asked.transaction_result,
            asked.coordinator_epoch,
            asked.transaction_version,
        )
        refusal = _refusal(asked) if may else ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        for topic in asked.topics:
            for index in topic.partition_indexes:
                where = TopicPartition(topic.name, index)
                written = partial(outcomes.take, asked.producer_id, where)
                if refusal:
                    written(refusal)
                else:
                    write_marker(broker, where, marker, written)
    return outcomes.response() if outcomes.are_complete else outcomes.when_complete()


def _refusal(marker: _Marker) -> ErrorCode:
    """A transaction is somebody's."""
    return (
        ErrorCode.INVALID_REQUEST if marker.producer_id < 0 or marker.producer_epoch < 0 else ErrorCode.NONE
    )


class _Outcomes:
    """What became of the markers of one request, as far as that is known."""

    __slots__ = ("_codes", "_complete", "_outstanding")

    def __init__(self, outstanding: int) -> None:
        self._outstanding = outstanding
        self._codes: dict[ProducerId, dict[str, dict[int, ErrorCode]]] = {}
        self._complete: asyncio.Future[None] | None = None

    @property
    def are_complete(self) -> bool:
        return not self._outstanding

    def take(self, producer_id: ProducerId, where: TopicPartition, code: ErrorCode) -> None:
        by_topic = self._codes.setdefault(producer_id, {})
        by_topic.setdefault(where.topic, {})[where.partition] = code
        self._outstanding -= 1
        if self.are_complete and self._complete is not None and not self._complete.done():
            self._complete.set_result(None)

    async def when_complete(self) -> WriteTxnMarkersResponse:
        if not self.are_complete:  # it may be, by the time that this runs
            self._complete = asyncio.get_running_loop().create_future()
            await self._complete
        return self.response()

    def response(self) -> WriteTxnMarkersResponse:
        return WriteTxnMarkersResponse(
            markers=[
                _Result(
                    producer_id=producer_id,
                    topics=[
                        _TopicResult(
                            name=name,
                            partitions=[
                                _PartitionResult(partition_index=index, error_code=code)
                                for index, code in codes.items()
                            ],
                        )
                        for name, codes in by_topic.items()
                    ],
                )
                for producer_id, by_topic in self._codes.items()
            ]
        )
