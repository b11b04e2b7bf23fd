"""Goal: the transaction coordinator over real sockets: its topic, rights, restarts, crashes, clients that are gone.

Method: a node in the test's process. What is decided, in every version and state, is tested in tests/unit/coordinator;
what Kafka answers to the same requests in tests/compat/questions/of_transactions.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from logd.authorisation import Operation
from logd.clients.client import Client
from logd.coordination import outbox
from logd.coordination.hosts import CoordinatorHosts
from protocol.control_records import read_end_txn_marker
from protocol.errors import ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from protocol.messages.describe_transactions import DescribeTransactionsRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.list_transactions import ListTransactionsRequest
from protocol.messages.write_txn_markers import WriteTxnMarkersRequest
from protocol.records import iter_batches, read_header
from protocol.types import TopicPartition
from replication.topic_names import GROUP_TOPIC, TRANSACTION_TOPIC
from storage.fs.faulty import Kind, Loss
from tests.support.node import DATA_DIR, Disk, Node, a_while, eventually, play
from tests.support.node_talk import delete_topic
from tests.support.patience import until_settled
from tests.support.transaction_talk import Identity, Producer, topic_made

E = ErrorCode
FEW = "transaction.state.log.num.partitions=3"
IDS = [f"id-{number}" for number in range(9)]
"""On all of the partitions."""


async def began(node: Node, transactional_id: str = "x", **fields: Any) -> Producer:
    """A producer with an identity, and topic `t`."""
    producer = Producer(await node.client(), transactional_id)
    if "t" not in node.broker.metadata.image.topics:
        await topic_made(producer.client, "t", 2)
    await producer.begin(**fields)
    return producer


async def state_of(client: Client, transactional_id: str = "x") -> str:
    """The state of a transactional id, or the name of the error."""
    request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
    (row,) = (await client.call(request)).transaction_states
    return row.transaction_state if row.error_code == 0 else ErrorCode(row.error_code).name


async def reaches(client: Client, state: str, transactional_id: str = "x") -> None:
    while await state_of(client, transactional_id) != state:
        await asyncio.sleep(0.002)


def markers(node: Node, topic: str = "t", index: int = 0) -> list[tuple[int, int, bool]]:
    """(producer id, epoch, committed) of each marker in a partition."""
    log = node.partition(topic, index).log
    result = log.read(0, 1 << 20, log.log_end_offset)
    if result.cold is not None:
        result.cold.run()
        result = log.finish_read(result.cold)
    found = []
    for batch in iter_batches(b"" if result.region is None else result.region.read()):
        header, marker = read_header(batch), read_end_txn_marker(batch)
        if marker is not None:
            found.append((header.producer_id, header.producer_epoch, marker.committed))
    return found


async def in_time(node: Node, condition: Callable[[], bool]) -> None:
    """Let the node's time go on until `condition` holds."""
    while not condition():
        node.clock.now_ms += 20
        await asyncio.sleep(0.002)


def deny(node: Node, *denied: tuple[Operation, str]) -> None:
    node.broker.authorise = lambda _context, operation, _type, name: (operation, name) not in denied


# -- the topic ---------------------------------------------------------------------------------------------------


def test_the_topic_is_made_when_somebody_looks_for_a_coordinator() -> None:
    async def scenario(node: Node) -> None:
        image = node.broker.metadata.image
        client = await node.client()
        assert (await client.call(ListTransactionsRequest())).transaction_states == []
        assert TRANSACTION_TOPIC not in image.topics
        request = FindCoordinatorRequest(key_type=1, coordinator_keys=["x", "y"])
        rows = (await client.call(request, version=6)).coordinators
        assert [(row.error_code, row.node_id, row.port) for row in rows] == [(E.NONE, 1, node.port)] * 2
        assert len(image.topics[TRANSACTION_TOPIC].partitions) == 3
        assert dict(image.topic_configs(TRANSACTION_TOPIC)) == {
            "cleanup.policy": "compact",
            "compression.type": "uncompressed",
            "min.insync.replicas": "1",
            "segment.bytes": "10485760",
            "unclean.leader.election.enable": "false",
        }

    play(scenario, FEW, "transaction.state.log.segment.bytes=10485760")


def test_a_topic_that_cannot_be_made_is_no_coordinator() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        request = FindCoordinatorRequest(key_type=1, coordinator_keys=["x"])
        (row,) = (await client.call(request, version=4)).coordinators
        assert row.error_code == E.COORDINATOR_NOT_AVAILABLE
        producer = Producer(client, "x")
        assert (await producer.init()).code is E.NOT_COORDINATOR

    play(scenario, "transaction.state.log.replication.factor=3")


def test_there_is_no_coordinator_of_share_groups() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        request = FindCoordinatorRequest(key_type=2, coordinator_keys=["x"])
        (row,) = (await client.call(request, version=6)).coordinators
        assert row.error_code == E.INVALID_REQUEST

    play(scenario)


def test_filters_are_judged_before_there_is_anything_to_list() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        listed = await client.call(ListTransactionsRequest(state_filters=["Ongoing", "Odd", "Odd"]))
        assert (listed.error_code, listed.unknown_state_filters) == (E.NONE, ["Odd"])
        listed = await client.call(ListTransactionsRequest(transactional_id_pattern="(a"), version=2)
        assert listed.error_code == E.INVALID_REGULAR_EXPRESSION

    play(scenario)


def test_identities_come_from_blocks_that_are_fetched_first() -> None:
    """More producers at once than a block has ids: none is turned away."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await Producer(client, "x").find()
        producers = [Producer(client, f"x{number}") for number in range(2_100)]
        told = await asyncio.gather(*(producer.init() for producer in producers))
        assert {each.code for each in told} == {E.NONE}
        assert len({each.identity.producer_id for each in told}) == len(producers)

    play(scenario, FEW)


# -- the way of a transaction ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("commit", [True, False])
def test_every_partition_gets_its_marker(version: int, commit: bool) -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        identity = producer.identity
        assert set((await producer.add(("t", 0), ("t", 1))).values()) == {E.NONE}
        assert (await producer.end(commit=commit, version=version)).code is E.NONE
        await reaches(producer.client, "CompleteCommit" if commit else "CompleteAbort")
        epoch = identity.epoch + (version >= 5)
        for index in range(2):
            assert markers(node, index=index) == [(identity.producer_id, epoch, commit)]

    play(scenario, FEW)


def test_the_partition_of_a_groups_offsets_gets_its_marker() -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        assert await producer.add_offsets("g") is E.NONE
        index = node.broker.groups.partition_of("g")
        assert index is not None
        assert await producer.commit() is E.NONE
        await reaches(producer.client, "CompleteCommit")
        assert markers(node, GROUP_TOPIC, index) == [(*producer.identity, True)]

    play(scenario, FEW, "offsets.topic.num.partitions=4")


def test_a_topic_that_is_deleted_holds_no_transaction_up() -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        assert await producer.add_one("t") is E.NONE
        await delete_topic(producer.client, node.broker.metadata.image.topics["t"].topic_id)
        assert await producer.commit() is E.NONE
        await reaches(producer.client, "CompleteCommit")

    play(scenario, FEW)


def test_a_partition_that_cannot_be_written_is_asked_until_it_can() -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        assert set((await producer.add(("t", 0), ("t", 1))).values()) == {E.NONE}
        partition = node.partition("t", 1)
        role: dict[str, Any] = {
            "partition_epoch": partition.partition_epoch,
            "assigned_replicas": (1,),
            "in_sync_replicas": (1,),
        }
        epoch = partition.leader_epoch
        partition.resign(leader_id=2, leader_epoch=epoch, partition_epoch=partition.partition_epoch)
        assert (await producer.end(commit=True)).code is E.NONE
        await eventually(lambda: bool(markers(node)))
        await a_while()
        assert await state_of(producer.client) == "PrepareCommit"
        assert (await producer.end(commit=True)).code is E.CONCURRENT_TRANSACTIONS
        partition.become_leader(leader_epoch=epoch, **role)
        await in_time(node, lambda: bool(markers(node, index=1)))
        await reaches(producer.client, "CompleteCommit")
        assert markers(node, index=1) == [(*producer.identity, True)]
        assert len(markers(node)) == 1, "who has it is not asked again"

    play(scenario, FEW)


def test_a_batch_right_behind_the_end_of_a_transaction_waits_for_that_and_no_longer() -> None:
    async def scenario(node: Node) -> None:
        node.clock.now_ms = int(time.time() * 1000)  # which records bear
        producer = await began(node)
        await topic_made(producer.client, "wide", 50)
        await producer.add(*(("wide", index) for index in range(50)), version=5)
        following = Producer(producer.client, "x")
        following.identity = Identity(producer.identity.producer_id, producer.identity.epoch + 1)
        told, code = await asyncio.gather(
            producer.end(commit=True, version=5), following.produce("t", b"2", version=12)
        )
        assert (told.code, told.identity, code) == (E.NONE, following.identity, E.NONE)

    a_minute = 60_000
    with patch.object(outbox, "_SLICE", 1):  # so that the end takes many turns
        play(
            scenario,
            FEW,
            f"add.partitions.to.txn.retry.backoff.ms={a_minute}",
            f"add.partitions.to.txn.retry.backoff.max.ms={a_minute}",
        )


# -- restarts ----------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_where_there_is_no_transaction() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        await node.restart()
        await a_while()
        assert node.broker._coordinators._transactions is None
        await Producer(await node.client(), "x").find()
        await node.restart()
        await a_while()
        assert node.broker._coordinators._transactions is None, "the topic is empty"

    play(scenario, FEW)


def test_identities_outlive_a_restart() -> None:
    async def scenario(node: Node) -> None:
        before = {name: (await began(node, name)).identity for name in IDS}
        await node.restart()
        for name in IDS:
            after = (await began(node, name)).identity
            assert after == Identity(before[name].producer_id, before[name].epoch + 1)
        response = await (await node.client()).call(ListTransactionsRequest())
        assert sorted(row.transactional_id for row in response.transaction_states) == sorted(IDS)

    play(scenario, FEW)


def test_a_marker_in_the_log_of_the_transactions_keeps_no_id_from_being_served() -> None:
    async def scenario(node: Node) -> None:
        before = (await began(node)).identity
        marker = WriteTxnMarkersRequest.WritableTxnMarker(
            producer_id=77,
            producer_epoch=3,
            topics=[
                WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=TRANSACTION_TOPIC, partition_indexes=[0])
            ],
        )
        await (await node.client()).call(WriteTxnMarkersRequest(markers=[marker]), version=1)
        assert (77, 3, False) in markers(node, TRANSACTION_TOPIC)
        await node.restart()
        assert (await began(node)).identity == Identity(before.producer_id, before.epoch + 1)

    play(scenario, "transaction.state.log.num.partitions=1")


@pytest.mark.parametrize("loss", Loss)
def test_an_open_transaction_goes_on_after_a_crash(loss: Loss) -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        assert await producer.add_one("t") is E.NONE
        await node.crash(loss)
        again = Producer(await node.client(), "x")
        again.identity = producer.identity
        assert await until_settled(lambda: again.add_one("t", 1), lambda code: code) is E.NONE
        assert await again.commit() is E.NONE
        await reaches(again.client, "CompleteCommit")
        assert markers(node) == markers(node, index=1) == [(*producer.identity, True)]

    play(scenario, FEW, "log.flush.interval.messages=1")


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("loss", Loss)
def test_what_was_decided_is_finished_after_a_crash_though_nobody_asks(loss: Loss, commit: bool) -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        assert set((await producer.add(("t", 0), ("t", 1))).values()) == {E.NONE}
        partition = node.partition("t", 1)
        partition.resign(
            leader_id=2, leader_epoch=partition.leader_epoch, partition_epoch=partition.partition_epoch
        )
        assert (await producer.end(commit=commit)).code is E.NONE
        await eventually(lambda: bool(markers(node)))
        await node.crash(loss)
        await eventually(lambda: bool(markers(node, index=1)))
        assert markers(node, index=1) == [(*producer.identity, commit)]
        assert set(markers(node)) == {(*producer.identity, commit)}
        await reaches(await node.client(), "CompleteCommit" if commit else "CompleteAbort")

    play(scenario, FEW, "log.flush.interval.messages=1")


@pytest.mark.parametrize("restarts", [False, True])
def test_a_transaction_without_its_client_runs_into_its_time_out(restarts: bool) -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node, timeout_ms=5_000)
        assert await producer.add_one("t") is E.NONE
        if restarts:
            await node.restart()
        await a_while()
        assert markers(node) == []
        node.clock.now_ms += 5_001
        await in_time(node, lambda: bool(markers(node)))
        ((producer_id, epoch, committed),) = markers(node)
        assert (producer_id, committed) == (producer.identity.producer_id, False)
        assert epoch > producer.identity.epoch, "whoever comes back is fenced"
        again = Producer(await node.client(), "x")
        again.identity = producer.identity
        ended = await until_settled(lambda: again.end(commit=True), lambda told: told.code)
        assert ended.code is E.PRODUCER_FENCED

    play(scenario, FEW, "transaction.abort.timed.out.transaction.cleanup.interval.ms=10")


def test_who_waits_when_the_node_stops_is_told() -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        index = node.broker.transactions.partition_of("x")
        assert index is not None
        node.hold_high_watermark(TRANSACTION_TOPIC, index)
        asked = asyncio.ensure_future(producer.add_one("t"))
        await a_while()
        assert not asked.done()
        node.broker._coordinators.stop()
        assert await asked is E.NOT_COORDINATOR

    play(scenario, FEW)


def test_a_failed_disk_takes_the_coordinator_along() -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        assert await producer.add_one("t") is E.NONE
        disk = Disk(node.fs)  # type: ignore[arg-type]
        disk.fail(Kind.WRITE, f"{DATA_DIR}/{TRANSACTION_TOPIC}", 5)
        assert await producer.add_one("t", 1) is E.NOT_COORDINATOR

    play(scenario, FEW)


# -- rights ------------------------------------------------------------------------------------------------------


def test_what_a_producer_may_do() -> None:
    async def scenario(node: Node) -> None:
        producer = await began(node)
        await topic_made(producer.client, "u")
        refusal = E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        deny(node, (Operation.WRITE, "x"))
        assert (await producer.init()).code is refusal
        assert await producer.add_one("t") is refusal
        assert await producer.add_offsets("g") is refusal
        assert (await producer.end(commit=True)).code is refusal
        deny(node, (Operation.DESCRIBE, "x"))
        request = FindCoordinatorRequest(key_type=1, coordinator_keys=["x", "y"])
        rows = (await producer.client.call(request, version=4)).coordinators
        assert [row.error_code for row in rows] == [refusal, E.NONE]
        deny(node, (Operation.READ, "g"))
        assert await producer.add_offsets("g") is E.GROUP_AUTHORIZATION_FAILED
        deny(node, (Operation.WRITE, "t"))
        assert await producer.add(("t", 0), ("u", 0)) == {
            ("t", 0): E.TOPIC_AUTHORIZATION_FAILED,
            ("u", 0): E.OPERATION_NOT_ATTEMPTED,
        }
        assert await state_of(producer.client) == "Empty"

    play(scenario, FEW)


def test_a_topic_is_not_made_for_who_may_not_look() -> None:
    async def scenario(node: Node) -> None:
        deny(node, (Operation.DESCRIBE, "x"))
        request = FindCoordinatorRequest(key_type=1, coordinator_keys=["x"])
        await (await node.client()).call(request, version=4)
        assert TRANSACTION_TOPIC not in node.broker.metadata.image.topics

    play(scenario, FEW)


def test_what_brokers_alone_may_do() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        deny(node, (Operation.CLUSTER_ACTION, "kafka-cluster"))
        response = await client.call(AddPartitionsToTxnRequest(transactions=[]), version=4)
        assert response.error_code == E.CLUSTER_AUTHORIZATION_FAILED

    play(scenario, FEW)


def test_who_looks_on_sees_what_it_may_describe() -> None:
    async def scenario(node: Node) -> None:
        producers = [await began(node, name) for name in IDS[:3]]
        client = producers[0].client
        await topic_made(client, "u")
        assert set((await producers[0].add(("t", 0), ("u", 0))).values()) == {E.NONE}
        deny(node, (Operation.DESCRIBE, "u"), (Operation.DESCRIBE, IDS[1]))
        names = [*IDS[:3], IDS[0], "unheard-of"]
        response = await client.call(DescribeTransactionsRequest(transactional_ids=names))
        rows = {row.transactional_id: row for row in response.transaction_states}
        assert len(rows) == len(response.transaction_states), "described once each"
        assert [topic.topic for topic in rows[IDS[0]].topics] == ["t"]
        assert rows[IDS[1]].error_code == E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        assert rows[IDS[2]].error_code == E.NONE
        assert rows["unheard-of"].error_code == E.TRANSACTIONAL_ID_NOT_FOUND
        listed = (await client.call(ListTransactionsRequest())).transaction_states
        assert sorted(row.transactional_id for row in listed) == [IDS[0], IDS[2]]

    play(scenario, FEW)


# -- brokers -----------------------------------------------------------------------------------------------------


def test_a_broker_asks_about_many_transactions_at_once() -> None:
    async def scenario(node: Node) -> None:
        a, b = await began(node, "a"), await began(node, "b")
        assert await a.add_one("t") is E.NONE

        def one(producer: Producer, index: int, **fields: Any) -> Any:
            return AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
                transactional_id=producer.transactional_id,
                producer_id=producer.identity.producer_id,
                producer_epoch=producer.identity.epoch,
                topics=[AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name="t", partitions=[index])],
                **fields,
            )

        stranger = Producer(a.client, "nobody")
        request = AddPartitionsToTxnRequest(
            transactions=[one(a, 0, verify_only=True), one(b, 1), one(b, 9), one(stranger, 0)]
        )
        response = await a.client.call(request, version=5)
        assert response.error_code == E.NONE
        told = [
            (row.transactional_id, topic.results_by_partition[0].partition_error_code)
            for row in response.results_by_transaction
            for topic in row.topic_results
        ]
        assert told == [
            ("a", E.NONE),
            ("b", E.NONE),
            ("b", E.UNKNOWN_TOPIC_OR_PARTITION),
            ("nobody", E.INVALID_PRODUCER_ID_MAPPING),
        ]

    play(scenario, FEW)


def test_partitions_ask_without_a_socket() -> None:
    async def scenario(node: Node) -> None:
        coordinator = node.broker.transactions
        zero, one = TopicPartition("t", 0), TopicPartition("t", 1)
        unmade = await coordinator.add("x", 1, 0, [zero], verify_only=False)
        assert unmade == {zero: E.NOT_COORDINATOR}
        producer = await began(node)
        identity = producer.identity
        assert await coordinator.add("x", *identity, [zero], verify_only=False) == {zero: E.NONE}
        told = await coordinator.add("x", *identity, [zero, one], verify_only=True)
        assert told == {zero: E.NONE, one: E.TRANSACTION_ABORTABLE}
        fenced = await coordinator.add("x", identity.producer_id, 9, [zero], verify_only=True)
        assert fenced == {zero: E.PRODUCER_FENCED}
        node.broker._coordinators.stop()
        gone = await coordinator.add("x", *identity, [zero], verify_only=True)
        assert gone == {zero: E.NOT_COORDINATOR}

    play(scenario, FEW)


def test_a_coordinator_is_made_once() -> None:
    async def scenario(node: Node) -> None:
        coordinators = CoordinatorHosts(node.broker)
        assert coordinators.transactions is coordinators.transactions
        assert coordinators.groups is coordinators.groups
        coordinators.stop()

    play(scenario, FEW)
