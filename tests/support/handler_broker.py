"""What handlers of metadata need of a broker: a store in memory, real configuration, a client on a listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from logd.authorisation import Operation, ResourceType
from logd.config.broker_config import BrokerConfig, load_config
from logd.metadata.log import MetadataLog
from logd.producer_ids import ProducerIds
from protocol.codec import decode, encode_bytes
from protocol.messages.message import Message
from storage.fs.memory import MemoryFileSystem
from tests.support.metadata_store import NODE_ID, start_store

M = TypeVar("M", bound=Message)

CLUSTER_ID = "abcdefghijklmnopqrstuv"


class Client:
    """Stands in for RequestContext: one request of a version, come in on a listener."""

    def __init__(self, version: int, listener: str = "PLAINTEXT") -> None:
        self.version = version
        self.listener = listener


class HandlerBroker:
    """The part of Broker that the handlers of metadata use."""

    def __init__(self, store: MetadataLog, config: BrokerConfig) -> None:
        self.metadata = store
        self.config = config
        self.cluster_id = CLUSTER_ID
        self.node_id = NODE_ID
        self.producer_ids = ProducerIds(store, NODE_ID)
        self.replicas = self
        self.offline: set[tuple[str, int]] = set()
        """Partitions that this node cannot serve."""
        self.denied: set[tuple[Operation, str]] = set()
        """What an authoriser would refuse: operation and name of the resource."""

    def is_offline(self, topic: str, index: int) -> bool:
        return (topic, index) in self.offline

    def authorise(self, context: Client, operation: Operation, resource: ResourceType, name: str) -> bool:
        return (operation, name) not in self.denied


def with_broker(
    scenario: Callable[[HandlerBroker], Coroutine[Any, Any, None]], *properties: str, **options: Any
) -> None:
    """Run `scenario` on a broker with the given `key=value` properties."""

    async def run() -> None:
        config = load_config(["log.dirs=/data", *properties])
        store = await start_store(MemoryFileSystem(), **options)
        await scenario(HandlerBroker(store, config))

    asyncio.run(run())


async def answer(handle: Any, broker: HandlerBroker, request: Message, version: int, **client: Any) -> Any:
    """Call a handler as the dispatcher does, and check that its answer can be written in the version asked for."""
    response = handle(broker, request, Client(version, **client))
    if not isinstance(response, Message):
        response = await response
    written = encode_bytes(response, version)
    read = decode(type(response), version, written)
    assert encode_bytes(read, version) == written
    return read
