"""Goal: no bytes from any peer harm the broker or its other clients, on every API and version served.

Method: requests written from the field descriptors, then flipped, cut, spliced and lied about, a hundred thousand of
them, over several pipelining connections, while slow peers hold connections open and a bystander produces and reads.
Each frame must be answered or end its connection; afterwards the broker lives, has not grown, has logged no
traceback, and the bystander has met nothing. A failure prints its seed: LOGD_TEST_SEED=… replays the same frames.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from logd.clients.client import Client
from protocol.api import SERVED_APIS
from protocol.connection import PLAIN_REQUEST_BYTES_MAX
from protocol.errors import BrokerError
from protocol.messages.delete_topics import DeleteTopicsRequest
from replication.topic_names import GROUP_TOPIC, TRANSACTION_TOPIC
from tests.reliability.bystander import Bystander
from tests.reliability.hostile_clean_up import remove_groups
from tests.reliability.hostile_frames import FrameMaker, Target
from tests.reliability.hostile_peers import SlowPeers, send_hostile
from tests.reliability.seeds import seed_of_run
from tests.support.broker import LogdBroker

GROWTH_BYTES_MAX = 8 << 20

TOPICS: dict[str, dict[str, str]] = {
    "fuzz-plain": {},
    "fuzz-compacted": {"cleanup.policy": "compact"},
    "fuzz-stamped": {"message.timestamp.type": "LogAppendTime"},
    "fuzz-recompressed": {"compression.type": "lz4"},
}


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM and its own: anonymous pages, not files it has read."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon"))


async def set_up(address: tuple[str, int]) -> list[Target]:
    """Make the topics that the frames name, where they are missing, and remove what the frames have made."""
    async with await Client.connect(*address) as client:
        await remove_groups(client)
        present = {str(topic.name): topic.topic_id for topic in (await client.metadata()).topics}
        kept = (*TOPICS, GROUP_TOPIC, TRANSACTION_TOPIC)
        junk = [name for name in present if name not in kept and not name.startswith("bystander")]
        if junk:
            states = [DeleteTopicsRequest.DeleteTopicState(name=name) for name in junk]
            await client.call(DeleteTopicsRequest(topics=states, timeout_ms=30_000))
        for name, configs in TOPICS.items():
            if name not in present:
                created = await client.create_topic(name, partitions=2, configs=configs)
                present[name] = created.topic_id
    return [Target(name, present[name]) for name in TOPICS]


async def warm_up(address: tuple[str, int], targets: list[Target], batches: list[bytes]) -> None:
    """Have every batch judged once by every topic: what the largest of them needs is no growth afterwards."""
    async with await Client.connect(*address) as client:
        for target in targets:
            for batch in batches:
                with suppress(BrokerError):
                    await client.produce(target.name, 0, batch)


def fuzz(
    broker: LogdBroker, seed: int, count: int, apis: tuple[int, ...] = tuple(SERVED_APIS)
) -> Counter[str]:
    """Send `count` frames in ten parts; measure memory from the end of the first two to the end."""
    address = ("127.0.0.1", broker.port)
    source = random.Random(seed)
    outcomes: Counter[str] = Counter()
    sizes = []
    slow = SlowPeers(address, random.Random(seed), 20)
    started = time.monotonic()
    with Bystander(address) as bystander:
        targets = asyncio.run(set_up(address))
        asyncio.run(warm_up(address, targets, FrameMaker(source, targets).batches))
        for _ in range(10):
            maker = FrameMaker(source, asyncio.run(set_up(address)), apis)
            send_hostile(address, maker, count // 10, outcomes)
            slow.drip()
            asyncio.run(set_up(address))
            sizes.append(resident_bytes(broker.pid))
    slow.close()
    elapsed = time.monotonic() - started
    assert broker.return_code is None, broker.output()[-4000:]
    growth = max(sizes[2:]) - sizes[1]
    print(
        f"frames={count} seconds={elapsed:.1f} {dict(outcomes)} bystander={bystander.rounds}"
        f" MiB={[round(size / (1 << 20), 1) for size in sizes]} growth={growth / (1 << 20):.1f} MiB"
    )
    assert bystander.rounds > 10
    errors = [
        line for line in broker.output().splitlines() if " ERROR " in line or line.startswith("Traceback")
    ]
    assert not errors, "\n".join(errors[:20])
    assert growth <= GROWTH_BYTES_MAX
    return outcomes


@pytest.mark.timeout(900)
def test_hostile_frames_on_every_api(tmp_path: Path) -> None:
    seed = seed_of_run()
    with LogdBroker(tmp_path, properties={"max.incremental.fetch.session.cache.slots": "100"}) as broker:
        outcomes = fuzz(broker, seed, 100_000)
    assert min(outcomes["answered"], outcomes["closed"]) > 10_000


def test_hostile_batches_under_full_validation(tmp_path: Path) -> None:
    seed = seed_of_run()
    with LogdBroker(tmp_path, properties={"log.record.validation": "full"}) as broker:
        fuzz(broker, seed, 10_000, apis=(0,))


def test_a_large_request_without_records_ends_its_connection(tmp_path: Path) -> None:
    """At its first bytes, and the log says why. A Produce request of that size is waited for."""
    size = PLAIN_REQUEST_BYTES_MAX + 1
    metadata, produce = (struct.pack(">ihhih", size, key, 9, 1, -1) for key in (3, 0))
    with LogdBroker(tmp_path) as broker:
        with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as peer:
            peer.sendall(metadata)
            assert peer.recv(1) == b""
        with socket.create_connection(("127.0.0.1", broker.port), timeout=0.3) as peer:
            peer.sendall(produce)
            with pytest.raises(TimeoutError):
                peer.recv(1)
    (line,) = (line for line in broker.output().splitlines() if "closing connection" in line)
    assert (
        f"reason=request with API key 3 of {size} bytes, at most 4194304 are allowed without records" in line
    )
