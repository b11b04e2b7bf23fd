"""Topics that come and go while the broker is killed, and the check that each answer given is kept."""

from __future__ import annotations

import asyncio
import random
from itertools import count

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.delete_topics import DeleteTopicsRequest
from protocol.record_builder import RecordBatchBuilder
from protocol.types import TopicPartition
from tests.reliability.ledger import Ledger
from tests.reliability.producers import RECONNECT_S, Address


class TopicChurn:
    """Makes topics, writes a batch to each, and deletes two in three of them."""

    def __init__(self, address: Address, ledger: Ledger, source: random.Random) -> None:
        self._address = address
        self._ledger = ledger
        self._random = source
        self._names = (f"churn-{number}" for number in count())
        self.created: set[str] = set()
        """Acknowledged, and nobody asked for their removal."""
        self.deleted: set[str] = set()
        """Removal acknowledged."""

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with await Client.connect(*self._address) as client:
                    while not stop.is_set():
                        await self._one_topic(client, next(self._names))
            except OSError:
                await asyncio.sleep(RECONNECT_S)

    async def audit(self, client: Client) -> None:
        present = {topic.name for topic in (await client.metadata()).topics}
        assert self.created <= present, f"lost: {self.created - present}"
        assert not self.deleted & present, f"back again: {self.deleted & present}"

    async def _one_topic(self, client: Client, name: str) -> None:
        await client.create_topic(name, partitions=2)
        self.created.add(name)
        await self._write(client, TopicPartition(name, 1))
        if self._random.random() < 0.67:
            self.created.discard(name)
            self._ledger.forget(name)
            await delete_topic(client, name)
            self.deleted.add(name)
        await asyncio.sleep(0.02)

    async def _write(self, client: Client, partition: TopicPartition) -> None:
        builder = RecordBatchBuilder()
        builder.append(self._random.randbytes(100))
        batch = bytes(builder.build())
        self._ledger.send(partition, batch)
        answer = await client.produce(*partition, batch)
        assert answer is not None
        self._ledger.acknowledge(partition, answer.base_offset, batch)


async def delete_topic(client: Client, name: str) -> None:
    """Raises: BrokerError."""
    state = DeleteTopicsRequest.DeleteTopicState(name=name)
    answer = await client.call(DeleteTopicsRequest(topics=[state], timeout_ms=30_000))
    code = ErrorCode(answer.responses[0].error_code)
    if code:
        raise BrokerError(code)
