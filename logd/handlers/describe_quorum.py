"""DescribeQuorum: who keeps the cluster's metadata.

Versions 0–2. 1: times at which voters were heard (KIP-836). 2: directory ids, where to reach the voters (KIP-853).
One node votes for itself: it leads, and has what there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.describe_quorum import DescribeQuorumRequest, DescribeQuorumResponse
from replication.topic_names import METADATA_TOPIC

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_FIRST_VERSION_WITH_TIMES: Final = 1
_FIRST_VERSION_WITH_ENDPOINTS: Final = 2

_Topic = DescribeQuorumResponse.TopicData
_Partition = DescribeQuorumResponse.PartitionData


def handle(broker: Broker, request: DescribeQuorumRequest, context: RequestContext) -> DescribeQuorumResponse:
    """Answer from memory; the one partition that can be asked for is that of the metadata log."""
    if not may_on_cluster(broker, context, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        return DescribeQuorumResponse(error_code=code, error_message=code.text)
    asked = [
        (topic.topic_name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    ]
    if asked != [(METADATA_TOPIC, 0)]:
        return _unknown(request)
    response = DescribeQuorumResponse(
        error_message=None,
        topics=[_Topic(topic_name=METADATA_TOPIC, partitions=[_quorum(broker, context.version)])],
    )
    if context.version >= _FIRST_VERSION_WITH_ENDPOINTS:
        response.nodes = [_node(broker)]
    return response


def _unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return DescribeQuorumResponse(
        error_message=None,
        topics=[
            _Topic(
                topic_name=topic.topic_name,
                partitions=[
                    _Partition(partition_index=partition.partition_index, error_code=code, error_message=None)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )


def _quorum(broker: Broker, version: int) -> _Partition:
    store = broker.metadata
    end_offset = store.image.offset + 1
    voter = DescribeQuorumResponse.ReplicaState(replica_id=broker.node_id, log_end_offset=end_offset)
    if version >= _FIRST_VERSION_WITH_TIMES:
        voter.last_fetch_timestamp = voter.last_caught_up_timestamp = broker.now_ms()
    if version >= _FIRST_VERSION_WITH_ENDPOINTS:
        voter.replica_directory_id = broker.replicas.metadata_directory.directory_id
    return _Partition(
        partition_index=0,
        error_message=None,
        leader_id=broker.node_id,
        leader_epoch=store.epoch,
        high_watermark=end_offset,
        current_voters=[voter],
    )


def _node(broker: Broker) -> DescribeQuorumResponse.Node:
    """Where this node takes requests, as a voter too: it has no listener for controllers alone."""
    endpoints = broker.metadata.image.brokers[broker.node_id].endpoints
    return DescribeQuorumResponse.Node(
        node_id=broker.node_id,
        listeners=[
            DescribeQuorumResponse.Listener(name=name, host=endpoint.host, port=endpoint.port)
            for name, endpoint in endpoints.items()
        ],
    )
