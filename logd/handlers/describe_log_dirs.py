"""DescribeLogDirs: the data directories, how full their disks are, and what each partition takes of them.

Versions 1–5. 2: flexible. 3: an error for all of it. 4: size of the disk (KIP-827). 5: cordoned directories
(KIP-1066), of which there are none here. The metadata log is not a partition of this list, as in Kafka.
Source: ReplicaManager.scala (describeLogDirs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from logd.replicas import home_of
from protocol.errors import ErrorCode
from protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from storage.errors import StorageFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.replicas import LocalPartition
    from storage.directories.data_directory import DataDirectory
    from storage.fs import DiskSpace

_NO_LAG: Final = 0
"""What a replica lacks below the high watermark: nothing, where it leads."""

_Result = DescribeLogDirsResponse.DescribeLogDirsResult
_Topic = DescribeLogDirsResponse.DescribeLogDirsTopic
_Partition = DescribeLogDirsResponse.DescribeLogDirsPartition


async def handle(
    broker: Broker, request: DescribeLogDirsRequest, context: RequestContext
) -> DescribeLogDirsResponse:
    """List all data directories with the partitions asked for; null asks for all."""
    if not may_on_cluster(broker, context, Operation.DESCRIBE):
        return DescribeLogDirsResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    directories = broker.replicas.directories
    spaces = await broker.read_pool.run(lambda: [_disk_space(directory) for directory in directories])
    contents = _contents(broker, request)
    return DescribeLogDirsResponse(
        results=[
            _result(directory, space, contents.get(directory.path, {}))
            for directory, space in zip(directories, spaces, strict=True)
        ]
    )


def _disk_space(directory: DataDirectory) -> DiskSpace | None:
    """Blocks. None when the directory is offline, or its disk does not even answer that."""
    try:
        return directory.disk_space() if directory.is_online else None
    except StorageFailure:
        return None


def _contents(broker: Broker, request: DescribeLogDirsRequest) -> dict[str, dict[str, list[_Partition]]]:
    """The partitions asked for, by data directory and topic."""
    contents: dict[str, dict[str, list[_Partition]]] = {}
    for partition in _asked(broker, request):
        topic, index = partition.topic_partition
        row = _Partition(partition_index=index, partition_size=partition.log.size_bytes, offset_lag=_NO_LAG)
        contents.setdefault(home_of(partition), {}).setdefault(topic, []).append(row)
    return contents


def _asked(broker: Broker, request: DescribeLogDirsRequest) -> Sequence[LocalPartition]:
    if request.topics is None:
        return list(broker.replicas)
    wanted: dict[str, set[int]] = {}
    for topic in request.topics:
        wanted.setdefault(topic.topic, set()).update(topic.partitions)
    return [
        partition
        for partition in broker.replicas
        if partition.topic_partition.partition in wanted.get(partition.topic_partition.topic, ())
    ]


def _result(
    directory: DataDirectory, space: DiskSpace | None, topics: dict[str, list[_Partition]]
) -> _Result:
    if space is None or not directory.is_online:  # it may have failed meanwhile
        return _Result(log_dir=directory.path, error_code=ErrorCode.KAFKA_STORAGE_ERROR)
    return _Result(
        log_dir=directory.path,
        topics=[_Topic(name=name, partitions=partitions) for name, partitions in topics.items()],
        total_bytes=space.total,
        usable_bytes=space.usable,
    )
