"""The topic that `logd bench` works on: one that is there, or one of its own, and who leads its partitions."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from typing import NamedTuple

from logd.cli.connection import refusal, run_with_client
from logd.cli.errors import CommandError
from logd.clients.cluster_client import ClusterClient, broker_error
from logd.load.frames import FETCH_VERSION, PRODUCE_VERSION
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from protocol.messages.fetch import FetchRequest
from protocol.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from protocol.messages.metadata import MetadataResponse
from protocol.messages.produce import ProduceRequest
from protocol.types import NodeId

Address = tuple[str, int]

_POLL_S = 0.05
_VERSION_BY_NAME = 5  # of DeleteTopics; from 6 on a topic may be named by id as well, in another field
_EARLIEST, _LATEST = -2, -1
_PASSING = (ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


class Place(NamedTuple):
    """A topic, and where its partitions are led."""

    topic: str
    by_leader: dict[Address, list[int]]

    @property
    def partitions(self) -> list[int]:
        return sorted(each for led in self.by_leader.values() for each in led)

    def shares(self, connections: int) -> list[tuple[Address, list[int]]]:
        """What each of some connections has to do with: a node, and partitions that it leads, each as alike as can be.

        Raises: CommandError when there are fewer connections than nodes.
        """
        addresses = list(self.by_leader)
        if connections < len(addresses):
            raise CommandError(
                f"the partitions of {self.topic} are led by {len(addresses)} nodes",
                "give as many --connections",
            )
        found = []
        for number, address in enumerate(addresses):
            partitions = self.by_leader[address]
            count = len(range(number, connections, len(addresses)))
            for at in range(count):
                share = (
                    partitions[at::count] if count < len(partitions) else [partitions[at % len(partitions)]]
                )
                found.append((address, share))
        return found


def open_topic(options: argparse.Namespace, *, partitions: int) -> Place:
    """Look up --topic, or create a topic. Raises: CommandError."""
    found: list[Place] = []

    async def work(cluster: ClusterClient) -> int:
        _check_versions(cluster)
        topic = options.topic
        if topic is None:
            topic = f"logd-bench-{os.urandom(4).hex()}"
            await _create(cluster, topic, partitions, options)
        try:
            found.append(await _find(cluster, topic, options))
        except BaseException:
            if options.topic is None:
                await _delete(cluster, topic, options.timeout)
            raise
        return 0

    run_with_client(options, work, client_id="logd-bench")
    return found[0]


def delete_topic(options: argparse.Namespace, topic: str) -> None:
    """Raises: CommandError."""

    async def work(cluster: ClusterClient) -> int:
        await _delete(cluster, topic, options.timeout)
        return 0

    run_with_client(options, work, client_id="logd-bench")


def offsets(options: argparse.Namespace, place: Place) -> dict[int, tuple[int, int]]:
    """First offset and high watermark of each partition. Raises: CommandError."""
    found: dict[int, tuple[int, int]] = {}

    async def work(cluster: ClusterClient) -> int:
        by_node = _by_node(await cluster.metadata([place.topic]))
        starts = await _offsets(cluster, place.topic, by_node, _EARLIEST)
        ends = await _offsets(cluster, place.topic, by_node, _LATEST)
        found.update({each: (starts[each], ends[each]) for each in place.partitions})
        return 0

    run_with_client(options, work, client_id="logd-bench")
    return found


def _check_versions(cluster: ClusterClient) -> None:
    """A broker hangs up on a version that it does not know. Raises: CommandError."""
    for request, version in ((ProduceRequest, PRODUCE_VERSION), (FetchRequest, FETCH_VERSION)):
        first, last = cluster.any.versions.get(request.API_KEY, (0, -1))
        if not first <= version <= last:
            name = request.NAME.removesuffix("Request")
            raise CommandError(
                f"the broker does not serve {name} version {version}", "Kafka from 2.7 on does"
            )


async def _create(cluster: ClusterClient, topic: str, partitions: int, options: argparse.Namespace) -> None:
    creatable = CreateTopicsRequest.CreatableTopic(
        name=topic,
        num_partitions=partitions,
        replication_factor=options.replication_factor or -1,
    )
    request = CreateTopicsRequest(topics=[creatable], timeout_ms=int(options.timeout * 1000))
    response: CreateTopicsResponse = await cluster.call(request)
    row = response.topics[0]
    if (error := refusal(f"topic {topic}", row.error_code, row.error_message)) is not None:
        raise error


async def _delete(cluster: ClusterClient, topic: str, timeout_s: float) -> None:
    request = DeleteTopicsRequest(topic_names=[topic], timeout_ms=int(timeout_s * 1000))
    response: DeleteTopicsResponse = await cluster.call(request, version=_VERSION_BY_NAME)
    row = response.responses[0]
    if (error := refusal(f"topic {topic}", row.error_code, row.error_message)) is not None:
        raise error


async def _find(cluster: ClusterClient, topic: str, options: argparse.Namespace) -> Place:
    """Wait until each partition has a leader that knows it is one."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + options.timeout
    while True:
        response = await cluster.metadata([topic])
        row = response.topics[0]
        if row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and options.topic is not None:
            raise CommandError(
                f"there is no topic {topic}",
                f"create it with `logd topic create {topic}`, or leave --topic out",
            )
        if row.error_code not in _PASSING:
            raise broker_error(row.error_code, None)
        by_node = _by_node(response)
        if row.partitions and sum(map(len, by_node.values())) == len(row.partitions):
            try:
                await _offsets(cluster, topic, by_node, _LATEST)
                break
            except BrokerError as error:
                if not error.code.retriable:
                    raise
        if loop.time() >= deadline:
            raise CommandError(f"topic {topic} still has no leaders after {options.timeout:g} s")
        await asyncio.sleep(_POLL_S)
    addresses = {node.node_id: (node.host, node.port) for node in response.brokers}
    return Place(topic, {addresses[node]: partitions for node, partitions in by_node.items()})


def _by_node(response: MetadataResponse) -> dict[NodeId, list[int]]:
    """The partitions of the one topic by their leaders; those without one are left out."""
    found: dict[NodeId, list[int]] = defaultdict(list)
    for each in sorted(response.topics[0].partitions, key=lambda each: each.partition_index):
        if each.leader_id >= 0:
            found[each.leader_id].append(each.partition_index)
    return dict(found)


async def _offsets(
    cluster: ClusterClient, topic: str, by_node: dict[NodeId, list[int]], timestamp: int
) -> dict[int, int]:
    """Raises: BrokerError."""
    found: dict[int, int] = {}
    for node, partitions in by_node.items():
        wanted = [
            ListOffsetsRequest.ListOffsetsPartition(partition_index=each, timestamp=timestamp)
            for each in partitions
        ]
        request = ListOffsetsRequest(
            topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=wanted)]
        )
        response: ListOffsetsResponse = await cluster.call(request, node=node)
        for row in response.topics[0].partitions:
            error = refusal(f"topic {topic} [{row.partition_index}]", row.error_code, None)
            if error is not None:
                raise error
            found[row.partition_index] = row.offset
    return found
