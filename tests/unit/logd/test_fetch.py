"""What a consumer gets, when it gets it, and what it is told instead; over real sockets.

Batches of one record with values of 20 bytes are used where bytes are counted: `SIZE` is one of them.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from logd.client import Client
from protocol.codec import encode_bytes
from protocol.control_records import end_txn_marker
from protocol.errors import ErrorCode
from protocol.messages.delete_topics import DeleteTopicsRequest
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.records import iter_batches
from storage.fs_faulty import FaultyFileSystem, Kind
from storage.fs_real import RealFileSystem
from storage.log import AppendOrigin, LogStartOffsetReason
from tests.support.logs import NOW_MS, EvictingFileSystem, make_batch
from tests.support.node import (
    LONG_MS,
    Disk,
    Node,
    a_while,
    eventually,
    fetch_request,
    fetched,
    header,
    offsets_in,
    play,
    produce_request,
    wanted,
)

CODE = ErrorCode
BY_NAME, BY_ID = 12, 17
NEWEST = 18
VERSIONS = range(4, NEWEST + 1)
SIZE = len(make_batch())
COMMITTED = 1
UNKNOWN_ID = bytes(range(16))

T = TypeVar("T")
Answer = FetchResponse.PartitionData


async def topic_with(client: Client, *ends: int, name: str = "t", **configs: str) -> bytes:
    """A topic of as many partitions as there are `ends`, each filled up to its end with batches of one record."""
    made = await client.create_topic(name, partitions=len(ends), configs=configs)
    for index, end in enumerate(ends):
        for _ in range(end):
            await append(client, name, index)
    return made.topic_id


async def append(client: Client, topic: str = "t", index: int = 0, **fields: Any) -> None:
    response = await client.call(produce_request({(topic, index): make_batch(**fields)}, acks=1), version=9)
    assert response.responses[0].partition_responses[0].error_code == 0


async def ask(client: Client, *partitions: Any, version: int = BY_NAME, **fields: Any) -> list[Answer]:
    return fetched(await client.call(fetch_request(*partitions, **fields), version=version))


async def ask_one(client: Client, offset: int = 0, *, version: int = BY_NAME, **fields: Any) -> Answer:
    request = {
        name: fields.pop(name)
        for name in ("max_wait_ms", "min_bytes", "max_bytes", "isolation_level")
        if name in fields
    }
    (answer,) = await ask(client, ("t", wanted(0, offset, **fields)), version=version, **request)
    return answer


def later(asked: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.create_task(asked)


async def parked(node: Node, count: int = 1) -> None:
    await eventually(lambda: len(node.broker.delayed) == count)


def found(answers: list[Answer]) -> list[tuple[int, list[int]]]:
    return [(answer.error_code, offsets_in(answer.records)) for answer in answers]


def sizes(answers: list[Answer]) -> list[int]:
    return [len(cast("memoryview", answer.records)) for answer in answers]


def add_transaction(node: Node, producer_id: int, count: int) -> None:
    batch = make_batch(count, producer_id=producer_id, producer_epoch=0, base_sequence=0, transactional=True)
    node.partition("t").append(memoryview(batch), acks=1, now_ms=NOW_MS, origin=AppendOrigin.CLIENT)


def end_transaction(node: Node, producer_id: int, *, committed: bool) -> None:
    marker = end_txn_marker(
        committed=committed,
        producer_id=producer_id,
        producer_epoch=0,
        coordinator_epoch=0,
        timestamp_ms=NOW_MS,
    )
    partition = node.partition("t")
    partition.append(memoryview(marker), acks=-1, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    node.broker.delayed.partition_moved(partition)


# -- every version ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_records_and_refusals_in_every_version(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        by_id = version >= 13
        ids = {name: await topic_with(client, 3, 0, name=name) for name in ("a", "b")}
        a, b, unknown = (ids["a"], ids["b"], UNKNOWN_ID) if by_id else ("a", "b", "unknown")
        request = fetch_request(
            (b, wanted(1, 0)),
            (b, wanted(0, 1)),
            (unknown, wanted(0, 0)),
            (a, wanted(7, 0)),
            (a, wanted(0, 4)),
            (a, wanted(0, 3)),
            max_wait_ms=LONG_MS,  # an error is told at once
            min_bytes=1 << 20,
        )
        response = await client.call(request, version=version)
        assert [topic.topic_id if by_id else topic.topic for topic in response.responses] == [b, unknown, a]
        answers = fetched(response)
        assert [answer.partition_index for answer in answers] == [1, 0, 0, 7, 0, 0]
        absent = CODE.UNKNOWN_TOPIC_ID if by_id else CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert found(answers) == [
            (0, []),
            (0, [1, 2]),
            (absent, []),
            (CODE.UNKNOWN_TOPIC_OR_PARTITION, []),
            (CODE.OFFSET_OUT_OF_RANGE, []),
            (0, []),
        ]
        assert [answer.high_watermark for answer in answers] == [0, 3, -1, -1, -1, 3]
        assert [answer.last_stable_offset for answer in answers] == [0, 3, -1, -1, -1, 3]
        if version >= 5:
            assert [answer.log_start_offset for answer in answers] == [0, 0, -1, -1, -1, 0]
        assert all(answer.records is not None for answer in answers)  # some clients cannot read null
        assert (response.error_code, response.session_id) == (0, 0)

    play(scenario)


def test_below_the_start_and_beyond_the_end_is_out_of_range() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 4)
        node.partition("t").log.advance_log_start_offset(2, LogStartOffsetReason.CLIENT_RECORD_DELETION)
        for offset in (-1, 0, 1, 5, 1 << 62):
            assert (await ask_one(client, offset)).error_code == CODE.OFFSET_OUT_OF_RANGE
        answer = await ask_one(client, 2)
        assert (answer.log_start_offset, offsets_in(answer.records)) == (2, [2, 3])
        assert offsets_in((await ask_one(client, 4)).records) == []

    play(scenario)


def test_leader_epochs_are_compared() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        partition = node.partition("t")
        partition.become_leader(
            leader_epoch=5, partition_epoch=1, assigned_replicas=(1,), in_sync_replicas=(1,)
        )
        for epoch, code in ((-1, 0), (5, 0), (4, CODE.FENCED_LEADER_EPOCH), (6, CODE.UNKNOWN_LEADER_EPOCH)):
            answer = await ask_one(client, current_leader_epoch=epoch)
            assert (answer.error_code, len(offsets_in(answer.records))) == (code, int(not code))
        partition.resign(leader_id=2, leader_epoch=6, partition_epoch=2)
        for epoch, code in ((-1, 6), (6, 6), (5, 74), (7, 75)):
            assert (await ask_one(client, current_leader_epoch=epoch)).error_code == code

    play(scenario)


def test_divergence_is_told_at_once() -> None:
    """The log: epoch 0 at 0 to 2, epoch 3 from 3 on. What a reader of another history is told (KIP-320, KIP-595)."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3)
        partition = node.partition("t")
        partition.become_leader(
            leader_epoch=3, partition_epoch=1, assigned_replicas=(1,), in_sync_replicas=(1,)
        )
        for _ in range(2):
            await append(client)

        async def reader(offset: int, epoch: int) -> Answer:
            return await ask_one(
                client, offset, last_fetched_epoch=epoch, max_wait_ms=LONG_MS, min_bytes=1 << 20
            )

        for offset, epoch, diverges in (
            (4, 0, (0, 3)),
            (4, 2, (0, 3)),
            (3, 1, (0, 3)),
            (9, 0, (0, 3)),
            (9, 3, (3, 5)),  # beyond the end of the reader's own epoch
        ):
            answer = await reader(offset, epoch)
            told = answer.diverging_epoch
            assert answer.error_code == 0 and told is not None
            assert (told.epoch, told.end_offset) == diverges
            assert (answer.high_watermark, sizes([answer])) == (5, [0])
        answer = await reader(1, 7)  # an epoch that nobody had yet
        assert answer.error_code == CODE.OFFSET_OUT_OF_RANGE

        for offset, epoch in ((3, 0), (0, 0), (5, 3), (3, 3)):
            answer = await ask_one(client, offset, last_fetched_epoch=epoch)
            assert (answer.error_code, answer.diverging_epoch) == (0, None)
            assert offsets_in(answer.records) == list(range(offset, 5))
        partition.log.advance_log_start_offset(2, LogStartOffsetReason.CLIENT_RECORD_DELETION)
        for epoch in (0, 2):
            answer = await reader(1, epoch)
            assert (answer.error_code, answer.diverging_epoch) == (CODE.OFFSET_OUT_OF_RANGE, None)

    play(scenario)


def test_who_may_not_read_is_told_so_for_each_partition() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1, name="mine")
        await topic_with(client, 1, 1, name="theirs")
        node.broker.authorise = lambda _context, _operation, _kind, name: name == "mine"
        answers = await ask(
            client, ("theirs", wanted(0, 0)), ("theirs", wanted(1, 0)), ("mine", wanted(0, 0))
        )
        denied = CODE.TOPIC_AUTHORIZATION_FAILED
        assert found(answers) == [(denied, []), (denied, []), (0, [0])]

    play(scenario)


# -- how much -----------------------------------------------------------------------------------------------------


def test_a_region_ends_with_a_batch_and_the_first_comes_whole() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 10)
        for limit, count in (
            (1, 1),
            (SIZE, 1),
            (2 * SIZE - 1, 1),
            (2 * SIZE, 2),
            (10 * SIZE, 10),
            (0, 1),
            (-1, 1),
        ):
            answer = await ask_one(client, 0, partition_max_bytes=limit)
            assert offsets_in(answer.records) == list(range(count)), limit
            answer = await ask_one(client, 0, max_bytes=limit)
            assert offsets_in(answer.records) == list(range(count)), limit

    play(scenario)


def test_partitions_share_the_limit_in_the_order_asked_for() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3, 3, 3, 0)

        async def with_limit(max_bytes: int, *partitions: FetchRequest.FetchPartition) -> list[list[int]]:
            asked = [("t", partition) for partition in partitions]
            answers = await ask(client, *asked, max_bytes=max_bytes)
            assert all(
                answer.high_watermark == (0 if answer.partition_index == 3 else 3) for answer in answers
            )
            return [offsets_in(answer.records) for answer in answers]

        all_of = [wanted(index, 0) for index in (2, 0, 1)]
        assert await with_limit(9 * SIZE, *all_of) == [[0, 1, 2]] * 3
        assert await with_limit(5 * SIZE, *all_of) == [[0, 1, 2], [0, 1], []]
        assert await with_limit(3 * SIZE, *all_of) == [[0, 1, 2], [], []]
        assert await with_limit(1, *all_of) == [[0], [], []]
        narrow = [wanted(index, 0, partition_max_bytes=SIZE) for index in (1, 2, 0)]
        assert await with_limit(9 * SIZE, *narrow) == [[0], [0], [0]]
        # Only the first batch that is found comes whole: one that does not fit is no reason to skip the next.
        first_empty = [wanted(3, 0), wanted(0, 1, partition_max_bytes=1), wanted(1, 0, partition_max_bytes=1)]
        assert await with_limit(9 * SIZE, *first_empty) == [[], [1], []]

    play(scenario)


def test_the_brokers_own_limit_holds() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 20, 20)
        answers = await ask(client, ("t", wanted(0, 0)), ("t", wanted(1, 0)))
        assert sum(sizes(answers)) == 1024 // SIZE * SIZE

    play(scenario, "fetch.max.bytes=1024")


# -- waiting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [False, True], ids=["another connection", "the same connection"])
def test_an_append_ends_the_wait(same: bool) -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await topic_with(client, 1, 1)
        waiting = later(ask(client, ("t", wanted(0, 1)), ("t", wanted(1, 1)), max_wait_ms=LONG_MS))
        await parked(node)
        await a_while()
        assert not waiting.done()
        if same:  # the fetch is answered first, as requests are; then the produce
            await append(client, index=1)
            assert waiting.done()
        else:
            await append(other, index=1)
        assert found(await waiting) == [(0, []), (0, [1])]
        assert len(node.broker.delayed) == 0
        assert not any(connection.waiting for connection in node.broker._server.connections)

    play(scenario)


def test_enough_bytes_over_all_partitions_end_the_wait() -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await topic_with(client, 1, 0)
        waiting = later(
            ask(client, ("t", wanted(0, 0)), ("t", wanted(1, 0)), max_wait_ms=LONG_MS, min_bytes=3 * SIZE)
        )
        await parked(node)
        await append(other, index=1)
        await a_while()
        assert not waiting.done()
        await append(other, index=0)
        assert found(await waiting) == [(0, [0, 1]), (0, [0])]

    play(scenario)


def test_when_the_time_is_up_whatever_is_there_is_answered() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        loop = asyncio.get_running_loop()
        for max_wait_ms in (0, 60, -7):
            began = loop.time()
            answer = await ask_one(client, 1, max_wait_ms=max_wait_ms, min_bytes=1 << 20)
            assert offsets_in(answer.records) == [1]
            assert loop.time() - began >= max_wait_ms / 1000 - 0.002
        answer = await ask_one(client, 2, max_wait_ms=LONG_MS, min_bytes=0)  # nothing is enough
        assert offsets_in(answer.records) == []

    play(scenario)


def test_a_request_without_partitions_is_answered_at_once() -> None:
    """A consumer that closes sends one to end its session, and once waited for max_wait_ms."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        assert await ask(client, max_wait_ms=LONG_MS) == []
        request = fetch_request(("t", wanted(0, 0)), session_epoch=0)
        session_id = (await client.call(request, version=BY_NAME)).session_id
        request = fetch_request(session_id=session_id, session_epoch=-1, max_wait_ms=LONG_MS)
        async with asyncio.timeout(2):
            assert (await client.call(request, version=BY_NAME)).session_id == 0
        assert len(node.broker.fetch_sessions) == 0

    play(scenario)


def test_the_high_watermark_is_waited_for_not_the_append() -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await topic_with(client, 2)
        follower_has = node.hold_high_watermark("t")
        waiting = later(ask_one(client, 2, max_wait_ms=LONG_MS))
        follower = later(ask_one(other, 2, max_wait_ms=LONG_MS, version=9))
        await parked(node, 2)
        for _ in range(3):
            await append(await node.client())
        await a_while()
        assert not waiting.done() and not follower.done()
        answer = await ask_one(await node.client(), 0)
        assert (answer.high_watermark, offsets_in(answer.records)) == (2, [0, 1])
        assert offsets_in((await ask_one(await node.client(), 4)).records) == []  # in the log, above it
        follower_has(4)
        for asked in (waiting, follower):
            answer = await asked
            assert (answer.high_watermark, offsets_in(answer.records)) == (4, [2, 3])

    play(scenario)


@pytest.mark.parametrize("version", [BY_NAME, NEWEST])
def test_a_replica_reads_up_to_the_log_end(version: int) -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        topic: Any = await topic_with(client, 2)
        topic = topic if version >= 13 else "t"
        node.hold_high_watermark("t")
        await append(client)
        who: dict[str, Any] = {"replica_id": 2}
        if version >= 15:
            who = {"replica_state": FetchRequest.ReplicaState(replica_id=2)}
        (answer,) = await ask(client, (topic, wanted(0, 0)), version=version, **who)
        assert (answer.high_watermark, offsets_in(answer.records)) == (2, [0, 1, 2])
        waiting = later(ask(client, (topic, wanted(0, 3)), version=version, max_wait_ms=LONG_MS, **who))
        await parked(node)
        await append(other)
        assert found(await waiting) == [(0, [3])]

    play(scenario)


def test_a_client_that_leaves_is_forgotten() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        body = encode_bytes(fetch_request(("t", wanted(0, 1)), max_wait_ms=1 << 30), BY_NAME)
        peers = [await node.peer() for _ in range(3)]
        for peer in peers:
            peer.send(*[header(1, BY_NAME, number, flexible=True) + body for number in range(5)])
        await parked(node, 15)
        await peers[0].close()
        peers[1].reset()
        await parked(node, 5)
        await append(client)
        for _ in range(5):
            await peers[2].answer()
        assert len(node.broker.delayed) == 0
        assert not node.broker.delayed._watches

    play(scenario)


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "and made again"])
def test_a_topic_deleted_while_its_reader_waits(again: bool) -> None:
    async def scenario(node: Node) -> None:
        client, admin = await node.client(), await node.client()
        topic_id = await topic_with(client, 1)
        request = fetch_request((topic_id, wanted(0, 1)), max_wait_ms=LONG_MS)
        by_id = later(client.call(request, version=BY_ID))
        await parked(node)
        await delete_topic(admin, topic_id)
        if again:
            await topic_with(admin, 0)
        ((code, _),) = found(fetched(await by_id))
        assert code in (CODE.UNKNOWN_TOPIC_OR_PARTITION, CODE.INCONSISTENT_TOPIC_ID)
        ((code, _),) = found(fetched(await client.call(request, version=BY_ID)))
        assert code == CODE.UNKNOWN_TOPIC_ID

    play(scenario)


async def delete_topic(client: Client, topic_id: bytes) -> None:
    state = DeleteTopicsRequest.DeleteTopicState(name=None, topic_id=topic_id)
    await client.call(DeleteTopicsRequest(topics=[state], timeout_ms=LONG_MS))


def test_a_partition_that_another_node_leads_from_now_on() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        waiting = later(ask_one(client, 1, max_wait_ms=LONG_MS))
        await parked(node)
        partition = node.partition("t")
        partition.resign(leader_id=2, leader_epoch=1, partition_epoch=1)
        node.broker.delayed.partition_moved(partition)
        assert (await waiting).error_code == CODE.NOT_LEADER_OR_FOLLOWER

    play(scenario)


def test_a_bug_met_when_the_wait_is_over_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It once left the client waiting for ever."""

    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await topic_with(client, 1)
        waiting = later(ask_one(client, 1, max_wait_ms=LONG_MS))
        await parked(node)

        def fail(*_: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr("logd.handlers.fetch._Fetch._read", fail)
        await append(other)
        with pytest.raises(ConnectionError):
            await waiting

    play(scenario)
    (record,) = [record for record in caplog.records if record.name == "logd.dispatch"]
    assert record.exc_info


# -- transactions -------------------------------------------------------------------------------------------------


def test_read_committed_waits_for_the_outcome() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        waiting = later(ask_one(client, 1, isolation_level=COMMITTED, max_wait_ms=LONG_MS))
        await parked(node)
        add_transaction(node, producer_id=7, count=2)
        node.broker.delayed.partition_moved(node.partition("t"))
        await a_while()
        assert not waiting.done()
        other = await node.client()
        for isolation, end in ((0, 3), (COMMITTED, 1)):
            answer = await ask_one(other, 0, isolation_level=isolation)
            assert (answer.high_watermark, answer.last_stable_offset) == (3, 1)
            assert offsets_in(answer.records) == list(range(end))
            assert not answer.aborted_transactions
        end_transaction(node, 7, committed=True)
        answer = await waiting
        assert offsets_in(answer.records) == [1, 2, 3]
        assert answer.aborted_transactions == []

    play(scenario)


def test_aborted_transactions_are_named_where_their_records_are_read() -> None:
    """0 1 2 of producer 7, 3 4 of producer 8, 5 aborts 7, 6 commits 8, 7 of nobody, 8 of 7 again, 9 aborts it."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        add_transaction(node, 7, 3)
        add_transaction(node, 8, 2)
        end_transaction(node, 7, committed=False)
        end_transaction(node, 8, committed=True)
        await append(client)
        batch = make_batch(producer_id=7, producer_epoch=0, base_sequence=3, transactional=True)
        node.partition("t").append(memoryview(batch), acks=1, now_ms=NOW_MS, origin=AppendOrigin.CLIENT)
        end_transaction(node, 7, committed=False)

        async def aborted(offset: int, **fields: Any) -> list[tuple[int, int]]:
            answer = await ask_one(client, offset, **fields)
            return [(row.producer_id, row.first_offset) for row in answer.aborted_transactions or ()]

        assert await aborted(0, isolation_level=COMMITTED) == [(7, 0), (7, 8)]
        assert await aborted(0, isolation_level=COMMITTED, partition_max_bytes=1) == [(7, 0)]
        assert await aborted(4, isolation_level=COMMITTED, partition_max_bytes=1) == [(7, 0)]
        assert await aborted(6, isolation_level=COMMITTED) == [(7, 8)]
        assert await aborted(7, isolation_level=COMMITTED, partition_max_bytes=1) == []
        assert await aborted(10, isolation_level=COMMITTED) == []
        assert await aborted(0) == []
        await node.restart()  # from the files now, through the pool
        client = await node.client()
        assert await aborted(0, isolation_level=COMMITTED) == [(7, 0), (7, 8)]
        assert await aborted(6, isolation_level=COMMITTED) == [(7, 8)]

    play(scenario)


def test_the_outcome_counts_once_it_is_replicated() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        follower_has = node.hold_high_watermark("t")
        add_transaction(node, 7, 1)
        end_transaction(node, 7, committed=False)
        waiting = later(ask_one(client, 1, isolation_level=COMMITTED, max_wait_ms=LONG_MS))
        await parked(node)
        follower_has(2)
        await a_while()
        assert not waiting.done()
        follower_has(3)
        answer = await waiting
        assert offsets_in(answer.records) == [1, 2]
        assert answer.aborted_transactions is not None and len(answer.aborted_transactions) == 1

    play(scenario)


# -- sessions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [7, BY_NAME, BY_ID, NEWEST])
def test_a_session_waits_for_what_it_remembers(version: int) -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        by_id = version >= 13
        ids = [await topic_with(client, 1, 0, name=name) for name in ("a", "b")]
        a, b = cast("list[Any]", ids if by_id else ["a", "b"])
        opening = fetch_request((a, wanted(0, 1)), (b, wanted(0, 1)), (b, wanted(1, 0)), session_epoch=0)
        opened = await client.call(opening, version=version)
        assert opened.session_id and [answer.partition_index for answer in fetched(opened)] == [0, 0, 1]

        def incremental(epoch: int, *partitions: Any, **fields: Any) -> FetchRequest:
            return fetch_request(*partitions, session_id=opened.session_id, session_epoch=epoch, **fields)

        waiting = later(client.call(incremental(1, max_wait_ms=LONG_MS), version=version))
        await parked(node)
        await append(other, "b", 1)
        response = await waiting
        assert [topic.topic_id if by_id else topic.topic for topic in response.responses] == [b]
        assert found(fetched(response)) == [(0, [0])]
        again = incremental(1)  # this epoch was used
        assert (await client.call(again, version=version)).error_code == CODE.INVALID_FETCH_SESSION_EPOCH
        response = await client.call(incremental(2, (b, wanted(1, 1)), max_wait_ms=20), version=version)
        assert response.responses == []  # nothing is new, and that is said in an answer without partitions
        await append(other, "a")
        response = await client.call(incremental(3), version=version)
        assert found(fetched(response)) == [(0, [1])]
        node.broker.fetch_sessions = type(node.broker.fetch_sessions)(node.broker.topic_name)
        response = await client.call(incremental(4, max_wait_ms=LONG_MS), version=version)
        assert response.error_code == CODE.FETCH_SESSION_ID_NOT_FOUND

    play(scenario)


def test_a_session_does_not_read_the_new_topic_of_an_old_name() -> None:
    """It once did, at the offsets of the old one."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        old = await topic_with(client, 2)
        opened = await client.call(fetch_request((old, wanted(0, 2)), session_epoch=0), version=BY_ID)
        await delete_topic(client, old)
        request = fetch_request(session_id=opened.session_id, session_epoch=1, max_wait_ms=LONG_MS)
        assert found(fetched(await client.call(request, version=BY_ID))) == [
            (CODE.UNKNOWN_TOPIC_OR_PARTITION, [])
        ]
        await topic_with(client, 5)
        request = fetch_request(session_id=opened.session_id, session_epoch=2, max_wait_ms=LONG_MS)
        assert found(fetched(await client.call(request, version=BY_ID))) == [(CODE.INCONSISTENT_TOPIC_ID, [])]

    play(scenario)


# -- what is not in memory, or not checked yet -----------------------------------------------------------------------


def test_after_a_start_everything_comes_through_the_pool_once() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5, 2, 0)
        await node.restart()
        client = await node.client()
        everything = [("t", wanted(0, 1)), ("t", wanted(2, 0)), ("t", wanted(1, 0)), ("t", wanted(0, 9))]
        expected = [(0, [1, 2, 3, 4]), (0, []), (0, [0, 1]), (CODE.OFFSET_OUT_OF_RANGE, [])]
        reads = count_pool_work(node)
        assert found(await ask(client, *everything)) == expected
        assert len(reads) == 1
        assert found(await ask(client, *everything)) == expected
        assert len(reads) == 1
        assert node.partition("t").log.read(1, 1 << 20, 5).cold is None

    play(scenario)


def count_pool_work(node: Node) -> list[object]:
    work: list[object] = []
    submit = node.broker.pool.submit

    def counted(run: Any, done: Any) -> None:
        work.append(run)
        submit(run, done)

    cast("Any", node.broker.pool).submit = counted
    return work


def test_answers_of_the_pool_keep_the_order_of_requests() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2, 2)
        await node.restart()
        client, peer = await node.client(), await node.peer()
        await append(client, index=1)
        body = encode_bytes(fetch_request(("t", wanted(0, 0))), BY_NAME)
        hot = encode_bytes(fetch_request(("t", wanted(1, 2))), BY_NAME)
        peer.send(
            *[
                header(1, BY_NAME, number, flexible=True) + (hot if number % 2 else body)
                for number in range(6)
            ]
        )
        assert [int.from_bytes((await peer.answer())[:4], "big") for _ in range(6)] == list(range(6))

    play(scenario)


def test_cold_parts_count_against_the_limit() -> None:
    """Each of them once came in full, whatever the limit on the whole answer was."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3, 3, 3)
        for limit, most in ((1, SIZE), (3 * SIZE, 3 * SIZE), (4 * SIZE, 4 * SIZE), (100 * SIZE, 9 * SIZE)):
            await node.restart()
            client = await node.client()
            partitions = [("t", wanted(index, 0, partition_max_bytes=3 * SIZE)) for index in range(3)]
            answers = await ask(client, *partitions, max_bytes=limit)
            assert 0 < sum(sizes(answers)) <= most
            assert offsets_in(answers[0].records)

    play(scenario)


def test_what_is_evicted_comes_through_the_pool_again() -> None:
    fs = EvictingFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3)
        reads = count_pool_work(node)
        assert offsets_in((await ask_one(client)).records) == [0, 1, 2]
        assert not reads
        fs.resident = False
        assert offsets_in((await ask_one(client)).records) == [0, 1, 2]
        assert len(reads) == 1

    play(scenario, fs=fs)


def test_a_client_that_leaves_during_a_cold_read() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        await node.restart()
        client, peer = await node.client(), await node.peer()
        body = encode_bytes(fetch_request(("t", wanted(0, 0))), BY_NAME)
        disk.hold(Kind.READ, "/t-0/")
        peer.send(header(1, BY_NAME, 1, flexible=True) + body)
        await a_while()
        peer.reset()
        await eventually(lambda: len(node.broker._server.connections) == 1)
        disk.let_go()
        assert offsets_in((await ask_one(client)).records) == [0, 1]

    play(scenario, fs=disk.fs)


def test_a_topic_deleted_during_a_cold_read() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 2)
        await node.restart()
        client, admin = await node.client(), await node.client()
        disk.hold(Kind.READ, "/t-0/")
        waiting = later(ask_one(client))
        await a_while()
        await delete_topic(admin, topic_id)
        disk.let_go()
        assert (await waiting).error_code == CODE.UNKNOWN_TOPIC_OR_PARTITION

    play(scenario, fs=disk.fs)


def test_a_flipped_bit_takes_its_partition_offline_and_is_never_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fs = FaultyFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3, 3)
        await node.stop()
        fs.flip_bit("/data/t-0/00000000000000000000.log", SIZE + 70)
        await node.start()
        client, waiter = await node.client(), await node.client()
        waiting = later(ask_one(waiter, 3, max_wait_ms=LONG_MS))
        await parked(node)
        (first, second) = await ask(client, ("t", wanted(0, 1)), ("t", wanted(1, 0)))
        assert (first.error_code, sizes([first])) == (CODE.KAFKA_STORAGE_ERROR, [0])
        assert offsets_in(second.records) == [0, 1, 2]
        assert (await waiting).error_code == CODE.KAFKA_STORAGE_ERROR
        for offset in (0, 1, 2):
            assert (await ask_one(client, offset)).error_code == CODE.KAFKA_STORAGE_ERROR
        response = await client.call(
            produce_request({("t", 0): make_batch(), ("t", 1): make_batch()}), version=9
        )
        codes = [answer.error_code for answer in response.responses[0].partition_responses]
        assert codes == [CODE.KAFKA_STORAGE_ERROR, 0]

    play(scenario, fs=fs)
    assert sum("its data is damaged" in record.getMessage() for record in caplog.records) == 1


def test_a_disk_that_cannot_be_read_goes_offline() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2, 2)
        await node.restart()
        client = await node.client()
        disk.fail(Kind.READ, "/t-0/", errno.EIO)
        assert (await ask_one(client)).error_code == CODE.KAFKA_STORAGE_ERROR
        disk.heal()
        answers = await ask(client, ("t", wanted(0, 0)), ("t", wanted(1, 0)))
        assert [answer.error_code for answer in answers] == [CODE.KAFKA_STORAGE_ERROR] * 2

    play(scenario, fs=disk.fs)


# -- files --------------------------------------------------------------------------------------------------------


def test_regions_of_real_files_between_bytes(tmp_path: Path) -> None:
    """sendfile on a real file system: several partitions and segments, larger than a socket takes at once."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2, configs={"segment.bytes": "3000000"})
        batches = [bytes(make_batch(3, size=300_000)) for _ in range(8)]
        for batch in batches:
            for index in (0, 1):
                await client.produce("t", index, batch)
        offsets = [0, 0]
        received = 0
        while offsets != [24, 24]:
            answers = await ask(
                client,
                *[("t", wanted(index, offsets[index], partition_max_bytes=8_000_000)) for index in (0, 1)],
            )
            for answer in answers:
                for read in iter_batches(cast("memoryview", answer.records)):
                    assert bytes(read)[21:] == batches[0][21:]
                    offsets[answer.partition_index] += 3
                    received += len(read)
        assert received == 16 * len(batches[0])
        assert len(os.listdir(node.partition("t").log.directory)) > 4

    play(scenario, f"log.dirs={tmp_path}", fs=RealFileSystem())


def test_a_deleted_topic_is_still_sent_to_who_reads_it(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        client, slow = await node.client(), await node.peer()
        topic_id = (await client.create_topic("t", configs={"file.delete.delay.ms": "0"})).topic_id
        batch = make_batch(size=900_000)
        for _ in range(20):
            await client.produce("t", 0, bytes(batch))
        body = encode_bytes(fetch_request(("t", wanted(0, 0, partition_max_bytes=1 << 30))), BY_NAME)
        slow.send(header(1, BY_NAME, 1, flexible=True) + body)  # and does not receive yet
        await a_while()
        await delete_topic(client, topic_id)
        assert len(await slow.answer()) > 20 * len(batch)

    play(scenario, f"log.dirs={tmp_path}", fs=RealFileSystem())
