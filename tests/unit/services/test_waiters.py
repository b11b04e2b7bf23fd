"""Goal: a request that waits is answered by what it waits for, or not at all, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from services.orders.rest.waiters import Moved, Waiters
from services.orders.schemas import Order, OrderState

CREATED = Order("1", "ann", OrderState.CREATED, "pen", 2, Decimal("1.50"), 1000, 1)
FAILED = Order("1", "ann", OrderState.FAILED, "pen", 2, Decimal("1.50"), 1000, 2, ("x",))


def is_decided(order: Order) -> bool:
    return order.state is not OrderState.CREATED


def test_it_waits_for_what_satisfies() -> None:
    async def scenario() -> None:
        waiters = Waiters()
        waiting = [asyncio.create_task(waiters.wait("1", 0, is_decided, 5)) for _ in range(3)]
        await asyncio.sleep(0)
        waiters.announce([CREATED])
        await asyncio.sleep(0)
        assert len(waiters) == 3
        waiters.announce([CREATED, FAILED])
        assert await asyncio.gather(*waiting) == [FAILED] * 3
        assert len(waiters) == 0

    asyncio.run(scenario())


def test_a_time_out_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        waiters = Waiters()
        for timeout_s in (0, -1, 0.01):
            with pytest.raises(TimeoutError):
                await waiters.wait("1", 0, is_decided, timeout_s)
            assert len(waiters) == 0

    asyncio.run(scenario())


def test_who_waits_for_a_partition_that_moves_is_sent_away() -> None:
    async def scenario() -> None:
        waiters = Waiters()
        here = asyncio.create_task(waiters.wait("1", 0, is_decided, 5))
        there = asyncio.create_task(waiters.wait("2", 1, is_decided, 5))
        await asyncio.sleep(0)
        waiters.moved(frozenset({1, 2}))
        with pytest.raises(Moved):
            await there
        assert len(waiters) == 1
        waiters.moved(None)
        with pytest.raises(Moved):
            await here

    asyncio.run(scenario())


def test_a_request_that_is_given_up_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        waiters = Waiters()
        waiting = asyncio.create_task(waiters.wait("1", 0, is_decided, 5))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(waiters) == 0
        waiters.announce([FAILED])

    asyncio.run(scenario())
