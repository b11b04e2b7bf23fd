"""A transactional producer and a reader by hand, request by request, over `logd.clients`: for logd and for Kafka.

A test sees the code of each request; nothing is tried again but by `until_settled`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.fetched import readable_batches
from protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from protocol.messages.end_txn import EndTxnRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.list_transactions import ListTransactionsRequest
from protocol.messages.produce import ProduceRequest
from protocol.record_builder import build_batch
from protocol.records import Record, iter_records
from tests.support.leaders import NOT_YET
from tests.support.patience import PATIENCE_S, insist_async, until_settled

Partition = tuple[str, int]
Added = dict[Partition, ErrorCode]


class Identity(NamedTuple):
    producer_id: int
    epoch: int


NOBODY = Identity(-1, -1)


class Told(NamedTuple):
    """A code, and who the producer is from now on."""

    code: ErrorCode
    identity: Identity


class Producer:
    """One transactional id on one connection. `identity` is who it takes itself for; a test may change that."""

    def __init__(self, client: Client, transactional_id: str) -> None:
        self.client = client
        self.transactional_id = transactional_id
        self.identity = NOBODY
        self._sequences: dict[tuple[Identity, Partition], int] = {}

    # -- identity --------------------------------------------------------------------------------------------

    async def find(self) -> None:
        """Have the coordinator found, which makes the topic of transactions if there is none yet, and wait until it has
        loaded all of that.
        """
        request = FindCoordinatorRequest(key_type=1, coordinator_keys=[self.transactional_id])

        async def ask() -> Any:
            return (await self.client.call(request, version=4)).coordinators[0]

        found = await until_settled(ask, lambda row: ErrorCode(row.error_code))
        assert found.error_code == 0, ErrorCode(found.error_code)
        await until_settled(self._list_transactions, ErrorCode)

    async def _list_transactions(self) -> int:
        return int((await self.client.call(ListTransactionsRequest(), version=0)).error_code)

    async def init(
        self, version: int = 5, *, timeout_ms: int = 60_000, current: Identity = NOBODY, keep: bool = True
    ) -> Told:
        """Ask for an identity, once; take it on if there is one and `keep`."""
        request = InitProducerIdRequest(
            transactional_id=self.transactional_id,
            transaction_timeout_ms=timeout_ms,
            producer_id=current.producer_id,
            producer_epoch=current.epoch,
        )
        response = await self.client.call(request, version=version)
        told = Told(ErrorCode(response.error_code), Identity(response.producer_id, response.producer_epoch))
        if told.code is ErrorCode.NONE and keep:
            self.identity = told.identity
        return told

    async def begin(self, version: int = 5, **fields: Any) -> Identity:
        """Find the coordinator and get an identity, however often that has to be asked for."""
        await self.find()
        told = await until_settled(lambda: self.init(version, **fields), lambda answer: answer.code)
        assert told.code is ErrorCode.NONE, told.code
        return told.identity

    # -- what takes part -------------------------------------------------------------------------------------

    async def add(self, *partitions: Partition, version: int = 3, verify_only: bool = False) -> Added:
        """AddPartitionsToTxn, as a client sends it up to version 3, as a broker does from 4 on."""
        topics = _by_topic(partitions)
        if version <= 3:
            request = AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=self.transactional_id,
                v3_and_below_producer_id=self.identity.producer_id,
                v3_and_below_producer_epoch=self.identity.epoch,
                v3_and_below_topics=topics,
            )
            response = await self.client.call(request, version=version)
            return _added(response.results_by_topic_v3_and_below)
        transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
            transactional_id=self.transactional_id,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            verify_only=verify_only,
            topics=topics,
        )
        response = await self.client.call(
            AddPartitionsToTxnRequest(transactions=[transaction]), version=version
        )
        assert response.error_code == 0, ErrorCode(response.error_code)
        (result,) = response.results_by_transaction
        assert result.transactional_id == self.transactional_id
        return _added(result.topic_results)

    async def add_one(self, topic: str, index: int = 0, **fields: Any) -> ErrorCode:
        return (await self.add((topic, index), **fields))[topic, index]

    async def add_offsets(self, group_id: str, version: int = 4) -> ErrorCode:
        request = AddOffsetsToTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            group_id=group_id,
        )
        return ErrorCode((await self.client.call(request, version=version)).error_code)

    # -- records ---------------------------------------------------------------------------------------------

    async def produce(
        self, topic: str, *values: bytes, index: int = 0, version: int = 11, transactional: bool = True
    ) -> ErrorCode:
        """Append one batch of these values; from version 12 on, the broker adds the partition by itself."""
        key = (self.identity, (topic, index))
        sequence = self._sequences.get(key, 0)
        now_ms = int(time.time() * 1000)
        batch = build_batch(
            [Record(i, now_ms, b"k", value) for i, value in enumerate(values)],
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            base_sequence=sequence,
            transactional=transactional,
        )
        data = ProduceRequest.PartitionProduceData(index=index, records=batch)
        request = ProduceRequest(
            transactional_id=self.transactional_id,
            acks=-1,
            timeout_ms=30_000,
            topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=[data])],
        )
        response = await self.client.call(request, version=version)
        code = ErrorCode(response.responses[0].partition_responses[0].error_code)
        if code is ErrorCode.NONE:
            self._sequences[key] = sequence + len(values)
        return code

    # -- the end ---------------------------------------------------------------------------------------------

    async def end(self, *, commit: bool, version: int = 4) -> Told:
        """EndTxn, once. From version 5 on the answer says who the producer is from now on."""
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            committed=commit,
        )
        response = await self.client.call(request, version=version)
        told = Told(ErrorCode(response.error_code), Identity(response.producer_id, response.producer_epoch))
        if told.code is ErrorCode.NONE and version >= 5:
            self.identity = told.identity
        return told

    async def commit(self, version: int = 4) -> ErrorCode:
        return (await until_settled(lambda: self.end(commit=True, version=version), _code)).code

    async def abort(self, version: int = 4) -> ErrorCode:
        return (await until_settled(lambda: self.end(commit=False, version=version), _code)).code


async def committed(client: Client, topic: str, index: int = 0) -> list[bytes]:
    """Return the values that a reader of committed records finds, up to the last stable offset."""
    values: list[bytes] = []
    offset = 0
    while True:
        end = await client.list_offset(topic, index, read_committed=True)
        if offset >= end:
            return values
        answer = await client.fetch(topic, index, offset, max_wait_ms=0, read_committed=True)
        aborted = [(row.producer_id, row.first_offset) for row in answer.aborted_transactions or ()]
        fetched = readable_batches(answer.records, offset, aborted)
        for batch in fetched.batches:
            values += [
                bytes(record.value or b"") for record in iter_records(batch.batch) if record.offset >= offset
            ]
        offset = fetched.next_offset


async def all_committed(client: Client, topic: str, expected: Sequence[bytes], index: int = 0) -> None:
    """Wait until the last stable offset is at the end, and check what can be read then."""
    async with asyncio.timeout(PATIENCE_S):
        while await client.list_offset(topic, index, read_committed=True) < await client.list_offset(
            topic, index
        ):
            await asyncio.sleep(0.01)
    assert await committed(client, topic, index) == list(expected)


async def topic_made(client: Client, topic: str, partitions: int = 1) -> None:
    """Create a topic and wait until all of it can be used."""
    await client.create_topic(topic, partitions=partitions)
    for index in range(partitions):
        await insist_async(lambda index=index: client.list_offset(topic, index), NOT_YET)  # type: ignore[misc]


def _code(told: Told) -> ErrorCode:
    return told.code


def _by_topic(partitions: Sequence[Partition]) -> list[AddPartitionsToTxnRequest.AddPartitionsToTxnTopic]:
    topics: dict[str, list[int]] = {}
    for topic, index in partitions:
        topics.setdefault(topic, []).append(index)
    return [
        AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=name, partitions=indexes)
        for name, indexes in topics.items()
    ]


def _added(results: Any) -> Added:
    return {
        (topic.name, row.partition_index): ErrorCode(row.partition_error_code)
        for topic in results
        for row in topic.results_by_partition
    }
