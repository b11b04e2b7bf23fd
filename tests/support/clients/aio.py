"""aiokafka behind the port: each call runs its own event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from tests.support.clients.aio_transactions import AioKafkaTransactions
from tests.support.clients.port import (
    EARLIEST,
    Acks,
    At,
    ClientError,
    ClusterView,
    Codec,
    Isolation,
    Message,
    Received,
    Reset,
    Start,
    TopicView,
)
from tests.support.patience import PATIENCE_S

_ACKS: dict[Acks, Any] = {"0": 0, "1": 1, "all": "all"}


class AioKafkaClient:
    name = "aiokafka"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def produce(
        self,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        acks: Acks = "all",
        codec: Codec = "none",
        idempotent: bool = False,
        max_request_size: int | None = None,
    ) -> list[int]:
        settings: dict[str, Any] = {
            "acks": _ACKS[acks],
            "compression_type": None if codec == "none" else codec,
            "enable_idempotence": idempotent,
            "linger_ms": 20,
        }
        if max_request_size is not None:
            settings |= {"max_request_size": max_request_size, "max_batch_size": max_request_size}
        return asyncio.run(self._produce(topic, messages, partition, settings))

    async def _produce(
        self, topic: str, messages: Sequence[Message], partition: int, settings: dict[str, Any]
    ) -> list[int]:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, **settings)
        await producer.start()
        try:
            futures = [
                await producer.send(
                    topic,
                    value=message.value,
                    key=message.key,
                    partition=partition,
                    timestamp_ms=message.timestamp_ms,
                    headers=list(message.headers),
                )
                for message in messages
            ]
            acknowledged = [await future for future in futures]
        except KafkaError as failure:
            raise _error(failure) from failure
        finally:
            await producer.stop()
        return [-1 if each is None else each.offset for each in acknowledged]

    def consume(
        self,
        topic: str,
        count: int,
        *,
        start: Start = EARLIEST,
        partitions: Sequence[int] = (0,),
        isolation: Isolation = "read_uncommitted",
        reset: Reset = "none",
        timeout_s: float = PATIENCE_S,
    ) -> list[Received]:
        assigned = [TopicPartition(topic, partition) for partition in partitions]
        settings = {"isolation_level": isolation, "auto_offset_reset": reset}
        return asyncio.run(self._consume(assigned, count, start, settings, timeout_s))

    async def _consume(
        self,
        assigned: list[TopicPartition],
        count: int,
        start: Start,
        settings: dict[str, Any],
        timeout_s: float,
    ) -> list[Received]:
        received: list[Received] = []
        deadline = time.monotonic() + timeout_s
        async with self._consumer(**settings) as consumer:
            consumer.assign(assigned)
            try:
                await _seek(consumer, assigned, start)
                while len(received) < count and time.monotonic() < deadline:
                    for raws in (await consumer.getmany(timeout_ms=200)).values():
                        received += [_received(raw) for raw in raws]
            except KafkaError as failure:
                raise _error(failure) from failure
        return received

    def offset_range(self, topic: str, partition: int = 0) -> tuple[int, int]:
        async def ask() -> tuple[int, int]:
            at = TopicPartition(topic, partition)
            async with self._consumer() as consumer:
                begin = await consumer.beginning_offsets([at])
                return begin[at], (await consumer.end_offsets([at]))[at]

        return asyncio.run(ask())

    def offset_for_time(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        async def ask() -> int | None:
            at = TopicPartition(topic, partition)
            async with self._consumer() as consumer:
                found = (await consumer.offsets_for_times({at: timestamp_ms}))[at]
                return None if found is None else int(found.offset)

        return asyncio.run(ask())

    def create_topic(self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        new = NewTopic(topic, partitions, 1, topic_configs=dict(configs or {}))
        _refuse(self._administer("create_topics", [new]).topic_errors)

    def delete_topic(self, topic: str) -> None:
        _refuse(self._administer("delete_topics", [topic]).topic_error_codes)

    def list_topics(self) -> set[str]:
        return set(self._administer("list_topics"))

    def describe_topic(self, topic: str) -> TopicView:
        (found,) = self._administer("describe_topics", [topic])
        _refuse([(topic, found["error_code"])])
        partitions = sorted(found["partitions"], key=lambda each: int(each["partition"]))
        return TopicView(
            tuple(each["partition"] for each in partitions), tuple(each["leader"] for each in partitions)
        )

    def describe_cluster(self) -> ClusterView:
        found = self._administer("describe_cluster")
        nodes = tuple((node["node_id"], node["host"], node["port"]) for node in found["brokers"])
        return ClusterView(found["cluster_id"], nodes)

    def transactional(self, transactional_id: str, **settings: str) -> AioKafkaTransactions:
        """A transactional producer; of settings, `transaction_timeout_ms` is known."""
        given = {name: int(value) for name, value in settings.items()}
        return AioKafkaTransactions(self._bootstrap, transactional_id, given)

    def close(self) -> None:
        pass

    def _administer(self, call: str, *arguments: Any) -> Any:
        async def run() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            await admin.start()
            try:
                return await getattr(admin, call)(*arguments)
            finally:
                await admin.close()

        return asyncio.run(run())

    @asynccontextmanager
    async def _consumer(self, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False, **settings)
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def _seek(consumer: AIOKafkaConsumer, assigned: list[TopicPartition], start: Start) -> None:
    match start.at:
        case At.EARLIEST:
            await consumer.seek_to_beginning(*assigned)
        case At.LATEST:
            await consumer.seek_to_end(*assigned)
        case At.OFFSET:
            for partition in assigned:
                consumer.seek(partition, start.argument)
        case At.TIMESTAMP:
            found = await consumer.offsets_for_times(dict.fromkeys(assigned, start.argument))
            for partition, at in found.items():
                if at is None:
                    await consumer.seek_to_end(partition)
                else:
                    consumer.seek(partition, at.offset)
        case At.RESET:
            pass


def _received(raw: Any) -> Received:
    headers = tuple((name, value) for name, value in raw.headers)
    return Received(raw.partition, raw.offset, Message(raw.key, raw.value, raw.timestamp, headers))


def _refuse(errors: Sequence[tuple[Any, ...]]) -> None:
    for _, code, *_ in errors:
        if code:
            raise _error(for_code(code)())


def _error(failure: KafkaError) -> ClientError:
    kind = type(failure).__name__
    names = {
        "OffsetOutOfRangeError": "OFFSET_OUT_OF_RANGE",
        "NoOffsetForPartitionError": "OFFSET_OUT_OF_RANGE",
        "MessageSizeTooLargeError": "MESSAGE_TOO_LARGE",
        "TopicAlreadyExistsError": "TOPIC_ALREADY_EXISTS",
        "UnknownTopicOrPartitionError": "UNKNOWN_TOPIC_OR_PARTITION",
    }
    return ClientError(names.get(kind, kind), str(failure))
