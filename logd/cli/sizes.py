"""How many bytes partitions take on disk, asked of the nodes that lead them (DescribeLogDirs)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

from logd.cli.topics import Topic
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.errors import ErrorCode
from protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from protocol.types import NodeId

_Wanted = DescribeLogDirsRequest.DescribableLogDirTopic


async def leader_sizes(cluster: ClusterClient, topics: Iterable[Topic]) -> dict[tuple[str, int], int]:
    """Bytes of each partition at its leader; partitions that are not to be found anywhere are left out.

    Raises: BrokerError when a node cannot say.
    """
    wanted: dict[NodeId, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic in topics:
        for row in topic.partitions:
            if row.leader_id >= 0:
                wanted[row.leader_id][topic.name or ""].append(row.partition_index)
    answers = await asyncio.gather(*(_sizes(cluster, node, names) for node, names in wanted.items()))
    return {partition: size for answer in answers for partition, size in answer.items()}


def total_size(topic: Topic, sizes: Mapping[tuple[str, int], int]) -> int | None:
    """Bytes of all partitions; None where that of one is not known."""
    known = [sizes.get((topic.name or "", row.partition_index)) for row in topic.partitions]
    return None if None in known else sum(size for size in known if size is not None)


async def _sizes(
    cluster: ClusterClient, node: NodeId, wanted: dict[str, list[int]]
) -> dict[tuple[str, int], int]:
    request = DescribeLogDirsRequest(
        topics=[_Wanted(topic=name, partitions=indexes) for name, indexes in wanted.items()]
    )
    response: DescribeLogDirsResponse = await cluster.call(request, node=node)
    if response.error_code != ErrorCode.NONE:
        raise broker_error(response.error_code, None)
    return {
        (topic.name, row.partition_index): row.partition_size
        for directory in response.results
        for topic in directory.topics
        for row in topic.partitions
        if not row.is_future_key
    }
