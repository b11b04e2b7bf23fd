"""A client on asyncio, for the parts of logd that talk to brokers: probes, load generator, command line.

One `Client` is one connection to one broker; whoever needs a partition's leader connects to that. Calls may overlap,
answers come in order. `call` returns whatever the broker answers; the conveniences below it raise BrokerError
for an error code, so that a caller reads results only.

Not here: metadata caching, retries, batching, groups. Applications use an ordinary Kafka client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from protocol.client import RESPONSE_BYTES_MAX, ClientConnection
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ssl import SSLContext
    from types import TracebackType

    from protocol.messages.create_topics import CreateTopicsResponse
    from protocol.messages.fetch import FetchResponse
    from protocol.messages.message import Message, Records
    from protocol.messages.metadata import MetadataResponse
    from protocol.messages.produce import ProduceResponse
    from protocol.types import Offset, TimestampMs

R = TypeVar("R", bound="Message")

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 40.0  # above the 30 s that produce and topic creation may take by default

# From 13 on, produce and fetch name topics by id only.
_NAMED_TOPICS_VERSION_MAX = 12


class Client:
    """One connection to one broker. Make it with `Client.connect`; close it, or use `async with`."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        client_id: str | None = "logd",
        ssl: SSLContext | None = None,
        timeout_s: float = CONNECT_TIMEOUT_S,
        max_response_bytes: int = RESPONSE_BYTES_MAX,
    ) -> Client:
        """Open a connection and learn the broker's versions.

        Raises: OSError (TimeoutError is one) when the broker cannot be reached or does not answer.
        """
        wire = _Wire(ClientConnection(client_id=client_id, max_response_bytes=max_response_bytes))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(lambda: wire, host, port, ssl=ssl)
                await wire.handshake()
        except BaseException:
            wire.close()
            raise
        return cls(wire)

    @property
    def versions(self) -> Mapping[int, tuple[int, int]]:
        """API key to the first and last version (inclusive) that the broker serves."""
        return self._wire.connection.versions or {}

    @property
    def is_closed(self) -> bool:
        return self._wire.is_lost

    async def call(
        self, request: Message, *, version: int | None = None, timeout_s: float = CALL_TIMEOUT_S
    ) -> Any:
        """Send a request and return its response, None for a produce with acks 0, which has none.

        `version` defaults to the highest that both sides speak.
        Raises: ConnectionError when the connection ends first, TimeoutError, BrokerError UNSUPPORTED_VERSION.
        """
        answer = self._wire.send(request, version)
        await self._wire.writable()
        if answer is None:
            return None
        async with asyncio.timeout(timeout_s):
            return await answer

    async def produce(
        self,
        topic: str,
        partition: int,
        batch: Records,
        acks: int = -1,
        *,
        transactional_id: str | None = None,
        timeout_ms: int = 30_000,
    ) -> ProduceResponse.PartitionProduceResponse | None:
        """Append one batch; return what the broker says of the partition, None with acks 0."""
        from protocol.messages.produce import ProduceRequest  # noqa: PLC0415 - a client loads what it uses

        data = ProduceRequest.TopicProduceData(
            name=topic,
            partition_data=[ProduceRequest.PartitionProduceData(index=partition, records=batch)],
        )
        request = ProduceRequest(
            transactional_id=transactional_id, acks=acks, timeout_ms=timeout_ms, topic_data=[data]
        )
        response = await self._call_by_name(request)
        if response is None:
            return None
        answer = response.responses[0].partition_responses[0]
        _check(answer.error_code, answer.error_message)
        return cast("ProduceResponse.PartitionProduceResponse", answer)

    async def fetch(
        self,
        topic: str,
        partition: int,
        offset: Offset,
        *,
        max_bytes: int = 1 << 20,
        min_bytes: int = 1,
        max_wait_ms: int = 500,
        read_committed: bool = False,
    ) -> FetchResponse.PartitionData:
        """Read one partition from `offset` on, without a session; `records` may end in a cut batch."""
        from protocol.messages.fetch import FetchRequest  # noqa: PLC0415

        wanted = FetchRequest.FetchPartition(
            partition=partition, fetch_offset=offset, partition_max_bytes=max_bytes
        )
        request = FetchRequest(
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            max_bytes=max_bytes,
            isolation_level=int(read_committed),
            topics=[FetchRequest.FetchTopic(topic=topic, partitions=[wanted])],
        )
        response = await self._call_by_name(request)
        _check(response.error_code, None)
        answer = response.responses[0].partitions[0]
        _check(answer.error_code, None)
        return cast("FetchResponse.PartitionData", answer)

    async def list_offset(
        self, topic: str, partition: int, timestamp: TimestampMs = -1, *, read_committed: bool = False
    ) -> Offset:
        """Return the first offset at or after `timestamp`; -1 asks for the end, -2 for the start."""
        from protocol.messages.list_offsets import ListOffsetsRequest  # noqa: PLC0415

        wanted = ListOffsetsRequest.ListOffsetsPartition(partition_index=partition, timestamp=timestamp)
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=int(read_committed),
            topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=[wanted])],
        )
        response = await self.call(request)
        answer = response.topics[0].partitions[0]
        _check(answer.error_code, None)
        return int(answer.offset)

    async def metadata(
        self, topics: Sequence[str] | None = None, *, auto_create: bool = False
    ) -> MetadataResponse:
        """Return brokers and `topics`, all topics when None. Errors stay with the topics that they concern."""
        from protocol.messages.metadata import MetadataRequest  # noqa: PLC0415

        names = (
            None if topics is None else [MetadataRequest.MetadataRequestTopic(name=name) for name in topics]
        )
        request = MetadataRequest(topics=cast("Any", names), allow_auto_topic_creation=auto_create)
        return cast("MetadataResponse", await self.call(request))

    async def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication_factor: int = 1,
        configs: Mapping[str, str] | None = None,
        timeout_ms: int = 30_000,
    ) -> CreateTopicsResponse.CreatableTopicResult:
        """Create a topic; return what the broker says of it, its id among that."""
        from protocol.messages.create_topics import CreateTopicsRequest  # noqa: PLC0415

        topic = CreateTopicsRequest.CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=replication_factor,
            configs=[
                CreateTopicsRequest.CreatableTopicConfig(name=key, value=value)
                for key, value in (configs or {}).items()
            ],
        )
        response = await self.call(CreateTopicsRequest(topics=[topic], timeout_ms=timeout_ms))
        answer = response.topics[0]
        _check(answer.error_code, answer.error_message)
        return cast("CreateTopicsResponse.CreatableTopicResult", answer)

    async def close(self) -> None:
        """Close the connection; calls that still wait fail with ConnectionError."""
        self._wire.close()
        await self._wire.lost(CLOSE_TIMEOUT_S)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call_by_name(self, request: Message) -> Any:
        version = self._wire.connection.version_for(type(request), _NAMED_TOPICS_VERSION_MAX)
        return await self.call(request, version=version)


class _Wire(asyncio.Protocol):
    """Moves bytes between a transport and a `ClientConnection`, and wakes whoever waits for an answer."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.is_lost = False
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()

    def send(self, request: Message, version: int | None) -> asyncio.Future[Message] | None:
        """Send a request; return its answer to come, None when there will be none."""
        if self.is_lost:
            raise ConnectionResetError("the connection is closed")
        correlation_id = self.connection.send(request, version)
        self._flush()
        if correlation_id is None:
            return None
        answer = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        return answer

    async def handshake(self) -> None:
        self.connection.handshake()
        self._flush()
        await self._ready

    async def writable(self) -> None:
        """Wait until the transport's buffer has room again."""
        await self._writable.wait()

    async def lost(self, timeout_s: float) -> None:
        """Wait until what was sent has left and the connection has ended; cut it when that takes too long."""
        await asyncio.wait([self._lost], timeout=timeout_s)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is None:
            self.connection_lost(None)
        else:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        connection = self.connection
        connection.receive_data(data)
        try:
            while (response := connection.next_response()) is not None:
                answer = self._waiting.pop(response.correlation_id)
                if not answer.done():  # a caller that gave up has cancelled it
                    answer.set_result(response.message)
        except ProtocolViolation as error:
            self._fail(error)
            return
        if not self._ready.done():
            self._flush()
            if connection.versions is not None:
                self._ready.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionResetError("the connection was closed"))
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.writelines(cast("list[bytes]", self.connection.take_outgoing()))

    def _fail(self, error: Exception) -> None:
        """End the connection: whoever waits gets a ConnectionError."""
        self.is_lost = True
        self._writable.set()
        waiting: list[asyncio.Future[Any]] = [*self._waiting.values(), self._ready]
        self._waiting.clear()
        for answer in waiting:
            if not answer.done():
                reason = ConnectionResetError(f"the connection ended: {error}")
                reason.__cause__ = error
                answer.set_exception(reason)
                answer.exception()  # seen: nobody may be waiting any more
        if self._transport is not None:
            self._transport.abort()


def _check(code: int, message: str | None) -> None:
    if code != ErrorCode.NONE:
        raise BrokerError(ErrorCode(code), message)
