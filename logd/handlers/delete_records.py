"""DeleteRecords: give up what lies below an offset of a partition.

Versions 0–2. 2: flexible. Offset -1 stands for the high watermark. The answer is the low watermark: where the log
begins now. It leaves when the new start is on disk, so that no crash brings the records back; Kafka writes its
checkpoint a minute later. Their bytes go with their segments, when retention looks at them next.

With one replica there is nothing to wait for; with followers the low watermark is the last one's to move.
Source: KIP-107. Checked against KafkaApis.scala, ReplicaManager.scala, Partition.scala (deleteRecordsOnLeader).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from logd.replicas import home_of
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.delete_records import DeleteRecordsRequest, DeleteRecordsResponse
from replication.topic_names import is_internal_topic
from storage.errors import StorageFailure

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.replicas import LocalPartition
    from protocol.types import Offset

_NO_LOW_WATERMARK: Final = -1

_Result = DeleteRecordsResponse.DeleteRecordsPartitionResult


async def handle(
    broker: Broker, request: DeleteRecordsRequest, context: RequestContext
) -> DeleteRecordsResponse:
    """Answer every partition once; of one that is named twice, the last offset counts."""
    response = DeleteRecordsResponse()
    unsettled: list[tuple[LocalPartition, _Result]] = []
    for topic, offsets in _by_topic(request).items():
        results = []
        for index, offset in offsets.items():
            result = _Result(partition_index=index)
            try:
                partition = _partition(broker, context, topic, index)
                result.low_watermark = partition.delete_records(offset)
                # Also where nothing moved: an earlier request may have failed to make that durable.
                unsettled.append((partition, result))
            except BrokerError as refusal:
                _refuse(result, refusal)
            results.append(result)
        response.topics.append(DeleteRecordsResponse.DeleteRecordsTopicResult(name=topic, partitions=results))
    if unsettled:
        await _settle(broker, unsettled)
    return response


def _by_topic(request: DeleteRecordsRequest) -> dict[str, dict[int, Offset]]:
    topics: dict[str, dict[int, Offset]] = {}
    for topic in request.topics:
        offsets = topics.setdefault(topic.name, {})
        for partition in topic.partitions:
            offsets[partition.partition_index] = partition.offset
    return topics


def _partition(broker: Broker, context: RequestContext, topic: str, index: int) -> LocalPartition:
    """Return the partition, whose records may be deleted. Raises: BrokerError."""
    if not broker.authorise(context, Operation.DELETE, ResourceType.TOPIC, topic):
        raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    partition = broker.partition(topic, index)
    if is_internal_topic(topic):
        raise BrokerError(ErrorCode.INVALID_TOPIC_EXCEPTION)
    return partition


async def _settle(broker: Broker, unsettled: list[tuple[LocalPartition, _Result]]) -> None:
    """Wait until the log starts are on disk; where that fails, say so. What is there already is not written again."""
    for plan in broker.replicas.log_start_plans(partition for partition, _ in unsettled):
        try:
            await broker.run_blocking(plan.run)
        except StorageFailure as failure:
            for partition, result in unsettled:
                if home_of(partition) == plan.path:
                    _refuse(result, broker.storage_failed(partition, failure))


def _refuse(result: _Result, refusal: BrokerError) -> None:
    result.error_code = refusal.code
    result.low_watermark = _NO_LOW_WATERMARK
