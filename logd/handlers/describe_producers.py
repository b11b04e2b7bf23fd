"""DescribeProducers: which idempotent and transactional producers a partition knows (KIP-664).

Version 0. Only the leader knows whose transactions are open. A partition that is named twice is answered once: a
partition may know thousands of producers, and a small request must not be able to ask for them over and over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_producers import DescribeProducersRequest, DescribeProducersResponse
from replication.topic_names import topic_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.types import ProducerId
    from storage.producer import ProducerState

_NO_SEQUENCE: Final = -1

_Partition = DescribeProducersResponse.PartitionResponse
_Producer = DescribeProducersResponse.ProducerState


def handle(
    broker: Broker, request: DescribeProducersRequest, context: RequestContext
) -> DescribeProducersResponse:
    """Answer from memory."""
    indexes: dict[str, dict[int, None]] = {}
    for topic in request.topics:
        indexes.setdefault(topic.name, {}).update(dict.fromkeys(topic.partition_indexes))
    return DescribeProducersResponse(
        topics=[
            DescribeProducersResponse.TopicResponse(
                name=name, partitions=_partitions(broker, context, name, wanted)
            )
            for name, wanted in indexes.items()
        ]
    )


def _partitions(
    broker: Broker, context: RequestContext, topic: str, indexes: Iterable[int]
) -> list[_Partition]:
    code = ErrorCode.NONE
    if topic_name_problem(topic) is not None:
        code = ErrorCode.INVALID_TOPIC_EXCEPTION
    elif not broker.authorise(context, Operation.READ, ResourceType.TOPIC, topic):
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    elif topic not in broker.metadata.image.topics:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if code:
        return [_Partition(partition_index=index, error_code=code) for index in indexes]
    return [_partition(broker, topic, index) for index in indexes]


def _partition(broker: Broker, topic: str, index: int) -> _Partition:
    answer = _Partition(partition_index=index)
    try:
        partition = broker.partition(topic, index)
        partition.check_leader(-1)
    except BrokerError as refusal:
        answer.error_code = refusal.code
    else:
        producers = partition.log.producers.producers
        answer.active_producers = [_producer(id_, state) for id_, state in producers.items()]
    return answer


def _producer(producer_id: ProducerId, state: ProducerState) -> _Producer:
    return _Producer(
        producer_id=producer_id,
        producer_epoch=state.epoch,
        last_sequence=state.batches[-1][1] if state.batches else _NO_SEQUENCE,
        last_timestamp=state.last_timestamp_ms,
        coordinator_epoch=state.coordinator_epoch,
        current_txn_start_offset=state.txn_first_offset,
    )
