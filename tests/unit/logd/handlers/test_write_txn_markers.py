"""What a coordinator is told that has transactions ended on partitions, and what the partitions have of it then."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from coordinator.group_shard import GroupShard
from coordinator.shard import TransactionalProducer
from logd.authorisation import Operation
from logd.clients.client import Client
from protocol.control_records import EndTxnMarker, read_end_txn_marker
from protocol.errors import ErrorCode
from protocol.messages.write_txn_markers import WriteTxnMarkersRequest, WriteTxnMarkersResponse
from protocol.records import iter_batches, read_header
from storage.fs.faulty import FaultyFileSystem
from tests.support.node import Disk, Node, a_while, play
from tests.support.node_talk import ask_one, parked, topic_with
from tests.support.partition_transactions import begin_transaction

CODE = ErrorCode
COMMITTED = 1

Marker = WriteTxnMarkersRequest.WritableTxnMarker
Topic = WriteTxnMarkersRequest.WritableTxnMarkerTopic


def marker(
    producer_id: int = 7,
    *indexes: int,
    epoch: int = 0,
    committed: bool = True,
    coordinator_epoch: int = 0,
    version: int = 0,
    topic: str = "t",
) -> Marker:
    return Marker(
        producer_id=producer_id,
        producer_epoch=epoch,
        transaction_result=committed,
        coordinator_epoch=coordinator_epoch,
        transaction_version=version,
        topics=[Topic(name=topic, partition_indexes=list(indexes or (0,)))],
    )


def outcomes(response: WriteTxnMarkersResponse) -> dict[tuple[int, str, int], ErrorCode]:
    return {
        (producer.producer_id, topic.name, row.partition_index): CODE(row.error_code)
        for producer in response.markers
        for topic in producer.topics
        for row in topic.partitions
    }


async def end(client: Client, *markers: Marker, version: int = 2) -> list[ErrorCode]:
    response = await client.call(WriteTxnMarkersRequest(markers=list(markers)), version=version)
    return list(outcomes(response).values())


def begin(node: Node, producer_id: int = 7, *, epoch: int = 0, index: int = 0) -> None:
    begin_transaction(node.partition("t", index), producer_id, producer_epoch=epoch)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("committed", [True, False])
def test_a_marker_ends_the_transaction(version: int, committed: bool) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        begin(node)
        assert node.partition("t").last_stable_offset == 0
        assert await end(client, marker(committed=committed, coordinator_epoch=3), version=version) == [
            CODE.NONE
        ]
        assert node.partition("t").last_stable_offset == 2
        answer = await ask_one(client, 0, isolation_level=COMMITTED)
        _, control = iter_batches(answer.records)  # type: ignore[arg-type]
        assert read_end_txn_marker(control) == EndTxnMarker(committed, 3)
        aborted = [(row.producer_id, row.first_offset) for row in answer.aborted_transactions or ()]
        assert aborted == ([] if committed else [(7, 0)])

    play(scenario)


def test_every_partition_has_its_own_outcome() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, 0)
        begin(node, 7, epoch=5)
        begin(node, 8, index=1)
        request = WriteTxnMarkersRequest(
            markers=[
                marker(7, 0, 1, 9, epoch=4),
                marker(8, 1),
                marker(9, 0, topic="missing"),
                marker(-1, 0),
                marker(7, 1, epoch=6, version=2),
            ]
        )
        response = await client.call(request, version=2)
        assert [producer.producer_id for producer in response.markers] == [7, 8, 9, -1]
        assert outcomes(response) == {
            (7, "t", 0): CODE.INVALID_PRODUCER_EPOCH,
            (7, "t", 1): CODE.NONE,
            (7, "t", 9): CODE.UNKNOWN_TOPIC_OR_PARTITION,
            (8, "t", 1): CODE.NONE,
            (9, "missing", 0): CODE.UNKNOWN_TOPIC_OR_PARTITION,
            (-1, "t", 0): CODE.INVALID_REQUEST,
        }
        assert node.partition("t").last_stable_offset == 0

    play(scenario)


def test_nothing_to_end_is_nothing_to_say() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        assert await end(client) == []

    play(scenario)


def test_a_deposed_coordinator_is_told() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        begin(node)
        assert await end(client, marker(coordinator_epoch=5)) == [CODE.NONE]
        assert await end(client, marker(coordinator_epoch=4)) == [CODE.TRANSACTION_COORDINATOR_FENCED]

    play(scenario)


@pytest.mark.parametrize(
    ("version", "code"), [(0, CODE.NONE), (1, CODE.NONE), (2, CODE.INVALID_PRODUCER_EPOCH)]
)
def test_under_version_2_a_marker_is_later_than_what_it_ends(version: int, code: ErrorCode) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        begin(node, epoch=3)
        assert await end(client, marker(epoch=3, version=version)) == [code]
        assert await end(client, marker(epoch=4, version=version)) == [CODE.NONE]
        assert await end(client, marker(epoch=4, version=version)) == [CODE.NONE], "sent again"
        begin(node, epoch=4)
        assert await end(client, marker(epoch=4, version=version)) == [code], "of the last transaction"

    play(scenario)


def test_it_is_answered_once_all_markers_are_committed() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, 0, 0)
        for index in range(3):
            begin(node, index=index)
        held = [node.hold_high_watermark("t", index) for index in (0, 1)]
        waiting = asyncio.create_task(end(client, marker(7, 0, 1, 2)))
        await parked(node, 2)
        held[1](2)
        await a_while()
        assert not waiting.done()
        held[0](2)
        assert await waiting == [CODE.NONE] * 3

    play(scenario)


def test_it_waits_for_the_flush_that_the_topic_demands() -> None:
    fs = FaultyFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, **{"flush.messages": "1"})
        begin(node)
        disk = Disk(fs)
        disk.hold_syncs("t-0")
        waiting = asyncio.create_task(end(client, marker()))
        await parked(node)
        await a_while()
        assert not waiting.done()
        assert node.partition("t").last_stable_offset == 0
        disk.let_go()
        assert await waiting == [CODE.NONE]
        assert node.partition("t").last_stable_offset == 2

    play(scenario, fs=fs)


def test_leadership_lost_meanwhile_is_told() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        begin(node)
        node.hold_high_watermark("t")
        waiting = asyncio.create_task(end(client, marker()))
        await parked(node)
        partition = node.partition("t")
        partition.resign(leader_id=2, leader_epoch=9, partition_epoch=9)
        node.broker.state_changed(partition)
        assert await waiting == [CODE.NOT_LEADER_OR_FOLLOWER]
        assert await end(client, marker()) == [CODE.NOT_LEADER_OR_FOLLOWER]

    play(scenario)


def test_only_who_runs_the_cluster_may() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        begin(node)
        for allowed, code in (
            (Operation.WRITE, CODE.CLUSTER_AUTHORIZATION_FAILED),
            (Operation.CLUSTER_ACTION, CODE.NONE),
            (Operation.ALTER, CODE.NONE),
        ):
            node.broker.authorise = lambda _context, operation, _resource, _name, may=allowed: (
                operation is may
            )
            assert await end(client, marker()) == [code]

    play(scenario)


def test_a_partition_of_groups_is_told_through_their_coordinator() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic = "__consumer_offsets"
        assert await end(client, marker(topic=topic)) == [CODE.UNKNOWN_TOPIC_OR_PARTITION]
        await node.broker.groups.ensure_topic()
        ended: list[tuple[int, bool]] = []

        def replay_marker(_shard: GroupShard, producer: TransactionalProducer, *, commit: bool) -> None:
            ended.append((producer.producer_id, commit))

        with patch.object(GroupShard, "replay_marker", replay_marker):
            assert await end(client, marker(topic=topic, committed=False)) == [CODE.NONE]
        assert ended == [(7, False)]
        header = read_header(node.partition(topic).log.segments[-1].file.read_at(0, 61))
        assert header.is_control and header.producer_id == 7
        assert await end(client, marker(topic=topic, epoch=3, version=2)) == [CODE.NONE]
        assert await end(client, marker(topic=topic, epoch=2)) == [CODE.INVALID_PRODUCER_EPOCH]

    play(scenario, "offsets.topic.num.partitions=1")
