"""What a consumer gets, when it gets it, and what it is told instead; over real sockets.

Batches of one record with values of 20 bytes are used where bytes are counted: `SIZE` is one of them.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from protocol.codec import encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.fetch import FetchRequest
from tests.support.logs import make_batch
from tests.support.node import (
    LONG_MS,
    Node,
    a_while,
    fetch_request,
    fetched,
    header,
    offsets_in,
    play,
    wanted,
)
from tests.support.node_talk import (
    BY_NAME,
    UNKNOWN_ID,
    Answer,
    append,
    ask,
    ask_one,
    delete_topic,
    found,
    parked,
    sizes,
    topic_with,
)

CODE = ErrorCode
BY_ID = 17
NEWEST = 18
VERSIONS = range(4, NEWEST + 1)
SIZE = len(make_batch())


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
        node.partition("t").log.advance_log_start_offset(2)
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
        partition.log.advance_log_start_offset(2)
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
        waiting = asyncio.create_task(
            ask(client, ("t", wanted(0, 1)), ("t", wanted(1, 1)), max_wait_ms=LONG_MS)
        )
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
        waiting = asyncio.create_task(
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
        answer = await ask_one(
            client, 1, max_wait_ms=LONG_MS, min_bytes=1 << 20, max_bytes=1
        )  # no more would fit
        assert offsets_in(answer.records) == [1]
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
        waiting = asyncio.create_task(ask_one(client, 2, max_wait_ms=LONG_MS))
        follower = asyncio.create_task(ask_one(other, 2, max_wait_ms=LONG_MS, version=9))
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
        waiting = asyncio.create_task(
            ask(client, (topic, wanted(0, 3)), version=version, max_wait_ms=LONG_MS, **who)
        )
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
        by_id = asyncio.create_task(client.call(request, version=BY_ID))
        await parked(node)
        await delete_topic(admin, topic_id)
        if again:
            await topic_with(admin, 0)
        ((code, _),) = found(fetched(await by_id))
        assert code in (CODE.UNKNOWN_TOPIC_OR_PARTITION, CODE.INCONSISTENT_TOPIC_ID)
        ((code, _),) = found(fetched(await client.call(request, version=BY_ID)))
        assert code == CODE.UNKNOWN_TOPIC_ID

    play(scenario)


def test_a_partition_that_another_node_leads_from_now_on() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        waiting = asyncio.create_task(ask_one(client, 1, max_wait_ms=LONG_MS))
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
        waiting = asyncio.create_task(ask_one(client, 1, max_wait_ms=LONG_MS))
        await parked(node)

        def fail(*_: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr("logd.handlers.fetch_reads.Fetch._read", fail)
        await append(other)
        with pytest.raises(ConnectionError):
            await waiting

    play(scenario)
    (record,) = [record for record in caplog.records if record.name == "logd.dispatch"]
    assert record.exc_info


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

        waiting = asyncio.create_task(client.call(incremental(1, max_wait_ms=LONG_MS), version=version))
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
