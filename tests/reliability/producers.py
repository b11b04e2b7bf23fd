"""Producers that go on through every crash of the broker, and put down in a ledger what they were promised.

A plain producer sends a batch once: when the connection ends first, the batch may be there or not, and the producer
goes on with the next. An idempotent one sends what is not acknowledged again, in order, until it is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import NamedTuple

from logd.clients.client import Client
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.record_builder import RecordBatchBuilder
from protocol.types import TopicPartition
from tests.reliability.ledger import Ledger

IN_FLIGHT = 3
RECONNECT_S = 0.01
SEQUENCES = 1 << 31

Address = tuple[str, int]


class _Sending(NamedTuple):
    batch: bytes
    answer: asyncio.Task[int]


class SteadyProducer:
    """Keeps `IN_FLIGHT` batches on the way to one partition."""

    def __init__(
        self,
        address: Address,
        ledger: Ledger,
        partition: TopicPartition,
        *,
        source: random.Random,
        codec: Codec = Codec.NONE,
        acks: int = -1,
        idempotent: bool = False,
    ) -> None:
        self._address = address
        self._ledger = ledger
        self._partition = partition
        self._random = source
        self._codec = codec
        self._acks = acks
        self._idempotent = idempotent
        self._sequence = 0
        self._unacknowledged: deque[bytes] = deque()
        self.producer_id = -1

    async def run(self, stop: asyncio.Event) -> None:
        """Produce until `stop` is set; what an idempotent producer began, it finishes."""
        while not stop.is_set() or self._unacknowledged:
            try:
                async with await Client.connect(*self._address) as client:
                    if self._idempotent and self.producer_id < 0:
                        self.producer_id = await new_producer_id(client)
                    await self._use(client, stop)
            except OSError:
                await asyncio.sleep(RECONNECT_S)
            if not self._idempotent:
                self._unacknowledged.clear()

    async def _use(self, client: Client, stop: asyncio.Event) -> None:
        sending = deque(self._send(client, batch) for batch in self._unacknowledged)
        try:
            while True:
                while len(sending) < IN_FLIGHT and not stop.is_set():
                    sending.append(self._send(client, self._next_batch()))
                if not sending:
                    return
                offset = await sending[0].answer
                batch = sending.popleft().batch
                self._ledger.acknowledge(self._partition, offset, batch)
                self._unacknowledged.popleft()
        finally:
            for _, answer in sending:
                answer.cancel()
            await asyncio.gather(*(answer for _, answer in sending), return_exceptions=True)

    def _send(self, client: Client, batch: bytes) -> _Sending:
        return _Sending(batch, asyncio.create_task(self._produce(client, batch)))

    async def _produce(self, client: Client, batch: bytes) -> int:
        """Return the base offset."""
        answer = await client.produce(*self._partition, batch, self._acks)
        assert answer is not None
        return answer.base_offset

    def _next_batch(self) -> bytes:
        source = self._random
        builder = RecordBatchBuilder(
            codec=self._codec,
            producer_id=self.producer_id,
            producer_epoch=0 if self._idempotent else -1,
            base_sequence=self._sequence if self._idempotent else -1,
        )
        for _ in range(source.randrange(1, 12)):
            value = source.randbytes(source.choice((16, 100, 1000))) * source.randrange(1, 5)
            # Of now: as in Kafka, a producer whose last record is a day old is forgotten when its log is opened.
            builder.append(value, key=source.randbytes(8), timestamp_ms=time.time_ns() // 1_000_000)
        self._sequence = (self._sequence + len(builder)) % SEQUENCES
        batch = bytes(builder.build())
        self._ledger.send(self._partition, batch)
        self._unacknowledged.append(batch)
        return batch


async def new_producer_id(client: Client) -> int:
    answer = await client.call(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000))
    if answer.error_code:
        raise BrokerError(ErrorCode(answer.error_code))
    return int(answer.producer_id)
