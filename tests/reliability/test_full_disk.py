"""Goal: a full disk refuses writes and costs nothing else; with room again, everything works again.

Method: a data directory on a tmpfs of a few megabytes, produced into until it is full. Needs the right to mount.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import RecordBatchBuilder
from protocol.types import TopicPartition
from tests.reliability.ledger import Ledger
from tests.reliability.producers import new_producer_id
from tests.reliability.small_disk import MountRefused, SmallDisk
from tests.reliability.topic_churn import delete_topic
from tests.support.broker import LogdBroker, StartFailed
from tests.support.patience import insist_async, refused_with

pytestmark = pytest.mark.mount

TOPIC = "much"
PARTITIONS = [TopicPartition(TOPIC, index) for index in range(3)]
#: Of what a producer needs to carry on: as many attempts after the disk is full as a second of retries makes.
REFUSALS = 60
#: Logs for which there was no room are made by the next attempt, and there is one every half a second.
ATTEMPT_S = 2.0
NOT_MADE_YET = refused_with(ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_LEADER_OR_FOLLOWER)


class Filler:
    """Fills a disk through the front door: one plain producer to each partition but the last, which has an
    idempotent one that sends what was refused again."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.refused = 0
        self._random = random.Random(5)
        self._producer_id = -1
        self._sequence = 0
        self._again: bytes | None = None

    async def fill(self, client: Client) -> None:
        """Produce until `REFUSALS` batches were refused."""
        if self._producer_id < 0:
            self._producer_id = await new_producer_id(client)
        self.refused = 0
        while self.refused < REFUSALS:
            await self.produce_everywhere(client)

    async def produce_everywhere(self, client: Client) -> None:
        """One batch to each partition; refusals are counted."""
        for partition in PARTITIONS[:-1]:
            await self._try(client, partition, self._batch(partition))
        idempotent = PARTITIONS[-1]
        batch = self._again or self._batch(idempotent, idempotent=True)
        self._again = None if await self._try(client, idempotent, batch) else batch

    async def _try(self, client: Client, partition: TopicPartition, batch: bytes) -> bool:
        try:
            answer = await client.produce(*partition, batch, self._random.choice((1, -1)))
        except BrokerError as error:
            assert error.code is ErrorCode.KAFKA_STORAGE_ERROR, error
            self.refused += 1
            return False
        assert answer is not None
        self.ledger.acknowledge(partition, answer.base_offset, batch)
        return True

    def _batch(self, partition: TopicPartition, *, idempotent: bool = False) -> bytes:
        builder = RecordBatchBuilder(
            producer_id=self._producer_id if idempotent else -1,
            producer_epoch=0 if idempotent else -1,
            base_sequence=self._sequence if idempotent else -1,
        )
        builder.append(self._random.randbytes(self._random.choice((50, 1000, 9000, 30_000))))
        self._sequence += idempotent
        batch = bytes(builder.build())
        self.ledger.send(partition, batch)
        return batch


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "data", 8 << 20)
    try:
        disk.__enter__()
    except MountRefused as error:
        pytest.skip(f"may not mount: {error}")
    try:
        yield disk
    finally:
        disk.__exit__()


async def connect(broker: LogdBroker) -> Client:
    return await Client.connect("127.0.0.1", broker.port)


class MetadataChanges:
    """Creates and deletes topics while there may be no room. Small changes may still find some in the last page."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = count()
        self.created: list[str] = []

    async def until_refused(self) -> None:
        """Create topics, then delete them, until either is refused."""
        while await self._create() is ErrorCode.NONE:
            pass
        while self.created:
            if await self._delete() is not ErrorCode.NONE:
                return

    async def check_all_usable(self) -> None:
        """Every topic takes records, also those for whose log there was no room at first."""
        assert await self._create() is ErrorCode.NONE
        builder = RecordBatchBuilder()
        builder.append(b"at last")
        due = time.monotonic() + ATTEMPT_S
        for name in self.created:
            await self._produce(name, bytes(builder.build()), due)
        while self.created:
            assert await self._delete() is ErrorCode.NONE

    async def _produce(self, name: str, batch: bytes, due: float) -> None:
        """Write to a topic whose log may be made by the next attempt only, which is `due` then.

        How busy the machine is does not count: a broker that answers what was asked later than that has had its
        attempt, or has it before it answers for the second time.
        """
        overdue = 0

        def may_come(failure: Exception) -> bool:
            return overdue < 3 and NOT_MADE_YET(failure)

        async def write() -> None:
            nonlocal overdue
            overdue += time.monotonic() > due
            await self._client.produce(name, 0, batch)

        await insist_async(write, may_come)

    async def _create(self) -> ErrorCode:
        name = f"topic-{next(self._numbers)}"
        try:
            await self._client.create_topic(name)
        except BrokerError as error:
            assert error.code is ErrorCode.KAFKA_STORAGE_ERROR
            return error.code
        self.created.append(name)
        return ErrorCode.NONE

    async def _delete(self) -> ErrorCode:
        try:
            await delete_topic(self._client, self.created[-1])
        except BrokerError as error:
            assert error.code is ErrorCode.KAFKA_STORAGE_ERROR
            return error.code
        self.created.pop()
        return ErrorCode.NONE


async def set_up(client: Client) -> None:
    configs = {"internal.segment.bytes": "300000", "index.interval.bytes": "500"}
    await client.create_topic(TOPIC, partitions=len(PARTITIONS), configs=configs)


def assert_sound(broker: LogdBroker) -> None:
    assert broker.return_code is None, broker.output()[-3000:]
    assert "Traceback" not in broker.output(), broker.output()[broker.output().index("Traceback") - 300 :][
        :3000
    ]
    assert " offline" not in broker.output(), broker.output()


def test_full_disk_refuses_writes_until_there_is_room(tmp_path: Path, disk: SmallDisk) -> None:
    with LogdBroker(tmp_path) as broker:
        asyncio.run(_fill_and_free(broker, disk))
        assert_sound(broker)
        assert broker.stop() == 0


async def _fill_and_free(broker: LogdBroker, disk: SmallDisk) -> None:
    filler = Filler()
    async with await connect(broker) as client:
        await set_up(client)
        changes = MetadataChanges(client)
        disk.fill(leave_bytes=5 << 20)
        for _ in range(3):
            await filler.fill(client)
            disk.fill("last-page")
            await changes.until_refused()
            assert await filler.ledger.audit(client) > 50
            await asyncio.sleep(0.6)  # chores meet the full disk as well
            disk.remove("last-page")
            disk.remove()
            filler.refused = 0
            for _ in range(5):
                await filler.produce_everywhere(client)
            assert filler.refused == 0, broker.output()[-2000:]
            await changes.check_all_usable()
            disk.fill(leave_bytes=512 << 10)
        disk.remove()
        await filler.ledger.audit(client)


def test_half_written_batches_are_taken_back(tmp_path: Path, disk: SmallDisk) -> None:
    """A clean start believes the size of each file: what was refused must not be in it."""
    filler = Filler()

    async def fill() -> None:
        async with await connect(broker) as client:
            await set_up(client)
            await filler.fill(client)

    async def look() -> None:
        async with await connect(broker) as client:
            await filler.ledger.audit(client)
            filler.refused = 0
            await filler.produce_everywhere(client)
            assert filler.refused == 0
            await filler.ledger.audit(client)

    with LogdBroker(tmp_path) as broker:
        disk.fill(leave_bytes=4 << 20)
        asyncio.run(fill())
        disk.remove()
        assert broker.stop() == 0
        broker.restart()
        asyncio.run(look())
        assert "unclean" not in broker.output()
        assert_sound(broker)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restart_on_a_full_disk(tmp_path: Path, disk: SmallDisk, how: str) -> None:
    filler = Filler()

    async def fill() -> None:
        async with await connect(broker) as client:
            await set_up(client)
            await filler.fill(client)

    async def look() -> None:
        async with await connect(broker) as client:
            await filler.ledger.audit(client)
            filler.refused = 0
            for _ in range(5):
                await filler.produce_everywhere(client)
            await filler.ledger.audit(client)

    with LogdBroker(tmp_path) as broker:
        disk.fill(leave_bytes=4 << 20)
        asyncio.run(fill())
        disk.fill("last-page")
        if how == "stop":
            broker.stop()
        else:
            broker.kill()
        try:
            broker.restart()
        except StartFailed as failure:
            said = str(failure).strip().splitlines()
            print(said[-1])
            assert (
                "No space left" in said[-1] and "make room" in said[-1] and "Traceback" not in str(failure)
            ), failure
        else:
            asyncio.run(look())
            assert filler.refused > 0
            broker.kill()
        disk.remove("last-page")
        disk.remove()
        broker.restart()
        asyncio.run(look())
        assert filler.refused == 0
        assert_sound(broker)
