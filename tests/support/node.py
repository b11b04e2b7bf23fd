"""A broker inside the test's process: its disk and its clock are in the test's hands, its sockets are real.

`play(scenario)` starts a node, runs the scenario on its loop and stops it. The disk is a FaultyFileSystem, so a test
may count, hold back and fail its operations (`Disk`), crash it, or start another node on what is left.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from logd.broker import Broker
from logd.clients.client import Client
from logd.config.broker_config import BrokerConfig, load_config
from logd.replicas import LocalPartition
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.records import iter_batches, iter_records
from protocol.types import Buffer
from storage.fs import FileSystem
from storage.fs.faulty import FaultyFileSystem, Kind, Loss, Operation
from tests.support.metadata_store import Clock

DATA_DIR = "/data"
TIMEOUT_S = 60
LONG_MS = 60_000
"""A wait that no test sees the end of: what should end it must."""
FOLLOWER = 2

Scenario = Callable[["Node"], Coroutine[Any, Any, None]]


class Disk:
    """Faults and delays of one file system. Operations of the pool's threads pass through here, too."""

    def __init__(self, fs: FaultyFileSystem) -> None:
        self.fs = fs
        self.syncs: list[str] = []
        """Paths synced, files and directories, in order."""
        self._faults: list[tuple[Kind, str, int]] = []
        self._held: tuple[Kind, str] | None = None
        self._gate = threading.Event()
        self._gate.set()
        fs.before = self._before

    def fail(self, kind: Kind, path: str, code: int) -> None:
        """Fail operations of a kind on paths that hold the text `path` with an errno, from now on."""
        self._faults.append((kind, path, code))

    def heal(self) -> None:
        self._faults.clear()

    def hold(self, kind: Kind, path: str) -> None:
        """Keep operations of a kind on paths that hold the text `path` waiting until `let_go`: only what the pool does
        may be held.
        """
        self._held = kind, path
        self._gate.clear()

    def hold_syncs(self, path: str) -> None:
        self.hold(Kind.SYNC, path)

    def let_go(self) -> None:
        self._gate.set()

    def count_syncs(self, path: str) -> int:
        return sum(path in synced for synced in self.syncs)

    def _before(self, operation: Operation) -> int | None:
        if self._held is not None and self._held[0] is operation.kind and self._held[1] in operation.path:
            assert self._gate.wait(TIMEOUT_S), "nobody let it go"
        for kind, path, code in self._faults:
            if operation.kind is kind and path in operation.path:
                return code
        if operation.kind in (Kind.SYNC, Kind.SYNC_DIR):
            self.syncs.append(operation.path)
        return None


class ClockedBroker(Broker):
    """A broker whose wall clock is the test's."""

    def __init__(
        self, config: BrokerConfig, loop: asyncio.AbstractEventLoop, fs: FileSystem, clock: Clock
    ) -> None:
        self.clock = clock
        super().__init__(config, loop, fs)

    def now_ms(self) -> int:
        return self.clock.now_ms


class Node:
    """One node in this process."""

    def __init__(
        self, fs: FileSystem, *properties: str, clock: Clock | None = None, data_dir: str = DATA_DIR
    ) -> None:
        self.fs = fs
        self.clock = clock or Clock()
        self._properties = [f"log.dirs={data_dir}", "listeners=PLAINTEXT://127.0.0.1:0", *properties]
        self._clients: list[Client] = []
        self._peers: list[RawPeer] = []
        self.broker: ClockedBroker
        self.port = 0

    async def start(self) -> None:
        """Start, or start again after a stop or a crash."""
        config = load_config(self._properties)
        self.broker = ClockedBroker(config, asyncio.get_running_loop(), self.fs, self.clock)
        ((_, _, self.port),) = await self.broker.start()

    async def stop(self) -> None:
        for client in self._clients:
            await client.close()
        for peer in self._peers:
            await peer.close()
        self._clients.clear()
        self._peers.clear()
        await self.broker.stop()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def crash(self, loss: Loss) -> None:
        """Lose what a crash loses, and start on what it leaves. The former life ends on a disk of its own."""
        assert isinstance(self.fs, FaultyFileSystem)
        after = self.fs.crash(loss)
        await self.stop()
        self.fs = after
        await self.start()

    async def client(self, client_id: str | None = "test") -> Client:
        """A new connection; it is closed with the node."""
        client = await Client.connect("127.0.0.1", self.port, client_id=client_id)
        self._clients.append(client)
        return client

    async def peer(self) -> RawPeer:
        """A new connection for frames as they are; it is closed with the node."""
        peer = RawPeer(*await asyncio.open_connection("127.0.0.1", self.port))
        self._peers.append(peer)
        return peer

    def partition(self, topic: str, index: int = 0) -> LocalPartition:
        return self.broker.partition(topic, index)

    def hold_high_watermark(self, topic: str, index: int = 0) -> Callable[[int], None]:
        """Give a partition a second in-sync replica; returns how to say what that holds (exclusive end)."""
        partition = self.partition(topic, index)
        partition.become_leader(
            leader_epoch=partition.leader_epoch,
            partition_epoch=partition.partition_epoch,
            assigned_replicas=(partition.node_id, FOLLOWER),
            in_sync_replicas=(partition.node_id, FOLLOWER),
        )

        def follower_has(end: int) -> None:
            if partition.update_follower(FOLLOWER, end):
                self.broker.delayed.partition_moved(partition)

        return follower_has


def play(
    scenario: Scenario, *properties: str, fs: FileSystem | None = None, clock: Clock | None = None
) -> None:
    """Run `scenario` on a node that is started before and stopped after it."""

    async def main() -> None:
        node = Node(FaultyFileSystem() if fs is None else fs, *properties, clock=clock)
        async with asyncio.timeout(TIMEOUT_S):
            await node.start()
            try:
                await scenario(node)
            finally:
                await node.stop()

    asyncio.run(main())


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)


async def a_while() -> None:
    """Long enough for a request over loopback to be worked off: for what must not happen."""
    await asyncio.sleep(0.03)


# -- requests ----------------------------------------------------------------------------------------------------


def produce_request(
    batches: Mapping[tuple[str | bytes, int], Buffer | None],
    *,
    acks: int = -1,
    timeout_ms: int = LONG_MS,
    transactional_id: str | None = None,
) -> ProduceRequest:
    """One batch for each (topic name or id, partition)."""
    topics: dict[str | bytes, ProduceRequest.TopicProduceData] = {}
    for (topic, index), batch in batches.items():
        data = topics.setdefault(
            topic,
            ProduceRequest.TopicProduceData(**_named(topic, "name"), partition_data=[]),
        )
        data.partition_data.append(ProduceRequest.PartitionProduceData(index=index, records=batch))
    return ProduceRequest(
        acks=acks,
        timeout_ms=timeout_ms,
        transactional_id=transactional_id,
        topic_data=list(topics.values()),
    )


def produced(response: ProduceResponse) -> list[ProduceResponse.PartitionProduceResponse]:
    """The answers for all partitions, in their order."""
    return [row for topic in response.responses for row in topic.partition_responses]


def wanted(index: int, offset: int, **fields: Any) -> FetchRequest.FetchPartition:
    fields.setdefault("partition_max_bytes", 1 << 20)
    return FetchRequest.FetchPartition(partition=index, fetch_offset=offset, **fields)


def fetch_request(
    *partitions: tuple[str | bytes, FetchRequest.FetchPartition],
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    **fields: Any,
) -> FetchRequest:
    """A fetch of partitions in the order given; topics by name or by id."""
    topics: list[FetchRequest.FetchTopic] = []
    last: str | bytes | None = None
    for topic, partition in partitions:
        if topic != last:
            topics.append(FetchRequest.FetchTopic(**_named(topic, "topic"), partitions=[]))
            last = topic
        topics[-1].partitions.append(partition)
    return FetchRequest(max_wait_ms=max_wait_ms, min_bytes=min_bytes, topics=topics, **fields)


def fetched(response: FetchResponse) -> list[FetchResponse.PartitionData]:
    """The answers for all partitions, in their order."""
    return [row for topic in response.responses for row in topic.partitions]


def offsets_in(records: Any) -> list[int]:
    """Offsets of all records, those of control batches included."""
    return [record.offset for batch in iter_batches(records) for record in iter_records(batch)]


def _named(topic: str | bytes, name_field: str) -> dict[str, Any]:
    return {name_field: topic} if isinstance(topic, str) else {"topic_id": topic}


# -- raw frames ---------------------------------------------------------------------------------------------------


class RawPeer:
    """A client that sends frames as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *frames: bytes) -> None:
        """All frames in one write."""
        self._writer.write(b"".join(struct.pack(">i", len(frame)) + frame for frame in frames))

    async def answer(self) -> bytes:
        (size,) = struct.unpack(">i", await self._reader.readexactly(4))
        return await self._reader.readexactly(size)

    async def at_end(self) -> bool:
        """Whether the broker ended the connection; waits for that, or for a byte."""
        try:
            return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        self._writer.transport.abort()


def header(
    api_key: int,
    version: int,
    correlation_id: int,
    client_id: bytes | None = b"raw",
    *,
    flexible: bool = False,
) -> bytes:
    """A request header, version 1 or 2."""
    size = -1 if client_id is None else len(client_id)
    return (
        struct.pack(">hhih", api_key, version, correlation_id, size)
        + (client_id or b"")
        + (b"\0" if flexible else b"")
    )
