"""Producer ids from blocks: no id twice, one allocation for all who wait, and a restart never goes back."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from logd.producer_ids import ProducerIds
from protocol.errors import BrokerError, ErrorCode
from replication.metadata_commands import AllocateProducerIds, ProducerIdBlock
from storage.fs.faulty import FaultyFileSystem, Loss
from tests.support.metadata_store import NODE_ID, start_store


class Blocks:
    """A store that hands out blocks of three when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def submit(self, command: Any) -> ProducerIdBlock:
        assert command == AllocateProducerIds(NODE_ID)
        self.asked += 1
        block = self.asked
        await self.gate.wait()
        if self.fails:
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR)
        return ProducerIdBlock(block * 100, 3)


def ids(blocks: Blocks) -> ProducerIds:
    return ProducerIds(blocks, NODE_ID)  # type: ignore[arg-type]


def test_ids_come_in_order_and_blocks_when_they_run_out() -> None:
    async def scenario() -> None:
        blocks = Blocks()
        producer_ids = ids(blocks)
        assert producer_ids.next_now() is None
        assert [await producer_ids.next() for _ in range(5)] == [100, 101, 102, 200, 201]
        assert producer_ids.next_now() == 202
        assert producer_ids.next_now() is None
        assert blocks.asked == 2

    asyncio.run(scenario())


def test_who_cannot_wait_has_a_block_fetched() -> None:
    async def scenario() -> None:
        blocks = Blocks()
        producer_ids = ids(blocks)
        for _ in range(3):
            producer_ids.fetch()
        assert not producer_ids.has_next
        await asyncio.sleep(0.001)
        assert (blocks.asked, producer_ids.has_next) == (1, True)
        producer_ids.fetch()
        await asyncio.sleep(0.001)
        assert blocks.asked == 1
        assert producer_ids.next_now() == 100

    asyncio.run(scenario())


def test_a_block_that_nobody_waits_for_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        blocks = Blocks()
        blocks.fails = True
        producer_ids = ids(blocks)
        producer_ids.fetch()
        await asyncio.sleep(0.001)
        blocks.fails = False
        producer_ids.fetch()
        await asyncio.sleep(0.001)
        assert producer_ids.next_now() == 200

    asyncio.run(scenario())
    gc.collect()
    assert not caplog.records


def test_who_waits_for_a_stock_finds_an_id_at_once() -> None:
    async def scenario() -> None:
        producer_ids = ids(Blocks())

        async def one() -> int | None:
            await producer_ids.stock()
            return producer_ids.next_now()

        taken = await asyncio.gather(*(one() for _ in range(7)))
        assert None not in taken and len(set(taken)) == 7

    asyncio.run(scenario())


def test_all_who_wait_share_allocations() -> None:
    async def scenario() -> None:
        blocks = Blocks()
        blocks.gate.clear()
        producer_ids = ids(blocks)
        tasks = [asyncio.ensure_future(producer_ids.next()) for _ in range(7)]
        await asyncio.sleep(0.001)
        assert blocks.asked == 1
        blocks.gate.set()
        assert sorted(await asyncio.gather(*tasks)) == [100, 101, 102, 200, 201, 202, 300]
        assert blocks.asked == 3

    asyncio.run(scenario())


def test_one_who_goes_away_does_not_take_the_block_along() -> None:
    async def scenario() -> None:
        blocks = Blocks()
        blocks.gate.clear()
        producer_ids = ids(blocks)
        leaving, staying = (asyncio.ensure_future(producer_ids.next()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        blocks.gate.set()
        assert await staying == 100

    asyncio.run(scenario())


def test_a_failure_reaches_everyone_and_the_next_try_is_new() -> None:
    async def scenario() -> None:
        blocks = Blocks()
        blocks.fails = True
        producer_ids = ids(blocks)
        outcomes = await asyncio.gather(*(producer_ids.next() for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [BrokerError] * 3
        blocks.fails = False
        assert await producer_ids.next() >= 200

    asyncio.run(scenario())


@pytest.mark.parametrize("loss", Loss)
def test_no_id_comes_back_after_a_crash(loss: Loss) -> None:
    async def scenario() -> None:
        fs = FaultyFileSystem(seed=7)
        fs.makedirs("/data")
        fs.sync_dir("/")
        given: list[int] = []
        for start in range(4):
            store = await start_store(fs, seed=start)
            producer_ids = ProducerIds(store, NODE_ID)
            given += [await producer_ids.next() for _ in range(3)]
            fs = fs.crash(loss)
        assert len(set(given)) == len(given)

    asyncio.run(scenario())
