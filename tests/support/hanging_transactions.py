"""A transaction that hangs, as they came about before brokers verified them: its coordinator was never told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from logd.cli.parser import addresses
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.configs import ConfigOperation, ConfigResourceType
from protocol.errors import ErrorCode
from protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.produce import ProduceRequest
from protocol.record_builder import RecordBatchBuilder

HOUR_MS = 3_600_000
NODE = 1

_VERIFICATION = "transaction.partition.verification.enable"
_PRODUCE_VERSION = 9


class HangingTransaction(NamedTuple):
    producer_id: int
    producer_epoch: int


@contextmanager
def hanging_transaction(bootstrap: str, topic: str, index: int) -> Iterator[HangingTransaction]:
    """A transaction whose one record, `x`, was written an hour ago, as it says. Nothing is verified meanwhile."""
    asyncio.run(_verify(bootstrap, False))
    try:
        yield asyncio.run(_begin(bootstrap, topic, index))
    finally:
        asyncio.run(_verify(bootstrap, None))


async def _verify(bootstrap: str, value: bool | None) -> None:
    """Set whether brokers verify; None for the default."""
    change = IncrementalAlterConfigsRequest.AlterableConfig(
        name=_VERIFICATION,
        config_operation=ConfigOperation.DELETE if value is None else ConfigOperation.SET,
        value=None if value is None else str(value).lower(),
    )
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=ConfigResourceType.BROKER, resource_name=str(NODE), configs=[change]
    )
    async with await ClusterClient.connect(addresses(bootstrap)) as cluster:
        answer = await cluster.call(IncrementalAlterConfigsRequest(resources=[resource]))
    assert answer.responses[0].error_code == ErrorCode.NONE, answer.responses[0].error_message


async def _begin(bootstrap: str, topic: str, index: int) -> HangingTransaction:
    async with await ClusterClient.connect(addresses(bootstrap)) as cluster:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        while (answer := await cluster.call(request)).error_code != ErrorCode.NONE:
            await asyncio.sleep(0.05)  # Kafka has no ids yet when it is ready
        transaction = HangingTransaction(answer.producer_id, answer.producer_epoch)
        await _write(cluster, topic, index, transaction)
        return transaction


async def _write(cluster: ClusterClient, topic: str, index: int, transaction: HangingTransaction) -> None:
    builder = RecordBatchBuilder(
        producer_id=transaction.producer_id,
        producer_epoch=transaction.producer_epoch,
        base_sequence=0,
        transactional=True,
    )
    builder.extend([None], [b"x"], timestamp_ms=int(time.time() * 1000) - HOUR_MS)
    data = ProduceRequest.PartitionProduceData(index=index, records=bytes(builder.build()))
    request = ProduceRequest(
        transactional_id="nobody",
        acks=-1,
        timeout_ms=30_000,
        topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=[data])],
    )
    code = ErrorCode.NONE
    for _ in range(200):  # the leader of a new topic, and the setting, take a moment in Kafka
        leader = await cluster.leader(topic, index)
        answer = await cluster.call_on(leader, request, version=_PRODUCE_VERSION)
        code = ErrorCode(answer.responses[0].partition_responses[0].error_code)
        if code is ErrorCode.NONE:
            return
        await asyncio.sleep(0.05)
    raise broker_error(code, None)
