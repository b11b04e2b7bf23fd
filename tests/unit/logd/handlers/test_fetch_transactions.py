"""What consumers see of transactions: the last stable offset holds them back, aborted ones are named to them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support import partition_transactions as transactions
from tests.support.logs import make_batch
from tests.support.node import (
    LONG_MS,
    Node,
    a_while,
    offsets_in,
    play,
)
from tests.support.node_talk import (
    append,
    ask_one,
    parked,
    topic_with,
)
from tests.support.partition_transactions import write_in_transaction

COMMITTED = 1


def add_transaction(node: Node, producer_id: int, count: int) -> None:
    transactions.begin_transaction(node.partition("t"), producer_id, count)


def end_transaction(node: Node, producer_id: int, *, committed: bool) -> None:
    partition = node.partition("t")
    transactions.end_transaction(partition, producer_id, committed=committed)
    node.broker.delayed.partition_moved(partition)


def test_read_committed_waits_for_the_outcome() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 1)
        waiting = asyncio.create_task(ask_one(client, 1, isolation_level=COMMITTED, max_wait_ms=LONG_MS))
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
            assert answer.aborted_transactions == (None if isolation == 0 else [])
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
        write_in_transaction(node.partition("t"), batch)
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
        waiting = asyncio.create_task(ask_one(client, 1, isolation_level=COMMITTED, max_wait_ms=LONG_MS))
        await parked(node)
        follower_has(2)
        await a_while()
        assert not waiting.done()
        follower_has(3)
        answer = await waiting
        assert offsets_in(answer.records) == [1, 2]
        assert answer.aborted_transactions is not None and len(answer.aborted_transactions) == 1

    play(scenario)
