"""Sending what waits in a ProduceQueue to the partitions' leaders, until it is acknowledged or there is no hope.

Rounds: the first batch of every partition goes out, one request for each leader, and the next round starts when all
have answered. Meanwhile further input gathers, so that batches grow as the broker gets slower, and a lone line waits
for nothing but the linger time. A batch that meets a passing failure stays first in line and goes out again; with
acks=all it carries producer id and sequence numbers (KIP-98), so the broker recognises one that it has already.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from logd.cli.patience import Patience
from logd.clients.cluster_client import broker_error
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.records import NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE

if TYPE_CHECKING:
    from logd.cli.produce_queue import Batch, ProduceQueue
    from logd.clients.cluster_client import ClusterClient
    from protocol.compression import Codec
    from protocol.types import NodeId

BUFFERED_BYTES_MAX = 8 << 20
"""Input is read no further while so much waits."""

TOO_LARGE = (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE)

_ACKS_ALL = -1
_NAMED_TOPICS_VERSION_MAX = 12  # from 13 on topics have ids only
_BROKER_TIMEOUT_MS_MAX = 30_000
_STORED = (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER)


class Undeliverable(Exception):
    """A record that the broker will not take, ever, or did not take in time."""

    def __init__(self, number: int, reason: BrokerError | OSError) -> None:
        super().__init__(str(reason))
        self.number = number
        """Which record of the input: the one at fault where that is known, else the first that was not acknowledged."""
        self.reason = reason


class Settings(NamedTuple):
    """What the options say of a delivery."""

    topic: str
    codec: Codec
    acks: int
    linger_s: float
    timeout_s: float
    """How long failures may go on without a single success between them."""


class Delivery:
    """Runs as one task (`run`) beside the one that reads input (`wake`, `room`, `finish`)."""

    def __init__(self, cluster: ClusterClient, queue: ProduceQueue, settings: Settings) -> None:
        self._cluster = cluster
        self._queue = queue
        self._settings = settings
        self._producer = (NO_PRODUCER_ID, NO_PRODUCER_EPOCH)
        self._next_sequence: dict[int, int] = {}
        self._arrived = asyncio.Event()
        self._must_send = asyncio.Event()
        self._room = asyncio.Event()
        self._finished = False
        self._patience = Patience(cluster, settings.timeout_s)
        self.acknowledged = 0
        """Records that the broker has; with acks=0, that were sent."""

    def wake(self) -> None:
        """There is something new in the queue."""
        self._arrived.set()
        if self._queue.has_closed_batch:
            self._must_send.set()

    async def room(self) -> None:
        """Wait until the queue may take more input."""
        while self._queue.buffered_bytes >= BUFFERED_BYTES_MAX:
            self._must_send.set()
            self._room.clear()
            await self._room.wait()

    def finish(self) -> None:
        """There is no more input."""
        self._finished = True
        self._arrived.set()
        self._must_send.set()

    async def run(self) -> None:
        """Send until the input is finished and all of it acknowledged. Raises Undeliverable."""
        while not (self._finished and self._queue.is_empty):
            if self._queue.is_empty:
                self._arrived.clear()
                await self._arrived.wait()
            if not self._queue.has_closed_batch:
                await self._linger()
            if not self._finished:
                self._must_send.clear()
            if not self._queue.is_empty:
                await self._round()

    async def _linger(self) -> None:
        if self._settings.linger_s:
            with suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation in Python 3.11.
                async with asyncio.timeout(self._settings.linger_s):
                    await self._must_send.wait()

    async def _round(self) -> None:
        batches = self._queue.take()
        try:
            await self._identify()
            by_leader: dict[NodeId, dict[int, Batch]] = {}
            for partition, batch in batches.items():
                leader = await self._cluster.leader_id(self._settings.topic, partition)
                by_leader.setdefault(leader, {})[partition] = batch
        except (BrokerError, OSError) as error:
            await self._failed(batches, error)
            return
        await asyncio.gather(*(self._send(leader, group) for leader, group in by_leader.items()))
        self._room.set()

    async def _identify(self) -> None:
        """Get a producer id, once, so that what is sent twice is stored once."""
        if self._settings.acks != _ACKS_ALL or self._producer[0] != NO_PRODUCER_ID:
            return
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
        answer = await self._cluster.call(request)
        if answer.error_code != ErrorCode.NONE:
            raise broker_error(answer.error_code, None)
        self._producer = (answer.producer_id, answer.producer_epoch)

    async def _send(self, leader: NodeId, batches: dict[int, Batch]) -> None:
        """Send batches to one leader, and deal with what becomes of each."""
        request = self._request(batches)
        try:
            client = await self._cluster.node(leader)
            version = min(_NAMED_TOPICS_VERSION_MAX, client.versions[request.API_KEY][1])
            response: ProduceResponse | None = await self._cluster.call_on(client, request, version=version)
        except (BrokerError, OSError) as error:
            await self._failed(batches, error)
            return
        if response is None:  # acks=0
            for partition, batch in batches.items():
                self._delivered(partition, batch)
        else:
            await self._settle(batches, response)

    async def _settle(self, batches: dict[int, Batch], response: ProduceResponse) -> None:
        refused: dict[int, Batch] = {}
        reason: BrokerError | None = None
        for answer in response.responses[0].partition_responses:
            batch = batches[answer.index]
            if answer.error_code in _STORED:
                self._delivered(answer.index, batch)
            elif answer.error_code in TOO_LARGE and batch.count > 1:
                self._queue.split(answer.index)
            else:
                reason = broker_error(answer.error_code, answer.error_message)
                refused[answer.index] = batch
                if not reason.code.retriable:
                    at_fault = answer.record_errors[0].batch_index if answer.record_errors else 0
                    raise Undeliverable(batch.number(at_fault), reason)
        if reason is not None:
            await self._failed(refused, reason)

    def _request(self, batches: dict[int, Batch]) -> ProduceRequest:
        settings = self._settings
        rows = [
            ProduceRequest.PartitionProduceData(index=partition, records=self._build(partition, batch))
            for partition, batch in batches.items()
        ]
        return ProduceRequest(
            transactional_id=None,
            acks=settings.acks,
            timeout_ms=min(int(settings.timeout_s * 1000), _BROKER_TIMEOUT_MS_MAX),
            topic_data=[ProduceRequest.TopicProduceData(name=settings.topic, partition_data=rows)],
        )

    def _build(self, partition: int, batch: Batch) -> bytearray:
        producer_id, epoch = self._producer
        has_id = producer_id != NO_PRODUCER_ID
        sequence = self._next_sequence.get(partition, 0) if has_id else NO_SEQUENCE
        return batch.build(self._settings.codec, producer_id, epoch, sequence)

    def _delivered(self, partition: int, batch: Batch) -> None:
        self._queue.settle(partition)
        self._next_sequence[partition] = (self._next_sequence.get(partition, 0) + batch.count) & 0x7FFFFFFF
        self.acknowledged += batch.count
        self._patience.succeeded()

    async def _failed(self, batches: dict[int, Batch], reason: BrokerError | OSError) -> None:
        """Wait before the next round, which sends these again, or raise Undeliverable."""
        try:
            await self._patience.failed(reason)
        except (BrokerError, OSError) as error:
            raise Undeliverable(min(batch.number(0) for batch in batches.values()), error) from None
        for partition in batches:
            self._cluster.forget_leader(self._settings.topic, partition)
