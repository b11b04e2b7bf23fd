"""Goal: SIGTERM answers what is in hand, makes all durable, vouches for it, and takes no longer than it must.

Method: a broker process under load is told to stop, again and again; and a broker within the test's process whose
flush is held up while it stops. How long a stop takes is printed: the disk has its say in it.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path

import pytest

from logd.clients.client import Client
from protocol.errors import BrokerError
from protocol.record_builder import RecordBatchBuilder
from protocol.types import TopicPartition
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN
from storage.flush import FlushPlan
from tests.reliability.inner_broker import InnerBroker
from tests.reliability.killable import KillableBroker
from tests.reliability.ledger import Ledger
from tests.reliability.producers import SteadyProducer
from tests.reliability.seeds import seed_of_run
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port

PLAIN, FLUSHED, QUIET = "plain", "flushed", "quiet"
LONG_MS = 600_000
"""Longer than anybody waits for a broker to stop: who stops in time has not waited for this."""


async def set_up(address: tuple[str, int]) -> None:
    async with await Client.connect(*address) as client:
        await client.create_topic(PLAIN, partitions=2, configs={"internal.segment.bytes": "200000"})
        await client.create_topic(FLUSHED, configs={"flush.messages": "1"})
        await client.create_topic(QUIET)


def producers(address: tuple[str, int], ledger: Ledger, seed: int) -> list[SteadyProducer]:
    return [
        SteadyProducer(
            address, ledger, partition, source=random.Random(f"{seed} {number}"), idempotent=idempotent
        )
        for number, (partition, idempotent) in enumerate(
            [
                (TopicPartition(PLAIN, 0), False),
                (TopicPartition(PLAIN, 1), True),
                (TopicPartition(FLUSHED, 0), True),
            ]
        )
    ]


async def stop_under_load(broker: KillableBroker, ledger: Ledger, seed: int) -> float:
    """Stop the broker while it is busy and a fetch is parked; return how many seconds it took."""
    address = ("127.0.0.1", broker.port)
    stop = asyncio.Event()
    running = [asyncio.create_task(producer.run(stop)) for producer in producers(address, ledger, seed)]
    try:
        async with await Client.connect(*address) as client:
            parked = asyncio.create_task(client.fetch(QUIET, 0, 0, max_wait_ms=LONG_MS))
            await asyncio.sleep(0.5)
            async with await Client.connect(*address) as other:
                await other.metadata()  # who is answered now came after the fetch: the broker has that, too
            assert not parked.done()
            started = time.monotonic()
            code = await asyncio.to_thread(broker.stop)
            elapsed = time.monotonic() - started
            assert code == 0, broker.output()[-2000:]
            answer = await asyncio.wait_for(parked, PATIENCE_S)
            assert not answer.records and answer.high_watermark == 0
        assert (broker.data_dir / CLEAN_SHUTDOWN).exists()
        await asyncio.to_thread(broker.restart)
        assert not (broker.data_dir / CLEAN_SHUTDOWN).exists()
    finally:
        stop.set()
    await asyncio.gather(*running)
    return elapsed


def test_sigterm_under_load(tmp_path: Path, written: list[Path]) -> None:
    seed = seed_of_run()
    port = free_port()
    ledger = Ledger()
    broker = KillableBroker(tmp_path, port)

    async def audit() -> int:
        async with await Client.connect("127.0.0.1", port) as client:
            return await ledger.audit(client)

    with broker:
        asyncio.run(set_up(("127.0.0.1", port)))
        seconds = [asyncio.run(stop_under_load(broker, ledger, seed + turn)) for turn in range(4)]
        batches = asyncio.run(audit())
        output = broker.output()
    print(f"stops took {', '.join(f'{second:.2f}' for second in seconds)} s; {batches} batches")
    assert "unclean" not in output, "a start after a clean stop scanned its logs"
    assert "Traceback" not in output and " ERROR " not in output, output[-3000:]
    assert batches > 100
    written.append(broker.data_dir)


def test_what_waits_for_its_flush_is_answered_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logd.broker._DRAIN_S", LONG_MS / 1000)  # nobody is turned away because time is up
    flushing, may_flush = threading.Event(), threading.Event()
    flush = FlushPlan.run

    def held_up(plan: FlushPlan) -> None:
        flushing.set()
        assert may_flush.wait(PATIENCE_S)
        flush(plan)

    async def run() -> None:
        async with await Client.connect(*broker.address) as client:
            await client.create_topic(FLUSHED, configs={"flush.messages": "1"})
            monkeypatch.setattr(FlushPlan, "run", held_up)
            builder = RecordBatchBuilder()
            builder.append(b"in hand")
            parked = asyncio.create_task(client.produce(FLUSHED, 0, bytes(builder.build())))
            await asyncio.to_thread(flushing.wait, PATIENCE_S)
            broker.stop_soon()
            with pytest.raises(OSError):
                while True:  # until it refuses new clients: then it is stopping
                    await (await Client.connect(*broker.address)).close()
            assert not parked.done()
            may_flush.set()
            answer = await parked
            assert answer is not None and answer.base_offset == 0

    with InnerBroker(tmp_path) as broker:
        asyncio.run(run())
    assert (tmp_path / CLEAN_SHUTDOWN).exists()


def test_what_cannot_be_flushed_in_time_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop does not wait for a slow disk forever, and tells no lie about it."""
    may_flush = threading.Event()
    flush = FlushPlan.run

    def held_up(plan: FlushPlan) -> None:
        assert may_flush.wait(PATIENCE_S)
        flush(plan)

    async def run() -> None:
        async with await Client.connect(*broker.address) as client:
            await client.create_topic(FLUSHED, configs={"flush.messages": "1"})
            monkeypatch.setattr(FlushPlan, "run", held_up)
            builder = RecordBatchBuilder()
            builder.append(b"in hand")
            parked = asyncio.create_task(client.produce(FLUSHED, 0, bytes(builder.build())))
            await asyncio.sleep(0.1)
            broker.stop_soon()
            with pytest.raises((OSError, BrokerError)):
                await parked
            may_flush.set()

    with InnerBroker(tmp_path) as broker:
        asyncio.run(run())
