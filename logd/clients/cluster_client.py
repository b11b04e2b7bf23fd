"""A client of a whole cluster: the way in through any of its nodes, and to each partition's leader.

Connections are made when they are first needed and kept; `metadata` remembers where nodes and leaders are. A leader
that has moved, or is not elected yet, is looked up again once a pause later: `on_leader`. What a broker refuses is
BrokerError; a broker that cannot be reached, or is silent, is Unreachable, which says what to do about it.

Not here: batching, groups, reconnecting in the background. One asyncio task at a time may use it, but calls may
overlap. Applications use an ordinary Kafka client.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

from logd.clients.client import CONNECT_TIMEOUT_S, Client
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from protocol.messages.message import Message
    from protocol.messages.metadata import MetadataResponse
    from protocol.types import NodeId

T = TypeVar("T")

RETRY_PAUSE_S = 0.25
_MOVED = frozenset(
    (
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.REPLICA_NOT_AVAILABLE,
    )
)


class Unreachable(ConnectionError):
    """No broker could be talked to. One line: what was tried, what happened, what to do."""


class ClusterClient:
    """Connections to the nodes of one cluster. Make it with `ClusterClient.connect`; close it, or use `async with`."""

    def __init__(
        self,
        client: Client,
        address: tuple[str, int],
        bootstrap: Sequence[tuple[str, int]],
        client_id: str,
        timeout_s: float,
    ) -> None:
        """`bootstrap`: all that may be asked, `address` among them."""
        self._any = client
        self._address = address
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._nodes: dict[NodeId, tuple[str, int]] = {}
        self._connections: dict[tuple[str, int], Client] = {address: client}
        self._connecting: dict[tuple[str, int], asyncio.Lock] = {}
        self._leaders: dict[tuple[str, int], NodeId] = {}

    @classmethod
    async def connect(
        cls, bootstrap: Sequence[tuple[str, int]], *, client_id: str = "logd", timeout_s: float = 30.0
    ) -> ClusterClient:
        """Connect to the first of `bootstrap` (host, port) that answers.

        `timeout_s` bounds every wait for an answer, this one included. Raises Unreachable.
        """
        client, address = await _open_first(bootstrap, client_id, timeout_s)
        return cls(client, address, bootstrap, client_id, timeout_s)

    async def reconnect(self) -> None:
        """Where the connection that anything is asked on has ended, open one to whoever answers now.

        Asked are the bootstrap addresses, then the nodes that were known. Raises Unreachable.
        """
        if not self._any.is_closed:
            return
        addresses = list(dict.fromkeys((*self._bootstrap, *self._nodes.values())))
        self._any, self._address = await _open_first(addresses, self._client_id, self._timeout_s)
        self._connections[self._address] = self._any

    @property
    def any(self) -> Client:
        """The connection that everything may be asked on which is no partition's, nor a certain node's."""
        return self._any

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `any`, as they were given."""
        return self._address

    async def call(self, request: Message, *, node: NodeId | None = None, version: int | None = None) -> Any:
        """Ask any node, or the one that is named, and return its answer.

        Raises: BrokerError UNSUPPORTED_VERSION when the node does not know the request; Unreachable.
        """
        client = self._any if node is None else await self.node(node)
        return await self.call_on(client, request, version=version)

    async def call_on(self, client: Client, request: Message, *, version: int | None = None) -> Any:
        """As `call`, over a connection that `node` or `leader` returned."""
        if request.API_KEY not in client.versions:
            name = request.NAME.removesuffix("Request")
            raise BrokerError(ErrorCode.UNSUPPORTED_VERSION, f"the broker does not offer {name}")
        try:
            return await client.call(request, version=version, timeout_s=self._timeout_s)
        except TimeoutError:
            text = f"the broker did not answer within {self._timeout_s:g} s; wait longer with --timeout"
            raise Unreachable(text) from None

    async def metadata(self, topics: Sequence[str] | None = None) -> MetadataResponse:
        """Ask for nodes and `topics`, all topics when None, and remember where they are. Nothing is created.

        Errors stay with the topics and partitions that they concern.
        """
        from protocol.messages.metadata import MetadataRequest  # noqa: PLC0415 - a client loads what it uses

        names = (
            None if topics is None else [MetadataRequest.MetadataRequestTopic(name=name) for name in topics]
        )
        request = MetadataRequest(topics=names, allow_auto_topic_creation=False)
        response = cast("MetadataResponse", await self.call(request))
        self._nodes = {row.node_id: (row.host, row.port) for row in response.brokers}
        for topic in response.topics:
            for partition in topic.partitions:
                self._leaders[topic.name or "", partition.partition_index] = partition.leader_id
        return response

    async def node(self, node_id: NodeId) -> Client:
        """A connection to one node. Raises: BrokerError BROKER_NOT_AVAILABLE for an unknown one; Unreachable."""
        address = self._nodes.get(node_id)
        if address is None:
            await self.metadata([])
            address = self._nodes.get(node_id)
        if address is None:
            raise BrokerError(ErrorCode.BROKER_NOT_AVAILABLE, f"the cluster has no live node {node_id}")
        async with self._connecting.setdefault(address, asyncio.Lock()):
            client = self._connections.get(address)
            if client is None or client.is_closed:
                client = self._connections[address] = await self._open_advertised(node_id, address)
        return client

    async def leader_id(self, topic: str, partition: int) -> NodeId:
        """Who leads a partition, as far as is known. Raises BrokerError for an unknown one, or one without leader."""
        leader = self._leaders.get((topic, partition), -1)
        if leader < 0:
            leader = await self._find_leader(topic, partition)
        return leader

    async def leader(self, topic: str, partition: int) -> Client:
        """A connection to a partition's leader. Raises as `leader_id` and `node`."""
        return await self.node(await self.leader_id(topic, partition))

    def forget_leader(self, topic: str, partition: int) -> None:
        """Look the leader up again when it is next asked for."""
        self._leaders.pop((topic, partition), None)

    async def on_leader(self, topic: str, partition: int, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do `work` on a partition's leader; once more where leadership has moved or the connection has ended.

        `work` raises BrokerError for an error code of the partition, as Client's own methods do.
        """
        try:
            return await work(await self.leader(topic, partition))
        except BrokerError as error:
            if not has_moved(error):
                raise
        except (ConnectionError, TimeoutError) as error:
            if isinstance(error, (Unreachable, TimeoutError)):
                raise
        self.forget_leader(topic, partition)
        await asyncio.sleep(RETRY_PAUSE_S)
        return await work(await self.leader(topic, partition))

    async def close(self) -> None:
        for client in self._connections.values():
            await client.close()

    async def __aenter__(self) -> ClusterClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _find_leader(self, topic: str, partition: int) -> NodeId:
        response = await self.metadata([topic])
        row = response.topics[0]
        if row.error_code != ErrorCode.NONE:
            raise broker_error(row.error_code, None)
        found = next((each for each in row.partitions if each.partition_index == partition), None)
        if found is None:
            raise BrokerError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"topic {topic} has no partition {partition}"
            )
        if found.leader_id < 0:
            raise BrokerError(ErrorCode.LEADER_NOT_AVAILABLE)
        return found.leader_id

    async def _open_advertised(self, node_id: NodeId, address: tuple[str, int]) -> Client:
        """Connect to where a node says it is. Wrong advertised listeners show here, so this is where they are named."""
        try:
            return await _open(address, self._client_id, min(CONNECT_TIMEOUT_S, self._timeout_s))
        except Unreachable as error:
            asked = format_address(self._address)
            text = f"{asked} names {format_address(address)} as the address of node {node_id}, but {error}"
            raise Unreachable(f"{text}; check the node's advertised.listeners") from None


def has_moved(answer: object) -> bool:
    """Whether it is an error after which the partition's leader should be looked up again."""
    return isinstance(answer, BrokerError) and answer.code in _MOVED


def broker_error(code: int, message: str | None) -> BrokerError:
    """The error that a response carries, codes of later brokers included."""
    try:
        return BrokerError(ErrorCode(code), message or None)
    except ValueError:
        return BrokerError(ErrorCode.UNKNOWN_SERVER_ERROR, message or f"error code {code}")


def format_address(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _open_first(
    addresses: Sequence[tuple[str, int]], client_id: str, timeout_s: float
) -> tuple[Client, tuple[str, int]]:
    """Connect to the first that answers. Raises Unreachable."""
    failures: list[str] = []
    # Silent hosts share the time, so that the next one is tried before the user's patience ends.
    share_s = min(CONNECT_TIMEOUT_S, timeout_s / len(addresses))
    for address in addresses:
        try:
            return await _open(address, client_id, share_s), address
        except Unreachable as error:
            failures.append(str(error))
    hint = "name a running broker with --bootstrap"
    raise Unreachable(f"{', '.join(failures)}; {hint}")


async def _open(address: tuple[str, int], client_id: str, timeout_s: float) -> Client:
    where = format_address(address)
    try:
        return await Client.connect(*address, client_id=client_id, timeout_s=timeout_s)
    except TimeoutError:
        raise Unreachable(f"no answer from {where} within {timeout_s:g} s") from None
    except UnicodeError:
        raise Unreachable(f"cannot connect to {where}: that is no host name") from None
    except OSError as error:
        if isinstance(error.__cause__, ProtocolViolation):
            raise Unreachable(f"what answers at {where} is not a Kafka broker, or expects TLS") from None
        raise Unreachable(f"cannot connect to {where}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """Why a connection failed, in the system's words; asyncio puts several attempts (IPv6, IPv4) into one text."""
    if type(error).__name__ == "gaierror":
        return f"the name cannot be resolved ({error.strerror})"
    numbers = [error.errno or 0, *map(int, re.findall(r"\[Errno (\d+)\]", str(error)))]
    number = next((each for each in reversed(numbers) if each), 0)
    return os.strerror(number).lower() if number else str(error)
