"""AlterReplicaLogDirs: have a partition in a data directory of the client's choice.

Versions 1–2. 2: flexible. The directory in which a partition is already is fine. Another one is refused with
UNSUPPORTED_VERSION: moving a log while it is written is not built.
Source: KIP-113. ReplicaManager.scala (alterReplicaLogDirs), whose codes and their order these are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from logd.replicas import home_of
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_NAME_MAX: Final = 255
_FUTURE_SUFFIX_SIZE: Final = len(".") + 32 + len("-future")
"""What Kafka puts behind the name of a directory to which a partition is on its way."""


def handle(
    broker: Broker, request: AlterReplicaLogDirsRequest, context: RequestContext
) -> AlterReplicaLogDirsResponse:
    """Answer every partition once; of one that is named twice, the last directory counts."""
    allowed = may_on_cluster(broker, context, Operation.ALTER)
    online = {directory.path: directory.is_online for directory in broker.replicas.directories}
    wanted: dict[str, dict[int, str]] = {}
    for target in request.dirs:
        for topic in target.topics:
            wanted.setdefault(topic.name, {}).update(dict.fromkeys(topic.partitions, target.path))
    response = AlterReplicaLogDirsResponse()
    for name, targets in wanted.items():
        answers = []
        for index, path in targets.items():
            answer = AlterReplicaLogDirsResponse.AlterReplicaLogDirPartitionResult(partition_index=index)
            if not allowed:
                answer.error_code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
            else:
                answer.error_code = _place(broker, online, name, index, path)
            answers.append(answer)
        response.results.append(
            AlterReplicaLogDirsResponse.AlterReplicaLogDirTopicResult(topic_name=name, partitions=answers)
        )
    return response


def _place(broker: Broker, online: dict[str, bool], topic: str, index: int, path: str) -> ErrorCode:
    if len(f"{topic}-{index}") + _FUTURE_SUFFIX_SIZE > _NAME_MAX:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    if path not in online:
        return ErrorCode.LOG_DIR_NOT_FOUND
    if not online[path]:
        return ErrorCode.KAFKA_STORAGE_ERROR
    try:
        partition = broker.partition(topic, index)
    except BrokerError as error:
        elsewhere = error.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
        return ErrorCode.REPLICA_NOT_AVAILABLE if elsewhere else error.code
    return ErrorCode.NONE if home_of(partition) == path else ErrorCode.UNSUPPORTED_VERSION
