"""OffsetForLeaderEpoch: where a leader epoch ended, for consumers and followers that look for divergence.

Versions 2–4. 2: the epoch that the sender takes for the current one. 3: replica id. 4: flexible.

The answer is the greatest epoch known here at or below the one asked, and the offset after its last record; -1 for
both when the epoch is not known. It may lie above the high watermark: whoever asks compares, and reads nothing.
Source: KIP-101, KIP-279, KIP-320. Checked against KafkaApis.scala and Partition.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from logd.handlers.authorized_operations import CLUSTER_NAME
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_Asked = OffsetForLeaderEpochRequest.OffsetForLeaderPartition
_Answer = OffsetForLeaderEpochResponse.EpochEndOffset


def handle(
    broker: Broker, request: OffsetForLeaderEpochRequest, context: RequestContext
) -> OffsetForLeaderEpochResponse:
    """Answer from the leader epochs in memory."""
    # Brokers may ask about everything; anybody else needs to be allowed to see the topic.
    is_broker = broker.authorise(context, Operation.CLUSTER_ACTION, ResourceType.CLUSTER, CLUSTER_NAME)
    response = OffsetForLeaderEpochResponse()
    for topic in request.topics:
        allowed = is_broker or broker.authorise(context, Operation.DESCRIBE, ResourceType.TOPIC, topic.topic)
        answers = [
            _end_of_epoch(broker, topic.topic, asked)
            if allowed
            else _Answer(partition=asked.partition, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            for asked in topic.partitions
        ]
        response.topics.append(
            OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(topic=topic.topic, partitions=answers)
        )
    return response


def _end_of_epoch(broker: Broker, topic: str, asked: _Asked) -> _Answer:
    answer = _Answer(partition=asked.partition)
    try:
        partition = broker.partition(topic, asked.partition)
        partition.check_leader(asked.current_leader_epoch)
    except BrokerError as error:
        answer.error_code = error.code
        return answer
    log = partition.log
    answer.leader_epoch, answer.end_offset = log.leader_epochs.end_offset_for(
        asked.leader_epoch, log.log_end_offset
    )
    return answer
