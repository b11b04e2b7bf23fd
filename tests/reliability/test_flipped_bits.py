"""Goal: a bit that flips on disk is never served, wherever it is, after a clean stop as after a crash.

Method: many partitions with the same history; one bit of the log of each but a few is flipped while the broker
is down. Then everything is read: each partition gives what was written, byte for byte, or an error; those whose
tail was cut give what was before. Partitions that nothing happened to are served in full.
LOGD_TEST_SEED=… flips the same bits again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import RecordBatchBuilder
from protocol.records import HEADER_SIZE, iter_batches, read_header
from tests.reliability.seeds import seed_of_run
from tests.support.broker import LogdBroker

TOPIC = "flipped"
BATCHES_FLUSHED = 12
"""Below the recovery point: as many as flush.messages says."""
BATCHES_MORE = 8
RECORDS = 3
UNHARMED = 4
_LEADER_EPOCH = range(12, 16)

Batches = list[bytes]


class Flip(NamedTuple):
    """Where a bit was flipped: `batch` counts from the start of the log."""

    partition: int
    batch: int
    bit: int


async def write(broker: LogdBroker, partitions: int) -> list[Batches]:
    """Give every partition its history; return what is in them, as clients see it."""
    flush = {"flush.messages": str(BATCHES_FLUSHED * RECORDS)}
    async with await Client.connect("127.0.0.1", broker.port) as client:
        await client.create_topic(TOPIC, partitions=partitions, configs=flush)
        for index in range(partitions):
            for number in range(BATCHES_FLUSHED + BATCHES_MORE):
                builder = RecordBatchBuilder()
                for record in range(RECORDS):
                    builder.append(f"{index} {number} {record} ".encode() * 20, key=b"key", timestamp_ms=1000)
                await client.produce(TOPIC, index, bytes(builder.build()))
        return [list(await read(client, index)) for index in range(partitions)]


async def read(client: Client, index: int) -> Batches:
    """Return all batches of a partition. Raises: BrokerError."""
    batches: Batches = []
    offset = 0
    end = await client.list_offset(TOPIC, index)
    while offset < end:
        answer = await client.fetch(TOPIC, index, offset)
        assert isinstance(answer.records, memoryview) and answer.records
        for batch in iter_batches(answer.records):
            batches.append(bytes(batch))
            offset = read_header(batch).last_offset + 1
    return batches


def wait_for_recovery_points(data_dir: Path, partitions: int) -> None:
    """Wait until the checkpoint says that the first batches are flushed, of all partitions."""
    deadline = time.monotonic() + 20
    wanted = {f"{TOPIC} {index} {BATCHES_FLUSHED * RECORDS}" for index in range(partitions)}
    while time.monotonic() < deadline:
        checkpoint = data_dir / "recovery-point-offset-checkpoint"
        if checkpoint.exists() and wanted <= set(checkpoint.read_text().splitlines()):
            return
        time.sleep(0.05)
    raise AssertionError((data_dir / "recovery-point-offset-checkpoint").read_text())


def flip(
    data_dir: Path, batches: list[Batches], source: random.Random, *, below: bool, clean: bool
) -> Iterator[Flip]:
    """Flip one bit in each partition but the last few, below or above the recovery point.

    Not in the leader epochs of a tail: no checksum covers them, and nothing else knows them before they are flushed.
    """
    for index, history in enumerate(batches[:-UNHARMED]):
        numbers = range(BATCHES_FLUSHED) if below else range(BATCHES_FLUSHED, len(history))
        number = source.choice(numbers)
        # Headers are a tenth of the batch and have the interesting fields: half of all flips.
        size = len(history[number])
        bit = source.randrange(8 * (HEADER_SIZE if source.random() < 0.5 else size))
        while bit // 8 in _LEADER_EPOCH and not clean and not below:
            bit = source.randrange(8 * HEADER_SIZE)
        path = data_dir / f"{TOPIC}-{index}" / "00000000000000000000.log"
        content = bytearray(path.read_bytes())
        place = sum(map(len, history[:number])) + bit // 8
        content[place] ^= 1 << bit % 8
        path.write_bytes(content)
        yield Flip(index, number, bit)


async def assess(broker: LogdBroker, before: list[Batches], flips: list[Flip], cut: bool) -> None:
    """`cut`: the tail may be gone from the flipped batch on; otherwise the partition must refuse."""
    async with await Client.connect("127.0.0.1", broker.port) as client:
        for damage in flips:
            history = before[damage.partition]
            try:
                found = await read(client, damage.partition)
            except BrokerError as error:
                assert error.code is ErrorCode.KAFKA_STORAGE_ERROR, (damage, error)
                assert not cut, f"{damage}: the tail is cut, not refused"
                continue
            assert cut, f"{damage}: served"
            assert found == history[: damage.batch], (
                f"{damage}: {len(found)} of {len(history)} batches are there"
            )
        for index in range(len(before) - UNHARMED, len(before)):
            assert await read(client, index) == before[index], f"partition {index} was harmed"


def flip_and_look(directory: Path, *, clean: bool, below: bool, flips: int) -> None:
    source = random.Random(seed_of_run())
    partitions = flips + UNHARMED
    properties = {"log.flush.offset.checkpoint.interval.ms": "200"}
    with LogdBroker(directory, properties=properties) as broker:
        before = asyncio.run(write(broker, partitions))
        assert all(len(history) == BATCHES_FLUSHED + BATCHES_MORE for history in before)
        if clean:
            assert broker.stop(60) == 0  # hundreds of logs to sync, perhaps on a busy disk
        else:
            wait_for_recovery_points(broker.data_dir, partitions)
            broker.kill()
        done = list(flip(broker.data_dir, before, source, below=below, clean=clean))
        broker.restart()
        asyncio.run(assess(broker, before, done, cut=not clean and not below))
        asyncio.run(assess(broker, before, done, cut=not clean and not below))  # an error stays one
        assert "Traceback" not in broker.output(), broker.output()[-3000:]
        assert broker.return_code is None


@pytest.mark.parametrize("below", [True, False], ids=["below", "above"])
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "killed"])
def test_flipped_bits_are_never_served(tmp_path: Path, clean: bool, below: bool) -> None:
    flip_and_look(tmp_path, clean=clean, below=below, flips=16)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("below", [True, False], ids=["below", "above"])
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "killed"])
def test_many_flipped_bits_are_never_served(tmp_path: Path, clean: bool, below: bool) -> None:
    flip_and_look(tmp_path, clean=clean, below=below, flips=400)
