"""What transactional producers are told, over real sockets: when the coordinator is asked, and what its answer becomes.

The coordinator is the test's: `coordinated`.
"""

from __future__ import annotations

import asyncio
import gc
import struct
from unittest.mock import patch

import pytest

from logd.coordination.transaction_inquiry import Inquiry
from logd.handlers import produce
from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from protocol.records import read_header
from protocol.types import Buffer, TopicPartition
from tests.support.logs import make_batch
from tests.support.node import Node, RawPeer, a_while, eventually, header, play, produce_request, produced
from tests.support.node_talk import BY_NAME, codes, parked, send
from tests.support.partition_transactions import Question, coordinated, end_transaction

CODE = ErrorCode
PRODUCER = 7
VERSIONS = range(3, 14)
FIRST_THAT_ADDS = 12
OLDER = 11


def batch(sequence: int = 0, *, epoch: int = 0, producer: int = PRODUCER, count: int = 1) -> bytearray:
    return make_batch(
        count, transactional=True, producer_id=producer, producer_epoch=epoch, base_sequence=sequence
    )


async def say(node: Node, sequence: int = 0, *, version: int = BY_NAME, epoch: int = 0) -> ErrorCode:
    """Send a transactional batch of one record on a connection of its own."""
    client = await node.client()
    answer = await send(client, batch(sequence, epoch=epoch), version=version, transactional_id="x")
    return CODE(answer.error_code)


def frame(number: int, records: Buffer, *, acks: int = -1, index: int = 0) -> bytes:
    """A transactional Produce request."""
    request = produce_request({("t", index): records}, acks=acks, transactional_id="x")
    return header(0, BY_NAME, number, flexible=True) + encode_bytes(request, BY_NAME)


async def answers(peer: RawPeer, count: int) -> list[tuple[int, int, int]]:
    """Correlation id, error code and base offset of the next answers."""
    found = []
    for _ in range(count):
        answer = await peer.answer()
        (number,) = struct.unpack_from(">i", answer)
        # header tags | 1 topic | "t" | 1 partition | index | code | base offset
        code, offset = struct.unpack_from(">hq", answer, 4 + 1 + 1 + 2 + 1 + 4)
        found.append((number, code, offset))
    return found


# -- when it is asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_asked_before_the_first_batch_of_a_transaction_and_not_again(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = (await client.create_topic("t")).topic_id
        coordinator = coordinated(node)
        for sequence in range(3):
            request = produce_request(
                {(topic_id if version >= 13 else "t", 0): batch(sequence)}, transactional_id="x"
            )
            (answer,) = produced(await client.call(request, version=version))
            assert (answer.error_code, answer.base_offset) == (0, sequence)
        assert coordinator.asked == [Question("x", PRODUCER, 0, (0,), version < FIRST_THAT_ADDS)]
        end_transaction(node.partition("t"), PRODUCER, committed=True)
        request = produce_request({(topic_id if version >= 13 else "t", 0): batch(3)}, transactional_id="x")
        (answer,) = produced(await client.call(request, version=version))
        assert (answer.error_code, answer.base_offset) == (0, 4)
        assert len(coordinator.asked) == 2

    play(scenario)


def test_it_is_asked_once_about_all_partitions_that_need_it() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=5)
        coordinator = coordinated(node)
        await send(client, batch(), index=1, transactional_id="x")
        coordinator.of_partition[TopicPartition("t", 3)] = CODE.TRANSACTION_ABORTABLE
        request = produce_request(
            {
                ("t", 0): batch(),
                ("t", 1): batch(1),
                ("t", 2): make_batch(),
                ("t", 3): batch(),
                ("t", 4): batch(),
                ("t", 9): batch(),
            },
            transactional_id="x",
        )
        response = await client.call(request, version=OLDER)
        assert codes(response) == [0, 0, 0, CODE.TRANSACTION_ABORTABLE, 0, CODE.UNKNOWN_TOPIC_OR_PARTITION]
        assert [question.partitions for question in coordinator.asked] == [(1,), (0, 3, 4)]
        assert node.partition("t", 3).log.log_end_offset == 0

    play(scenario)


def test_plain_batches_of_a_transactional_producer_are_nobodys_business() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        coordinator = coordinated(node)
        assert (await send(client, make_batch(), transactional_id="x")).error_code == 0
        assert (await send(client, make_batch(transactional=True), transactional_id="x")).error_code == 0, (
            "without a producer id it is in no transaction"
        )
        assert coordinator.asked == []

    play(scenario)


@pytest.mark.parametrize("version", [OLDER, FIRST_THAT_ADDS])
def test_without_verification_only_who_adds_asks(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        coordinator = coordinated(node)
        for epoch in range(3):
            assert await say(node, version=version, epoch=epoch) is CODE.NONE
            assert await say(node, 1, version=version, epoch=epoch) is CODE.NONE
            end_transaction(
                node.partition("t"), PRODUCER, committed=False, producer_epoch=epoch + 1, version=2
            )
        assert len(coordinator.asked) == (3 if version == FIRST_THAT_ADDS else 0)

    play(scenario, "transaction.partition.verification.enable=false")


def test_the_short_way_serves_what_comes_within_a_transaction() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        coordinator = coordinated(node)
        ordinary = 0

        def count(*arguments: object) -> object:
            nonlocal ordinary
            ordinary += 1
            return inquiry_of(*arguments)  # type: ignore[arg-type]

        inquiry_of = produce.inquiry_of
        with patch.object(produce, "inquiry_of", count):
            for transaction in range(3):
                for sequence in range(transaction * 5, transaction * 5 + 5):
                    answer = await send(client, batch(sequence), transactional_id="x")
                    assert (answer.error_code, answer.base_offset) == (0, sequence + transaction)
                end_transaction(node.partition("t"), PRODUCER, committed=True)
        assert (ordinary, len(coordinator.asked)) == (3, 3)

    play(scenario)


def test_on_the_short_way_each_partition_asks_for_itself() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        coordinator = coordinated(node)
        for transaction in range(3):
            for sequence in range(transaction * 5, transaction * 5 + 5):
                for index in range(2):
                    answer = await send(client, batch(sequence), index=index, transactional_id="x")
                    assert (answer.index, answer.error_code) == (index, 0)
                    assert answer.base_offset == sequence + transaction
            assert len(coordinator.asked) == 2 * (transaction + 1)
            for index in range(2):
                end_transaction(node.partition("t", index), PRODUCER, committed=True)

    play(scenario)


# -- what its answer becomes -----------------------------------------------------------------------------------------

AWAY = (
    CODE.NETWORK_EXCEPTION,
    CODE.COORDINATOR_LOAD_IN_PROGRESS,
    CODE.COORDINATOR_NOT_AVAILABLE,
    CODE.NOT_COORDINATOR,
)
TOLD = [
    *((said, version, CODE.NOT_ENOUGH_REPLICAS) for said in AWAY for version in (3, OLDER, FIRST_THAT_ADDS)),
    *((CODE.CONCURRENT_TRANSACTIONS, version, CODE.NOT_ENOUGH_REPLICAS) for version in (3, OLDER)),
    *((CODE.TRANSACTION_ABORTABLE, version, CODE.INVALID_TXN_STATE) for version in (3, 10)),
    *((CODE.TRANSACTION_ABORTABLE, version, CODE.TRANSACTION_ABORTABLE) for version in (11, 12)),
    *((CODE.PRODUCER_FENCED, version, CODE.INVALID_PRODUCER_EPOCH) for version in (3, 11, 12)),
    *((CODE.INVALID_TXN_STATE, version, CODE.INVALID_TXN_STATE) for version in (3, 11, 12)),
    *((CODE.INVALID_PRODUCER_ID_MAPPING, version, CODE.INVALID_PRODUCER_ID_MAPPING) for version in (3, 12)),
]


@pytest.mark.parametrize(("said", "version", "told"), TOLD)
def test_what_it_says_is_put_as_the_client_understands_it(
    said: ErrorCode, version: int, told: ErrorCode
) -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node, said)
        assert await say(node, version=version) is told
        assert node.partition("t").log.log_end_offset == 0
        assert await say(node, version=version) is CODE.NONE  # the next attempt asks again
        assert len(coordinator.asked) == 2

    play(scenario)


@pytest.mark.parametrize("busy", [1, 3])
def test_who_adds_asks_again_while_the_last_transaction_ends(busy: int) -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node, *[CODE.CONCURRENT_TRANSACTIONS] * busy)
        assert await say(node, version=FIRST_THAT_ADDS) is CODE.NONE
        assert len(coordinator.asked) == busy + 1

    play(
        scenario,
        "add.partitions.to.txn.retry.backoff.ms=1",
        "add.partitions.to.txn.retry.backoff.max.ms=10000",
    )


def test_and_gives_up_in_time() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node, *[CODE.CONCURRENT_TRANSACTIONS] * 1000)
        began = asyncio.get_running_loop().time()
        assert await say(node, version=FIRST_THAT_ADDS) is CODE.CONCURRENT_TRANSACTIONS
        assert asyncio.get_running_loop().time() - began >= 0.1
        assert 2 <= len(coordinator.asked) <= 6

    play(scenario)


def test_a_lost_first_batch_shows_under_version_2() -> None:
    """Sequences begin at 0 in every epoch; older producers go on with theirs, whatever is known of them here."""

    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinated(node)
        assert await say(node, 5, version=FIRST_THAT_ADDS) is CODE.OUT_OF_ORDER_SEQUENCE_NUMBER
        end_transaction(node.partition("t"), PRODUCER, committed=False, producer_epoch=1, version=2)
        assert await say(node, version=FIRST_THAT_ADDS, epoch=1) is CODE.NONE
        await (await node.client()).create_topic("u")
        client = await node.client()
        answer = await send(client, batch(5), topic="u", version=OLDER, transactional_id="x")
        assert answer.error_code == 0

    play(scenario)


# -- while it is asked -----------------------------------------------------------------------------------------------


def test_nothing_of_the_connection_overtakes_the_batch_that_waits() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t", partitions=2)
        coordinator = coordinated(node)
        coordinator.hold()
        peer = await node.peer()
        peer.send(*[frame(number, batch(number)) for number in range(4)])
        await eventually(lambda: len(coordinator.asked) == 1)
        peer.send(frame(4, batch(4)), frame(5, batch(0), index=1))
        await a_while()
        assert node.partition("t").log.log_end_offset == 0
        other = await node.client()  # others go on
        assert (await send(other, make_batch(), index=1)).error_code == 0
        coordinator.let_go()
        assert await answers(peer, 6) == [*((number, 0, number) for number in range(5)), (5, 0, 1)]
        assert len(coordinator.asked) == 2
        header_of_first = read_header(node.partition("t").log.segments[0].file.read_at(0, 61))
        assert (header_of_first.producer_id, header_of_first.base_sequence) == (PRODUCER, 0)

    play(scenario)


def test_the_records_outlive_their_frame() -> None:
    """All connections receive into one buffer: it holds other bytes by the time the answer comes."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.create_topic("other")
        coordinator = coordinated(node)
        coordinator.hold()
        waiting = asyncio.create_task(say(node))
        await eventually(lambda: len(coordinator.asked) == 1)
        for _ in range(3):
            await send(client, make_batch(50, size=1000), topic="other")
        coordinator.let_go()
        assert await waiting is CODE.NONE

    play(scenario)


@pytest.mark.parametrize(
    ("bump", "told"),
    [(0, CODE.INVALID_TXN_STATE), (1, CODE.INVALID_PRODUCER_EPOCH)],
    ids=["same epoch", "bumped"],
)
def test_a_marker_that_comes_meanwhile_keeps_the_batch_out(bump: int, told: ErrorCode) -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node)
        coordinator.hold()
        waiting = asyncio.create_task(say(node, version=OLDER + bump))
        await eventually(lambda: len(coordinator.asked) == 1)
        partition = node.partition("t")
        end_transaction(partition, PRODUCER, committed=False, producer_epoch=bump, version=1 + bump)
        coordinator.let_go()
        assert await waiting is told
        assert (partition.log.log_end_offset, partition.last_stable_offset) == (1, 1)

    play(scenario)


def test_a_client_that_leaves_meanwhile_finds_its_batch_when_it_tries_again() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node)
        coordinator.hold()
        peer = await node.peer()
        peer.send(frame(1, batch()))
        await eventually(lambda: len(coordinator.asked) == 1)
        peer.reset()
        await a_while()
        coordinator.let_go()
        await eventually(lambda: node.partition("t").log.log_end_offset == 1)
        assert await say(node) is CODE.NONE
        assert node.partition("t").log.log_end_offset == 1

    play(scenario)


def test_a_node_that_stops_does_not_wait_for_a_coordinator() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node)
        coordinator.hold()
        waiting = asyncio.create_task(say(node))
        await eventually(lambda: len(coordinator.asked) == 1)
        await node.stop()
        with pytest.raises(OSError):
            await waiting
        coordinator.let_go()
        await a_while()
        await node.start()

    play(scenario)


def test_acks_all_waits_for_replicas_after_that() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        coordinated(node)
        follower_has = node.hold_high_watermark("t")
        peer = await node.peer()
        peer.send(frame(1, batch()), frame(2, batch(1)))
        await parked(node, 2)
        follower_has(2)
        assert await answers(peer, 2) == [(1, 0, 0), (2, 0, 1)]

    play(scenario)


# -- acks=0 ------------------------------------------------------------------------------------------------------------


def test_acks_0_is_not_answered() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinator = coordinated(node)
        peer = await node.peer()
        peer.send(frame(1, batch(), acks=0), frame(2, batch(1), acks=0), frame(3, batch(2)))
        assert await answers(peer, 1) == [(3, 0, 2)]
        assert len(coordinator.asked) == 1

    play(scenario)


def test_acks_0_refused_ends_the_connection() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        coordinated(node, CODE.INVALID_TXN_STATE)
        peer = await node.peer()
        peer.send(frame(1, batch(), acks=0), frame(2, batch(1)))
        assert await peer.at_end()
        assert node.partition("t").log.log_end_offset == 0

    play(scenario)


# -- requests that are refused as a whole ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [3, BY_NAME])
def test_transactional_data_needs_a_transactional_id_that_its_client_may_use(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=3)
        coordinator = coordinated(node)
        batches = {("t", 0): make_batch(), ("t", 1): batch(), ("t", 2): make_batch()}
        for transactional_id in (None, "forbidden"):
            node.broker.authorise = lambda _context, _operation, _resource, name: name != "forbidden"
            response = await client.call(
                produce_request(batches, transactional_id=transactional_id), version=version
            )
            assert codes(response) == [CODE.TRANSACTIONAL_ID_AUTHORIZATION_FAILED] * 3
        assert coordinator.asked == []
        assert [node.partition("t", index).log.log_end_offset for index in range(3)] == [0, 0, 0]

    play(scenario)


def test_one_request_is_of_one_producer() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        coordinator = coordinated(node)
        for other in ({"producer": 8}, {"epoch": 1}):
            request = produce_request({("t", 0): batch(), ("t", 1): batch(**other)}, transactional_id="x")
            response = await client.call(request, version=BY_NAME)
            assert codes(response) == [CODE.INVALID_PRODUCER_ID_MAPPING] * 2
        assert coordinator.asked == []

    play(scenario)


def test_a_coordinator_that_nobody_looked_for_yet_is_away() -> None:
    async def scenario(node: Node) -> None:
        await (await node.client()).create_topic("t")
        assert await say(node) is CODE.NOT_ENOUGH_REPLICAS
        assert await say(node) is CODE.NOT_ENOUGH_REPLICAS
        assert node.partition("t").log.log_end_offset == 0

    play(scenario)


# -- what is left of it --------------------------------------------------------------------------------------------


def test_nothing_of_a_refused_request_waits_for_the_collector() -> None:
    """A refusal that the inquiry kept would keep, by its traceback, the whole request; the collector looks rarely."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        coordinated(node)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                answer = await send(client, batch(), index=9, transactional_id="x")
                assert answer.error_code == CODE.UNKNOWN_TOPIC_OR_PARTITION
            assert not [each for each in gc.get_objects() if isinstance(each, Inquiry)]
        finally:
            gc.enable()

    play(scenario)
