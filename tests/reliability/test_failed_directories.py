"""Goal: a disk that goes takes its partitions with it and nothing else, and brings them back whole.

Method: a broker with three data directories, one of them on a disk that is taken away under load, mounted read-only,
filled, or put back. Needs the right to mount.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import RecordBatchBuilder
from protocol.types import TopicPartition
from tests.reliability.ledger import Ledger
from tests.reliability.small_disk import MountRefused, RemovableDisk, SmallDisk
from tests.support.broker import LogdBroker, StartFailed

pytestmark = pytest.mark.mount

TOPIC, LATER = "spread", "later"
PARTITIONS = 6
BATCH_BYTES = 20_000
SEGMENT_BYTES = 100_000
"""So that a new file is due every few batches: a lazy unmount shows when a name is looked up."""


class Machine:
    """A broker whose data directories are a, b and c; b is on `disk`."""

    def __init__(self, directory: Path) -> None:
        self.a, self.b, self.c = (directory / name for name in "abc")
        self.disk = RemovableDisk(self.b, directory / "content")
        self._directory = directory
        self.broker: LogdBroker
        self.ledger = Ledger()
        self._random = random.Random(7)

    def start(self, directories: list[Path] | None = None) -> None:
        file = self._directory / "server.properties"
        paths = ",".join(map(str, directories or [self.a, self.b, self.c]))
        file.write_text(f"log.dirs={paths}\nlog.flush.offset.checkpoint.interval.ms=500\n")
        self.broker = LogdBroker(self._directory, config_file=file)

    async def connect(self) -> Client:
        return await Client.connect("127.0.0.1", self.broker.port)

    async def create(self, name: str = TOPIC) -> None:
        async with await self.connect() as client:
            await client.create_topic(
                name, partitions=PARTITIONS, configs={"internal.segment.bytes": str(SEGMENT_BYTES)}
            )

    async def write(self, rounds: int = 1, name: str = TOPIC) -> set[int]:
        """Write to all partitions; return those that refused."""
        refused = set()
        async with await self.connect() as client:
            for _ in range(rounds):
                for index in range(PARTITIONS):
                    builder = RecordBatchBuilder()
                    builder.append(self._random.randbytes(BATCH_BYTES))
                    batch, partition = bytes(builder.build()), TopicPartition(name, index)
                    self.ledger.send(partition, batch)
                    try:
                        answer = await client.produce(name, index, batch, -1)
                    except BrokerError as error:
                        assert error.code is ErrorCode.KAFKA_STORAGE_ERROR, error
                        refused.add(index)
                    else:
                        assert answer is not None
                        self.ledger.acknowledge(partition, answer.base_offset, batch)
        return refused

    async def told_offline(self, name: str = TOPIC) -> set[int]:
        """Partitions that Metadata calls leaderless, with their replica offline; the others have neither."""
        async with await self.connect() as client:
            (topic,) = (await client.metadata([name])).topics
        offline: set[int] = set()
        for partition in topic.partitions:
            is_offline = partition.leader_id == -1
            assert partition.offline_replicas == ([1] if is_offline else [])
            assert partition.error_code == (ErrorCode.LEADER_NOT_AVAILABLE if is_offline else ErrorCode.NONE)
            if is_offline:
                offline.add(partition.partition_index)
        return offline

    def here(self, directory: Path, name: str = TOPIC) -> set[int]:
        """The partitions of a topic that lie in a data directory."""
        return {
            int(path.name.rpartition("-")[2])
            for path in directory.glob(f"{name}-*")
            if path.name[-1].isdigit()
        }

    async def check_all(self, without: set[int] | None = None) -> None:
        """What was acknowledged is there, but for partitions that are offline."""
        online = Ledger()
        for partition in self.ledger.sent:
            if partition.partition not in (without or set()):
                online.sent[partition] = self.ledger.sent[partition]
                online.acknowledged[partition] = self.ledger.acknowledged[partition]
        async with await self.connect() as client:
            await online.audit(client)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        machine.disk.__enter__()
    except MountRefused as error:
        pytest.skip(f"may not mount: {error}")
    try:
        machine.start()
        yield machine
    finally:
        machine.broker.stop()
        machine.disk.__exit__()


def test_a_disk_that_goes_under_load_and_comes_back(machine: Machine) -> None:
    async def scenario() -> None:
        await machine.create()
        on_b = machine.here(machine.b)
        assert [len(machine.here(each)) for each in (machine.a, machine.b, machine.c)] == [2, 2, 2]
        assert await machine.write(8) == set()
        machine.disk.take_away()
        await _until_refused(machine, on_b)
        assert await machine.told_offline() == on_b
        assert await machine.write(3) == on_b
        await machine.create(LATER)
        assert await machine.write(1, LATER) == set()
        assert machine.here(machine.b, LATER) == set() == machine.here(machine.b)
        await machine.check_all(without=on_b)
        assert machine.broker.stop() == 0

        machine.start()  # without the disk: an empty directory is in its place
        assert await machine.told_offline() == on_b
        assert await machine.write(3) == on_b
        assert machine.here(machine.a) | machine.here(machine.c) == set(range(PARTITIONS)) - on_b
        assert machine.broker.stop() == 0

        machine.disk.mount()
        machine.start()
        assert await machine.told_offline() == set()
        await machine.check_all()
        assert await machine.write(3) == set()
        await machine.check_all()

    asyncio.run(scenario())
    assert machine.broker.stop() == 0
    assert "Traceback" not in machine.broker.output()


async def _until_refused(machine: Machine, expected: set[int]) -> None:
    deadline = time.monotonic() + 20
    while (refused := await machine.write(2)) != expected:
        assert refused <= expected and time.monotonic() < deadline


def test_a_disk_that_is_read_only_at_the_start(machine: Machine) -> None:
    async def scenario() -> None:
        await machine.create()
        on_b = machine.here(machine.b)
        assert await machine.write(3) == set()
        assert machine.broker.stop() == 0
        machine.disk.take_away()
        machine.disk.mount(read_only=True)
        machine.start()
        assert f"data directory offline path={machine.b}" in machine.broker.output()
        assert "Read-only file system" in machine.broker.output()
        assert await machine.told_offline() == on_b == await machine.write()
        await machine.check_all(without=on_b)
        assert machine.broker.stop() == 0
        machine.disk.take_away()
        machine.disk.mount()
        machine.start()
        assert await machine.told_offline() == set()
        await machine.check_all()

    asyncio.run(scenario())


def test_directories_in_another_order_and_one_left_out(machine: Machine) -> None:
    async def scenario() -> None:
        await machine.create()
        assert await machine.write(3) == set()
        for directories in ([machine.c, machine.b, machine.a], [machine.b, machine.a, machine.c]):
            assert machine.broker.stop() == 0
            machine.start(directories)
            assert await machine.told_offline() == set()
            await machine.check_all()
        assert machine.broker.stop() == 0
        machine.start([machine.c, machine.a])
        assert await machine.told_offline() == machine.here(machine.b)
        assert machine.broker.stop() == 0
        with pytest.raises(StartFailed, match="there is no metadata log"):
            machine.start([machine.b, machine.c])
        machine.start()
        await machine.check_all()

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_disk_with_the_metadata_log_ends_the_broker(tmp_path: Path, how: str) -> None:
    machine = Machine(tmp_path)
    try:
        machine.disk.__enter__()
    except MountRefused as error:
        pytest.skip(f"may not mount: {error}")

    async def scenario() -> None:
        machine.start([machine.b, machine.a])
        await machine.create()
        await machine.write(2)
        machine.disk.take_away()
        with suppress(BrokerError, ConnectionError):
            await machine.create(LATER)
        code = await _ended(machine)
        said = [line for line in machine.broker.output().splitlines() if line.startswith("logd:")]
        assert (code, len(said)) == (1, 1) and "the data directory with the metadata log failed" in said[0]
        with pytest.raises(StartFailed, match="no metadata log"):
            machine.start([machine.b, machine.a])
        machine.disk.mount()
        machine.start([machine.b, machine.a])
        if how == "kill":
            machine.broker.kill()
            machine.start([machine.b, machine.a])
        await machine.check_all()

    try:
        asyncio.run(scenario())
    finally:
        machine.broker.stop()
        machine.disk.__exit__()


async def _ended(machine: Machine) -> int:
    """The exit code of the broker, which ends by itself."""
    deadline = time.monotonic() + 20
    while machine.broker.return_code is None:
        assert time.monotonic() < deadline, "it goes on"
        await asyncio.sleep(0.05)
    return machine.broker.return_code


def test_a_full_disk_beside_others(tmp_path: Path) -> None:
    """It refuses what is for it, and goes on when there is room; the others do not notice."""
    machine: Any = Machine(tmp_path)
    disk = SmallDisk(machine.b, 6 << 20)
    try:
        disk.__enter__()
    except MountRefused as error:
        pytest.skip(f"may not mount: {error}")

    async def scenario() -> None:
        machine.start()
        await machine.create()
        on_b = machine.here(machine.b)
        await machine.write(2)
        disk.fill()
        await _until_refused(machine, on_b)
        assert await machine.told_offline() == set()
        disk.remove()
        assert await machine.write(2) == set()
        await machine.check_all()

    try:
        asyncio.run(scenario())
        assert machine.broker.stop() == 0
    finally:
        machine.broker.stop()
        disk.__exit__()
