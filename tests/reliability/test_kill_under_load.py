"""Goal: kill -9 at any moment loses nothing acknowledged, doubles nothing, and needs nobody's help.

Method: producers of every kind, and topics coming and going, while the broker is killed at random moments, some of
them while it starts, and started again on the same directory and port. In the end everything is read back and
compared with what was promised. LOGD_TEST_SEED=… repeats the moments and the data of a failed run; what a kill
hits also depends on the machine.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from pathlib import Path

import pytest

from logd.clients.client import Client
from protocol.compression import Codec
from protocol.types import TopicPartition
from tests.reliability.killable import KillableBroker
from tests.reliability.ledger import Ledger
from tests.reliability.producers import SteadyProducer
from tests.reliability.rdkafka_producer import RdkafkaProducer
from tests.reliability.seeds import seed_of_run
from tests.reliability.topic_churn import TopicChurn
from tests.support.ports import free_port

TOPICS: dict[str, tuple[int, dict[str, str]]] = {
    "small-segments": (4, {"internal.segment.bytes": "150000", "index.interval.bytes": "1000"}),
    "short-segments": (2, {"segment.ms": "30"}),
    "flushed": (2, {"flush.messages": "1"}),
}
RDKAFKA_TOPIC = "rdkafka"
RDKAFKA_PARTITIONS = 2

_READY_IN = re.compile(r"ready in ([\d.]+) s")


class Load:
    """All that goes on while the broker is killed."""

    def __init__(self, address: tuple[str, int], seed: int) -> None:
        self.address = address
        self.ledger = Ledger()
        self.churn = TopicChurn(address, self.ledger, random.Random(seed))
        self.producers = [
            SteadyProducer(
                address,
                self.ledger,
                TopicPartition(topic, index),
                source=random.Random(f"{seed} {topic} {index} {idempotent}"),
                codec=codec,
                acks=acks,
                idempotent=idempotent,
            )
            for (topic, index, idempotent), codec, acks in zip(
                [
                    ("small-segments", 0, False),
                    ("small-segments", 0, True),
                    ("small-segments", 1, True),
                    ("small-segments", 2, False),
                    ("small-segments", 3, True),
                    ("short-segments", 0, True),
                    ("short-segments", 1, False),
                    ("flushed", 0, True),
                    ("flushed", 1, False),
                ],
                [Codec.NONE, Codec.LZ4, Codec.ZSTD, Codec.GZIP, Codec.SNAPPY] * 2,
                [1, -1, -1, -1, 1, -1, 1, -1, 1],
                strict=False,
            )
        ]

    async def set_up(self) -> None:
        async with await Client.connect(*self.address) as client:
            for name, (partitions, configs) in TOPICS.items():
                await client.create_topic(name, partitions=partitions, configs=configs)
            await client.create_topic(RDKAFKA_TOPIC, partitions=RDKAFKA_PARTITIONS)

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.churn.run(stop))
            for producer in self.producers:
                group.create_task(producer.run(stop))

    async def audit(self, rdkafka: RdkafkaProducer) -> int:
        """Compare everything; return the number of batches read."""
        ids = [producer.producer_id for producer in self.producers if producer.producer_id >= 0]
        assert len(set(ids)) == len(ids), f"a producer id was given twice: {ids}"
        async with await Client.connect(*self.address) as client:
            await self.churn.audit(client)
            await rdkafka.audit(client)
            return await self.ledger.audit(client)


async def kill_again_and_again(
    broker: KillableBroker, load: Load, moments: random.Random, kills: int
) -> None:
    """Kill and restart. Most lives are short, some long enough for chores; one start in four is killed as well."""
    for number in range(kills):
        await asyncio.sleep(moments.uniform(0.9, 2.0) if number % 4 == 3 else moments.uniform(0.05, 0.6))
        broker.kill()
        if moments.random() < 0.25:
            await asyncio.to_thread(broker.start_and_kill, moments.uniform(0.02, 0.4))
        await asyncio.to_thread(broker.restart)
        async with await Client.connect(*load.address) as client:
            await load.ledger.audit_ends(client, TOPICS)


async def run_load(broker: KillableBroker, load: Load, seed: int, kills: int) -> RdkafkaProducer:
    await load.set_up()
    rdkafka = RdkafkaProducer(broker.bootstrap, RDKAFKA_TOPIC, RDKAFKA_PARTITIONS)
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    killing = asyncio.create_task(kill_again_and_again(broker, load, random.Random(seed), kills))
    await asyncio.wait((running, killing), return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await killing
    await running
    await asyncio.to_thread(rdkafka.finish)
    return rdkafka


def kill_under_load(directory: Path, kills: int) -> Path:
    """Return the data directory."""
    seed = seed_of_run()
    started = time.monotonic()
    port = free_port()
    broker = KillableBroker(directory, port, {"log.flush.offset.checkpoint.interval.ms": "400"})
    with broker:
        load = Load(("127.0.0.1", port), seed)
        rdkafka = asyncio.run(run_load(broker, load, seed, kills))
        broker.kill()
        broker.restart()
        batches = asyncio.run(load.audit(rdkafka))
        assert broker.stop() == 0
        broker.restart()
        assert asyncio.run(load.audit(rdkafka)) == batches
        output = broker.output()
    segments = len(list(broker.data_dir.glob("*/*.log")))
    starts = sorted(float(seconds) for seconds in _READY_IN.findall(output))
    print(
        f"kills={kills} seconds={time.monotonic() - started:.1f} batches={batches} "
        f"acknowledged={load.ledger.acknowledged_count} rdkafka={len(rdkafka.delivered)} segments={segments} "
        f"topics kept={len(load.churn.created)} deleted={len(load.churn.deleted)} "
        f"start median={starts[len(starts) // 2]:.3f} s max={starts[-1]:.3f} s"
    )
    errors = [line for line in output.splitlines() if " ERROR " in line or line.startswith("Traceback")]
    assert not errors, "\n".join(errors[:20])
    assert load.ledger.acknowledged_count > 20 * kills
    assert load.churn.deleted
    return broker.data_dir


def test_killed_five_times(tmp_path: Path, written: list[Path]) -> None:
    written.append(kill_under_load(tmp_path, 5))


@pytest.mark.full
@pytest.mark.timeout(900)
def test_killed_fifty_times(tmp_path: Path, written: list[Path]) -> None:
    written.append(kill_under_load(tmp_path, 50))
