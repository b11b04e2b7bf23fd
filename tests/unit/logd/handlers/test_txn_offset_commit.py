"""Goal: offsets committed in a transaction are written once its coordinator has vouched for it, and count once it
commits; over real sockets, with rights, crashes and coordinators in every mood.

Method: a node in the test's process and a coordinator that says what it is told to. What is decided about groups, in
every version and state, is tested in tests/unit/coordinator.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from coordinator.shard import TransactionalProducer, TransactionMarker
from logd.authorisation import Operation, ResourceType
from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.offset_fetch import OffsetFetchRequest
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest
from storage.fs.faulty import Loss
from tests.support.node import Node, eventually, play
from tests.support.node_talk import groups_loaded, topic_with
from tests.support.partition_transactions import FakeCoordinator, Question, coordinated

CODE = ErrorCode
ONE_PARTITION = "offsets.topic.num.partitions=1"
NO_VERIFICATION = "transaction.partition.verification.enable=false"
VERSIONS = range(7)
PRODUCER = TransactionalProducer(7, 0)
ADDED = Question("id", 7, 0, (0,), False)
VERIFIED = Question("id", 7, 0, (0,), True)


async def ready(node: Node, *codes: ErrorCode) -> tuple[Client, FakeCoordinator]:
    """Return a client of a node that coordinates groups, and its coordinator of transactions; there is a topic `t`."""
    client = await groups_loaded(node)
    await topic_with(client, 1)
    return client, coordinated(node, *codes)


async def commit(
    node: Node,
    client: Client,
    *topics: str,
    offset: int = 5,
    version: int = 5,
    producer: TransactionalProducer = PRODUCER,
    group_id: str = "g",
    **fields: Any,
) -> list[ErrorCode]:
    """Commit an offset for partition 0 of topics, `t` unless named; return the code of each."""
    image = node.broker.metadata.image
    request = TxnOffsetCommitRequest(
        transactional_id="id",
        group_id=group_id,
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        topics=[
            TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(
                **({"name": name} if version < 6 else {"topic_id": image.topics[name].topic_id}),
                partitions=[
                    TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(
                        partition_index=0, committed_offset=offset
                    )
                ],
            )
            for name in topics or ("t",)
        ],
        **fields,
    )
    response = await client.call(request, version=version)
    return [ErrorCode(row.error_code) for topic in response.topics for row in topic.partitions]


async def fetch(client: Client, *, stable: bool = False) -> tuple[int, ErrorCode]:
    """Return what the group has committed for partition 0 of `t`."""
    group = OffsetFetchRequest.OffsetFetchRequestGroup(
        group_id="g",
        topics=[OffsetFetchRequest.OffsetFetchRequestTopics(name="t", partition_indexes=[0])],
    )
    response = await client.call(OffsetFetchRequest(groups=[group], require_stable=stable), version=9)
    (row,) = response.groups[0].topics[0].partitions
    return row.committed_offset, ErrorCode(row.error_code)


async def end(
    node: Node, *, committed: bool, producer: TransactionalProducer = PRODUCER, version: int = 1
) -> ErrorCode:
    """Write the marker that ends the producer's transaction, as its coordinator does."""
    told: asyncio.Future[ErrorCode] = asyncio.get_running_loop().create_future()
    marker = TransactionMarker(producer, committed, 0, version)
    node.broker.groups.write_marker(0, marker, told.set_result)
    return await told


# -- the coordinator's word ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_commit_of_a_transaction_asks_and_the_next_does_not(version: int) -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        for offset in (5, 6):
            assert await commit(node, client, offset=offset, version=version) == [CODE.NONE]
        question = ADDED if version >= 5 else VERIFIED
        assert coordinator.asked == [question]
        assert await fetch(client) == (-1, CODE.NONE)
        assert await end(node, committed=True) is CODE.NONE
        assert await fetch(client) == (6, CODE.NONE)
        assert await commit(node, client, version=version) == [CODE.NONE]
        assert coordinator.asked == [question] * 2

    play(scenario, ONE_PARTITION)


@pytest.mark.parametrize(
    ("said", "version", "told"),
    [
        (CODE.PRODUCER_FENCED, 5, CODE.INVALID_PRODUCER_EPOCH),
        (CODE.INVALID_PRODUCER_ID_MAPPING, 5, CODE.INVALID_PRODUCER_ID_MAPPING),
        (CODE.TRANSACTION_ABORTABLE, 3, CODE.INVALID_TXN_STATE),
        (CODE.TRANSACTION_ABORTABLE, 4, CODE.TRANSACTION_ABORTABLE),
        (CODE.CONCURRENT_TRANSACTIONS, 4, CODE.CONCURRENT_TRANSACTIONS),
        (CODE.NETWORK_EXCEPTION, 5, CODE.COORDINATOR_LOAD_IN_PROGRESS),
        (CODE.COORDINATOR_LOAD_IN_PROGRESS, 2, CODE.COORDINATOR_LOAD_IN_PROGRESS),
        (CODE.COORDINATOR_LOAD_IN_PROGRESS, 1, CODE.COORDINATOR_NOT_AVAILABLE),
        (CODE.NETWORK_EXCEPTION, 0, CODE.COORDINATOR_NOT_AVAILABLE),
        (CODE.COORDINATOR_NOT_AVAILABLE, 5, CODE.COORDINATOR_NOT_AVAILABLE),
        (CODE.NOT_COORDINATOR, 5, CODE.NOT_COORDINATOR),
    ],
)
def test_what_the_coordinator_refuses_is_not_written(said: ErrorCode, version: int, told: ErrorCode) -> None:
    async def scenario(node: Node) -> None:
        client, _ = await ready(node, said)
        assert await commit(node, client, version=version) == [told]
        assert node.partition("__consumer_offsets").log.log_end_offset == 0
        assert await commit(node, client, version=version) == [CODE.NONE]

    play(scenario, ONE_PARTITION)


@pytest.mark.parametrize(("version", "asked"), [(4, []), (5, [ADDED])])
def test_without_verification_only_what_is_to_be_added_is_asked(version: int, asked: list[Question]) -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        assert await commit(node, client, version=version) == [CODE.NONE]
        assert coordinator.asked == asked

    play(scenario, ONE_PARTITION, NO_VERIFICATION)


def test_a_commit_that_a_marker_overtakes_begins_no_transaction() -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        coordinator.hold()
        late = asyncio.ensure_future(commit(node, client, version=4))
        await eventually(lambda: len(coordinator.asked) == 1)
        assert await end(node, committed=False) is CODE.NONE
        coordinator.let_go()
        assert await late == [CODE.INVALID_TXN_STATE]
        assert await fetch(client, stable=True) == (-1, CODE.NONE)

    play(scenario, ONE_PARTITION)


def test_a_producer_of_an_older_epoch_is_fenced() -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        assert await commit(node, client) == [CODE.NONE]
        bumped = TransactionalProducer(PRODUCER.producer_id, 1)
        assert await end(node, committed=True, producer=bumped, version=2) is CODE.NONE
        assert await commit(node, client, offset=9) == [CODE.INVALID_PRODUCER_EPOCH]
        assert await commit(node, client, offset=6, producer=bumped) == [CODE.NONE]
        assert coordinator.asked == [ADDED, ADDED._replace(producer_epoch=1)]
        assert await fetch(client) == (5, CODE.NONE)

    play(scenario, ONE_PARTITION)


def test_nobody_is_asked_about_what_does_not_exist() -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        assert await commit(node, client, "x") == [CODE.UNKNOWN_TOPIC_OR_PARTITION]
        assert await commit(node, client, group_id="") == [CODE.INVALID_GROUP_ID]
        assert coordinator.asked == []
        assert await commit(node, client, "x", "t") == [CODE.UNKNOWN_TOPIC_OR_PARTITION, CODE.NONE]
        assert coordinator.asked == [ADDED]

    play(scenario, ONE_PARTITION)


def test_the_group_decides_after_the_coordinator() -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        fields = {"member_id": "m", "generation_id_or_member_epoch": 3}
        assert await commit(node, client, **fields) == [CODE.ILLEGAL_GENERATION]
        assert coordinator.asked == [ADDED]
        assert await commit(node, client) == [CODE.NONE]

    play(scenario, ONE_PARTITION)


def test_a_node_that_does_not_coordinate_the_group_says_so() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        coordinated(node)
        assert await commit(node, client) == [CODE.NOT_COORDINATOR]

    play(scenario, ONE_PARTITION)


# -- while it is pending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("crashed", [False, True])
def test_readers_of_stable_offsets_wait_for_the_marker(committed: bool, crashed: bool) -> None:
    async def scenario(node: Node) -> None:
        client, _ = await ready(node)
        assert await commit(node, client) == [CODE.NONE]
        if crashed:
            await node.crash(Loss.NONE)
            client = await groups_loaded(node)
        assert await fetch(client) == (-1, CODE.NONE)
        assert await fetch(client, stable=True) == (-1, CODE.UNSTABLE_OFFSET_COMMIT)
        assert await end(node, committed=committed) is CODE.NONE
        assert await fetch(client, stable=True) == (5 if committed else -1, CODE.NONE)
        await node.restart()
        client = await groups_loaded(node)
        assert await fetch(client, stable=True) == (5 if committed else -1, CODE.NONE)

    play(scenario, ONE_PARTITION)


# -- rights --------------------------------------------------------------------------------------------------


def deny(node: Node, *denied: tuple[Operation, ResourceType, str]) -> None:
    node.broker.authorise = lambda _context, operation, kind, name: (operation, kind, name) not in denied


@pytest.mark.parametrize("version", [0, 5, 6])
def test_rights(version: int) -> None:
    async def scenario(node: Node) -> None:
        client, coordinator = await ready(node)
        await topic_with(client, 1, name="u")
        both = ("t", "u")
        deny(node, (Operation.READ, ResourceType.TOPIC, "t"))
        denied = CODE.TOPIC_AUTHORIZATION_FAILED
        assert await commit(node, client, *both, version=version) == [denied, CODE.NONE]
        assert await commit(node, client, version=version) == [denied]
        deny(node, (Operation.READ, ResourceType.GROUP, "g"))
        assert await commit(node, client, *both, version=version) == [CODE.GROUP_AUTHORIZATION_FAILED] * 2
        deny(node, (Operation.WRITE, ResourceType.TRANSACTIONAL_ID, "id"))
        assert await commit(node, client, version=version) == [CODE.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]
        assert len(coordinator.asked) == 1

    play(scenario, ONE_PARTITION)
