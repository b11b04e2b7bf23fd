"""Goal: what is not in memory, or not yet checked, goes through the pool, and the loop serves on meanwhile.

Method: a broker within the test's process, whose pool reads are counted or held up, on files whose pages were
dropped from the page cache. That is what "cold" means here; the disk's own cache is out of reach.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from logd.clients.client import Client
from protocol.record_builder import RecordBatchBuilder
from protocol.types import TopicPartition
from storage.cold_read import ColdRead
from tests.reliability.inner_broker import InnerBroker
from tests.reliability.ledger import Ledger
from tests.reliability.page_cache import evict, is_cold

OLD = TopicPartition("old", 0)
NEW = TopicPartition("new", 0)
BATCHES = 120
BATCH_BYTES = 50_000


class PoolReads:
    """Counts the reads that go through the pool, and can hold them up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        read = ColdRead.run

        def run(plan: ColdRead) -> None:
            self.count += 1
            self.begun.set()
            assert self.may_go_on.wait(60)
            read(plan)

        monkeypatch.setattr(ColdRead, "run", run)


async def write(address: tuple[str, int], ledger: Ledger) -> None:
    async with await Client.connect(*address) as client:
        await client.create_topic(OLD.topic, configs={"internal.segment.bytes": "1000000"})
        await client.create_topic(NEW.topic)
        for number in range(BATCHES):
            await produce(client, OLD, number.to_bytes(4, "big") * (BATCH_BYTES // 4), ledger)


async def produce(client: Client, partition: TopicPartition, value: bytes, ledger: Ledger) -> None:
    builder = RecordBatchBuilder()
    builder.append(value)
    batch = bytes(builder.build())
    ledger.send(partition, batch)
    answer = await client.produce(*partition, batch)
    assert answer is not None
    ledger.acknowledge(partition, answer.base_offset, batch)


async def read_back(address: tuple[str, int], ledger: Ledger) -> None:
    async with await Client.connect(*address) as client:
        await ledger.audit(client)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Of a data directory in which a broker wrote and was stopped cleanly."""
    ledger = Ledger()
    with InnerBroker(tmp_path) as broker:
        asyncio.run(write(broker.address, ledger))
    return ledger


def test_what_was_appended_is_served_without_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = PoolReads(monkeypatch)
    ledger = Ledger()
    with InnerBroker(tmp_path) as broker:
        asyncio.run(write(broker.address, ledger))
        asyncio.run(read_back(broker.address, ledger))
    assert reads.count == 0


def test_first_read_after_a_start_is_checked_in_the_pool_the_second_is_direct(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = PoolReads(monkeypatch)
    with InnerBroker(tmp_path) as broker:
        asyncio.run(read_back(broker.address, ledger))
        first = reads.count
        asyncio.run(read_back(broker.address, ledger))
    assert first > 0
    assert reads.count == first


def test_what_fell_out_of_memory_is_read_in_the_pool(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = sorted((tmp_path / "old-0").glob("*.log"))
    assert len(segments) > 3
    reads = PoolReads(monkeypatch)
    with InnerBroker(tmp_path) as broker:
        asyncio.run(read_back(broker.address, ledger))
        asyncio.run(read_back(broker.address, ledger))
        warm = reads.count
        evict(tmp_path)
        if not all(map(is_cold, segments)):
            pytest.skip(f"pages of files in {tmp_path} stay in memory")
        asyncio.run(read_back(broker.address, ledger))
        cold = reads.count - warm
        asyncio.run(read_back(broker.address, ledger))
    assert cold >= len(segments)
    assert reads.count == warm + cold, "what is in memory again is read directly again"
    print(
        f"pool reads: first {warm}, cold {cold}, {BATCHES * BATCH_BYTES >> 20} MiB in {len(segments)} segments"
    )


def test_the_loop_serves_others_while_the_disk_is_slow(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool's read does not end before fifty requests of each kind of others are answered."""
    reads = PoolReads(monkeypatch)

    async def run() -> None:
        async with (
            await Client.connect(*broker.address) as reader,
            await Client.connect(*broker.address) as other,
        ):
            reads.may_go_on.clear()
            slow = asyncio.create_task(reader.fetch(*OLD, 0))
            await asyncio.to_thread(reads.begun.wait, 30)
            for number in range(50):
                await other.metadata()
                await produce(other, NEW, b"%d" % number, ledger)
                answer = await other.fetch(*NEW, number)
                assert answer.high_watermark == number + 1
            assert not slow.done()
            reads.may_go_on.set()
            assert (await slow).records
            await ledger.audit(other)

    with InnerBroker(tmp_path) as broker:
        asyncio.run(run())


def test_latency_of_others_during_cold_reads(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ledger: Ledger
) -> None:
    """A figure to look at, with a bound that only a blocked loop can break.

    Another broker, which nobody reads from, is written to in turn: the machine is as busy for the one as for the other.
    """

    async def produce_in_turn(clients: Sequence[Client], stop: asyncio.Event) -> list[list[float]]:
        """How long each took, by the client."""
        times: list[list[float]] = [[] for _ in clients]
        while not stop.is_set() or len(times[0]) < 50:
            for client, taken in zip(clients, times, strict=True):
                started = time.perf_counter()
                await produce(client, NEW, b"%d" % time.perf_counter_ns(), Ledger())
                taken.append(time.perf_counter() - started)
            await asyncio.sleep(0.001)
        return times

    async def replay(client: Client, rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.to_thread(evict, tmp_path / "old-0")
            offset = 0
            while offset < BATCHES:
                answer = await client.fetch(*OLD, offset, max_bytes=200_000)
                assert isinstance(answer.records, memoryview)
                offset += max(len(answer.records) // BATCH_BYTES, 1)

    async def run() -> list[list[float]]:
        async with (
            await Client.connect(*broker.address) as reader,
            await Client.connect(*broker.address) as other,
            await Client.connect(*idle_broker.address) as elsewhere,
        ):
            await elsewhere.create_topic(NEW.topic)
            stop = asyncio.Event()
            during = asyncio.create_task(produce_in_turn((other, elsewhere), stop))
            await replay(reader, 5)
            stop.set()
            return await during

    with InnerBroker(tmp_path) as broker, InnerBroker(tmp_path_factory.mktemp("idle")) as idle_broker:
        during, elsewhere = asyncio.run(run())
    print(
        f"produce median: elsewhere {median(elsewhere) * 1e3:.2f} ms, beside cold reads {median(during) * 1e3:.2f} ms, "
        f"max {max(during) * 1e3:.1f} ms of {len(during)}"
    )
    assert median(during) < 20 * median(elsewhere)
