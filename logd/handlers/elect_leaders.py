"""ElectLeaders: have the preferred, or any, replica lead.

Versions 0–2. 1: unclean elections and an error for all of it (KIP-460). 2: flexible. Null asks for every partition;
those that need no election are left out of that answer, their topics are not.

Each partition has one replica, so where it does not lead already, no other can.
Source: ReplicationControlManager.java (electLeaders).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse
from replication.partition_state import NO_LEADER, PartitionState

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_FIRST_VERSION_WITH_ERROR: Final = 1
_PREFERRED: Final = 0
_UNCLEAN: Final = 1

_Topic = ElectLeadersResponse.ReplicaElectionResult
_Partition = ElectLeadersResponse.PartitionResult


def handle(broker: Broker, request: ElectLeadersRequest, context: RequestContext) -> ElectLeadersResponse:
    """Answer from memory."""
    if not may_on_cluster(broker, context, Operation.ALTER):
        return _refuse(request, context.version, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    if request.election_type not in (_PREFERRED, _UNCLEAN):
        return _refuse(request, context.version, ErrorCode.INVALID_REQUEST)
    image = broker.metadata.image
    response = ElectLeadersResponse()
    if request.topic_partitions is None:
        for topic in image.topics.values():
            codes = [
                (index, _elect(state, request.election_type)) for index, state in topic.partitions.items()
            ]
            results = [
                _result(index, code) for index, code in codes if code is not ErrorCode.ELECTION_NOT_NEEDED
            ]
            response.replica_election_results.append(_Topic(topic=topic.name, partition_result=results))
        return response
    for asked in request.topic_partitions:
        known = image.topics.get(asked.topic)
        states = {} if known is None else known.partitions
        results = [
            _result(index, _elect(states.get(index), request.election_type)) for index in asked.partitions
        ]
        response.replica_election_results.append(_Topic(topic=asked.topic, partition_result=results))
    return response


def _elect(state: PartitionState | None, election_type: int) -> ErrorCode:
    """What becomes of an election in a partition whose only replica leads or cannot."""
    if state is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if election_type == _PREFERRED:
        has_leader = state.leader_id == state.assigned_replicas[0]
        return ErrorCode.ELECTION_NOT_NEEDED if has_leader else ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    has_leader = state.leader_id != NO_LEADER
    return ErrorCode.ELECTION_NOT_NEEDED if has_leader else ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE


def _refuse(request: ElectLeadersRequest, version: int, code: ErrorCode) -> ElectLeadersResponse:
    """Refuse all of it: on each partition, too, since version 0 has no other place."""
    return ElectLeadersResponse(
        error_code=code if version >= _FIRST_VERSION_WITH_ERROR else ErrorCode.NONE,
        replica_election_results=[
            _Topic(topic=asked.topic, partition_result=[_result(index, code) for index in asked.partitions])
            for asked in request.topic_partitions or ()
        ],
    )


def _result(index: int, code: ErrorCode) -> _Partition:
    return _Partition(partition_id=index, error_code=code, error_message=None)
