"""Requests that repeat are answered as others are, byte for byte; over real sockets.

Method: one client asks for what is there and is learned from; then it and a client that comes new ask the same. What
they are told must be the same bytes, and whether the short way was taken is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logd.handlers import fetch_short_way
from protocol.codec import decode, encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from tests.support import partition_transactions as transactions
from tests.support.logs import EvictingFileSystem, make_batch
from tests.support.node import (
    LONG_MS,
    Node,
    RawPeer,
    fetch_request,
    header,
    play,
    wanted,
)
from tests.support.node_talk import append, delete_topic, parked, topic_with

SIZE = len(make_batch())
LIMIT = 1024
VERSIONS = range(4, 19)
FLEXIBLE = 12
BY_ID = 13


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The offsets from which the short way answered, or waits for more."""
    offsets: list[int] = []
    handle_alike = fetch_short_way.handle_alike

    def counted(broker: Any, connection: Any, shape: Any, correlation_id: int, offset: int) -> bool:
        is_done = handle_alike(broker, connection, shape, correlation_id, offset)
        if is_done:
            offsets.append(offset)
        return is_done

    monkeypatch.setattr(fetch_short_way, "handle_alike", counted)
    yield offsets


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each wait of the short way that ended, whether its answer took that way, too."""
    ways: list[bool] = []
    answer_now = fetch_short_way._answer_now

    def noted(*arguments: Any) -> Any:
        chunks = answer_now(*arguments)
        ways.append(chunks is not None)
        return chunks

    monkeypatch.setattr(fetch_short_way, "_answer_now", noted)
    yield ways


def framed(request: FetchRequest, version: int, number: int = 1) -> bytes:
    return header(1, version, number, flexible=version >= FLEXIBLE) + encode_bytes(request, version)


def one(topic: str | bytes, offset: int, **fields: Any) -> FetchRequest:
    of_partition = ("current_leader_epoch", "last_fetched_epoch")
    partition = {name: fields.pop(name) for name in of_partition if name in fields}
    return fetch_request((topic, wanted(0, offset, **partition)), **fields)


async def asked(peer: RawPeer, request: FetchRequest, version: int) -> bytes:
    peer.send(framed(request, version))
    return await peer.answer()


async def both(node: Node, first: FetchRequest, then: FetchRequest, version: int) -> bytes:
    """Ask `then` of a client that was learned from at `first`, and of a new one; return what both are told."""
    learned, new = await node.peer(), await node.peer()
    await asked(learned, first, version)
    answer = await asked(learned, then, version)
    assert answer == await asked(new, then, version)
    await learned.close()
    await new.close()
    return answer


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("isolation", [0, 1])
def test_the_answer_is_the_same_in_every_version(version: int, isolation: int, taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 5)
        node.partition("t").log.advance_log_start_offset(1)
        topic: str | bytes = topic_id if version >= BY_ID else "t"
        requests = [one(topic, offset, isolation_level=isolation) for offset in (2, 3)]
        answer = await both(node, *requests, version)
        assert len(answer) > 2 * SIZE
        assert taken == ([3] if version >= FLEXIBLE else [])

    play(scenario)


@pytest.mark.parametrize(
    ("offset", "fields"),
    [
        (5, {}),  # nothing is there
        (6, {}),  # out of range
        (0, {}),  # deleted
        (2, {"min_bytes": 3 * SIZE + 1}),  # too little is there
        (2, {"current_leader_epoch": 7}),  # unknown
    ],
)
def test_what_is_not_answered_with_records_goes_the_ordinary_way(
    offset: int, fields: dict[str, Any], taken: list[int]
) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        node.partition("t").log.advance_log_start_offset(1)
        await both(node, one("t", 2, **fields), one("t", offset, **fields), 12)
        assert taken == []

    play(scenario)


@pytest.mark.parametrize("limit", ["max_bytes", "partition_max_bytes"])
@pytest.mark.parametrize(("bytes_max", "batches"), [(0, 1), (SIZE - 1, 1), (2 * SIZE, 2), (-1, 1)])
def test_the_limits_on_bytes_hold(limit: str, bytes_max: int, batches: int, taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 5)
        requests = [
            fetch_request(("t", wanted(0, offset, partition_max_bytes=bytes_max)))
            if limit == "partition_max_bytes"
            else one("t", offset, max_bytes=bytes_max)
            for offset in (0, 1)
        ]
        answer = await both(node, *requests, 12)
        assert batches * SIZE < len(answer) < (batches + 1) * SIZE
        assert taken == [1]

    play(scenario)


def test_a_request_that_waits_and_the_next_ones(taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        peer = await node.peer()
        for offset in (0, 1):
            await asked(peer, one("t", offset, max_wait_ms=LONG_MS), 12)
        peer.send(*[framed(one("t", offset, max_wait_ms=LONG_MS), 12, offset) for offset in (2, 1)])
        await parked(node)
        await append(client)
        answers = [await peer.answer() for _ in range(2)]
        assert [answer[:4] for answer in answers] == [
            b"\0\0\0\2",
            b"\0\0\0\1",
        ]  # in order, whatever was done first
        assert taken == [1, 2, 1]

    play(scenario)


def test_other_requests_between_are_answered_for_themselves(taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3, 3)
        peer, new = await node.peer(), await node.peer()
        session = one("t", 0, session_epoch=0)
        two = fetch_request(("t", wanted(0, 0)), ("t", wanted(1, 1)))
        other = fetch_request(("t", wanted(1, 2)))
        for request in (one("t", 0), two, one("t", 1), other, one("t", 1), one("t", 2)):
            assert await asked(peer, request, 12) == await asked(new, request, 12)
        assert taken == [1, 1, 2, 2]
        await asked(peer, session, 12)
        await asked(peer, session, 12)
        assert taken == [1, 1, 2, 2]

    play(scenario)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (12, {"last_fetched_epoch": 0}),
        (12, {"replica_id": 2}),
        (15, {"replica_state": FetchRequest.ReplicaState(replica_id=2, replica_epoch=0)}),
    ],
)
def test_who_asks_more_than_for_records_goes_the_ordinary_way(
    version: int, fields: dict[str, Any], taken: list[int]
) -> None:
    """Whether histories part, or as a follower, who is told of more than a consumer."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 3)
        topic = topic_id if version >= BY_ID else "t"
        await both(node, one(topic, 0, **fields), one(topic, 1, **fields), version)
        assert taken == []

    play(scenario)


def test_a_topic_that_is_deleted_and_made_again(taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        old = await topic_with(client, 2)
        by_id, by_name = await node.peer(), await node.peer()
        for offset in (0, 1):
            await asked(by_id, one(old, offset), 13)
            await asked(by_name, one("t", offset), 12)
        assert taken == [1, 1]
        await delete_topic(client, old)
        new = await topic_with(client, 2)
        assert await asked(by_id, one(old, 1), 13) == await asked(await node.peer(), one(old, 1), 13)
        assert taken == [1, 1]
        assert await asked(by_name, one("t", 1), 12) == await asked(await node.peer(), one("t", 1), 12)
        assert taken == [1, 1, 1]
        assert new != old

    play(scenario)


def test_a_partition_that_is_led_elsewhere(taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        peer = await node.peer()
        await asked(peer, one("t", 0), 12)
        node.partition("t").resign(leader_id=2, leader_epoch=6, partition_epoch=2)
        assert await asked(peer, one("t", 1), 12) == await asked(await node.peer(), one("t", 1), 12)
        assert taken == []

    play(scenario)


def test_what_an_open_or_aborted_transaction_hides(taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        partition = node.partition("t")
        transactions.begin_transaction(partition, 7, 2)
        for isolation, offset, way in ((0, 1, [1]), (1, 1, [1]), (1, 2, [])):
            requests = [one("t", at, isolation_level=isolation) for at in (0, offset)]
            await both(node, *requests, 12)
            assert taken == way
            taken.clear()
        transactions.end_transaction(partition, 7, committed=False)
        for isolation, way in ((0, [1]), (1, [])):
            await both(node, *[one("t", at, isolation_level=isolation) for at in (0, 1)], 12)
            assert taken == way
            taken.clear()

    play(scenario)


def test_what_lies_on_disk_only_comes_through_the_pool(taken: list[int]) -> None:
    fs = EvictingFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3)
        peer = await node.peer()
        await asked(peer, one("t", 0), 12)
        fs.resident = False
        peer.send(framed(one("t", 1), 12))
        answer = await peer.answer()
        fs.resident = True
        assert answer == await asked(await node.peer(), one("t", 1), 12)
        assert taken == []

    play(scenario, fs=fs)


def test_a_broker_with_an_authoriser_asks_it_every_time(taken: list[int]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 3)
        peer = await node.peer()
        await asked(peer, one("t", 0), 12)
        node.broker.authorise = lambda *_: False
        refused = await asked(peer, one("t", 1), 12)
        assert refused == await asked(await node.peer(), one("t", 1), 12)
        assert len(refused) < SIZE
        assert taken == []

    play(scenario)


# -- waiting -----------------------------------------------------------------------------------------------------


async def both_wait(
    node: Node, topic: str | bytes, version: int, event: Callable[[], Any], end: int = 2, **fields: Any
) -> bytes:
    """Have a client that was learned from and a new one wait at the end of what may be read, until `event`; return what
    both are told.
    """
    learned, new = await node.peer(), await node.peer()
    fields = {"max_wait_ms": LONG_MS, **fields}
    await asked(learned, one(topic, 0, **fields), version)
    request = one(topic, end, **fields)
    learned.send(framed(request, version))
    await parked(node)
    new.send(framed(request, version))
    await parked(node, 2)
    awaitable = event()
    if awaitable is not None:
        await awaitable
    answer = await learned.answer()
    assert answer == await new.answer()
    assert len(node.broker.delayed) == 0
    return answer


@pytest.mark.parametrize("version", range(FLEXIBLE, 19))
@pytest.mark.parametrize("isolation", [0, 1])
def test_what_was_waited_for_is_answered_the_same(
    version: int, isolation: int, taken: list[int], woken: list[bool]
) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 2)
        topic: str | bytes = topic_id if version >= BY_ID else "t"
        fields = {"isolation_level": isolation}
        answer = await both_wait(node, topic, version, lambda: append(client), **fields)
        assert len(answer) > SIZE
        assert (taken, woken) == ([2], [True])

    play(scenario)


def test_a_wait_for_several_batches(taken: list[int], woken: list[bool]) -> None:

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)

        async def append_twice() -> None:
            await append(client)
            assert len(node.broker.delayed) == 2
            await append(client)

        answer = await both_wait(node, "t", 12, append_twice, min_bytes=SIZE + 1)
        assert len(answer) > 2 * SIZE
        assert (taken, woken) == ([2], [True])

    play(scenario)


@pytest.mark.parametrize("limits", [{"max_bytes": LIMIT}, {}], ids=["of the request", "of the broker"])
def test_nobody_waits_for_more_than_may_be_answered(
    limits: dict[str, int], taken: list[int], woken: list[bool]
) -> None:
    enough = -(-LIMIT // SIZE)

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, enough)

        async def append_enough() -> None:
            for _ in range(enough):
                await append(client)

        await both_wait(node, "t", 12, append_enough, enough, min_bytes=1 << 20, **limits)
        assert (taken, woken) == ([enough], [True])

    play(scenario, f"fetch.max.bytes={LIMIT}")


def test_a_wait_that_runs_into_its_time_is_answered_with_nothing(taken: list[int], woken: list[bool]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        answer = await both_wait(node, "t", 12, node.broker.delayed.expire_fetches)
        assert len(answer) < SIZE
        assert (taken, woken) == ([2], [False])

    play(scenario)


def test_the_time_is_the_requests_own(woken: list[bool]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        peer = await node.peer()
        await asked(peer, one("t", 0, max_wait_ms=1), 12)
        assert len(await asked(peer, one("t", 1, max_wait_ms=1), 12)) < SIZE
        assert woken == [False]

    play(scenario)


def test_a_wait_that_ends_with_an_error(taken: list[int], woken: list[bool]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        partition = node.partition("t")

        def resign() -> None:
            partition.resign(leader_id=2, leader_epoch=6, partition_epoch=2)
            node.broker.delayed.partition_moved(partition)

        answer = await both_wait(node, "t", 12, resign)
        assert len(answer) < SIZE
        assert (taken, woken) == ([2], [False])

    play(scenario)


def test_a_wait_on_a_topic_that_is_deleted(woken: list[bool]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = await topic_with(client, 2)
        await both_wait(node, topic_id, 13, lambda: delete_topic(client, topic_id))
        assert woken == [False]

    play(scenario)


def test_what_was_waited_for_was_aborted(woken: list[bool]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        partition = node.partition("t")
        batch = transactions.begin_transaction(partition, 7, 2)

        def end() -> None:
            transactions.end_transaction(partition, 7, committed=False)
            node.broker.delayed.partition_moved(partition)

        answer = await both_wait(node, "t", 12, end, isolation_level=1)
        assert len(answer) > len(batch)
        assert woken == [False]

    play(scenario)


def test_what_was_waited_for_comes_from_the_disk(woken: list[bool]) -> None:
    fs = EvictingFileSystem()

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)

        async def append_and_evict() -> None:
            fs.resident = False
            await append(client)

        assert len(await both_wait(node, "t", 12, append_and_evict)) > SIZE
        assert woken == [False]

    play(scenario, fs=fs)


def test_nothing_is_kept_for_a_client_that_left(woken: list[bool]) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        peer = await node.peer()
        await asked(peer, one("t", 0, max_wait_ms=LONG_MS), 12)
        peer.send(framed(one("t", 1, max_wait_ms=LONG_MS), 12))
        await parked(node)
        await peer.close()
        await parked(node, 0)
        await append(client)
        assert woken == []

    play(scenario)


def test_a_bug_is_answered_as_one_of_the_ordinary_way_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        learned, new = await node.peer(), await node.peer()
        await asked(learned, one("t", 0), 12)
        monkeypatch.setattr("storage.log.Log.read", lambda *_, **__: 1 / 0)
        answer = await asked(learned, one("t", 1), 12)
        assert await learned.at_end()
        assert decode(FetchResponse, 12, answer, 5).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
        assert answer == await asked(new, one("t", 1), 12)
        assert await new.at_end()

    play(scenario)
    said = [record.getMessage() for record in caplog.records if record.name == "logd.dispatch"]
    assert len(said) == 2 and said[0] == said[1]


def test_a_bug_met_when_the_wait_is_over_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        peer = await node.peer()
        await asked(peer, one("t", 0, max_wait_ms=LONG_MS), 12)
        peer.send(framed(one("t", 1, max_wait_ms=LONG_MS), 12))
        await parked(node)
        monkeypatch.setattr(fetch_short_way, "_answer_now", lambda *_: 1 / 0)
        await append(client)
        assert await peer.at_end()

    play(scenario)
