"""Goal: what a client has read and what it made of it are committed together, or not at all.

Method: every Python client that has transactions reads a few records in a group, writes them on and commits the offsets
with them, aborting before it commits; a member that its group has gone on without may not commit any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.producers import init_transactions

COUNT = 5

Step = Callable[[bool], None]
"""Goes through one transaction, which commits or aborts."""


@pytest.fixture
def group(topic: str) -> str:
    return f"group-of-{topic}"


@pytest.fixture
def target_topic(bootstrap: str, topic: str) -> str:
    """Where records are written to; `topic` has some, in one partition."""
    from confluent_kafka import Producer, admin  # noqa: PLC0415 - one client in each test

    client: Any = admin.AdminClient({"bootstrap.servers": bootstrap})
    name = f"{topic}-copy"
    news = [admin.NewTopic(each, 1, 1) for each in (topic, name)]  # type: ignore[attr-defined]
    for created in client.create_topics(news).values():
        created.result(PATIENCE_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(COUNT):
        producer.produce(topic, str(number).encode())
    assert producer.flush(PATIENCE_S) == 0
    return name


# -- the clients ---------------------------------------------------------------------------------------------


def confluent(bootstrap: str, group: str, source: str, target: str) -> Step:
    from confluent_kafka import Consumer, Producer  # noqa: PLC0415 - one client in each test

    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"id-of-{source}"})
    init_transactions(producer)

    def step(commit: bool) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([source])
        try:
            records = _collect(lambda: [m for m in consumer.consume(COUNT, 1) if not m.error()])
            producer.begin_transaction()
            for record in records:
                producer.produce(target, record.value())
            positions = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), PATIENCE_S)
            if commit:
                producer.commit_transaction(PATIENCE_S)
            else:
                producer.abort_transaction(PATIENCE_S)
        finally:
            consumer.close()

    return step


def kafka_python(bootstrap: str, group: str, source: str, target: str) -> Step:
    from kafka import KafkaConsumer, KafkaProducer  # noqa: PLC0415 - one client in each test
    from kafka.structs import OffsetAndMetadata, TopicPartition  # noqa: PLC0415

    producer: Any = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"id-of-{source}")
    producer.init_transactions()

    def step(commit: bool) -> None:
        consumer: Any = KafkaConsumer(
            source,
            bootstrap_servers=bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            records = _collect(lambda: [r for rows in consumer.poll(1_000).values() for r in rows])
            producer.begin_transaction()
            for record in records:
                producer.send(target, record.value)
            position = OffsetAndMetadata(records[-1].offset + 1, "", -1)
            offsets = {TopicPartition(source, 0): position}
            producer.send_offsets_to_transaction(offsets, consumer.group_metadata())
            if commit:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
        finally:
            consumer.close()

    return step


def aiokafka(bootstrap: str, group: str, source: str, target: str) -> Step:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # noqa: PLC0415 - one client in each test

    async def transaction(commit: bool) -> None:
        consumer = AIOKafkaConsumer(
            source,
            bootstrap_servers=bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"id-of-{source}")
        async with consumer, producer:
            records = [await asyncio.wait_for(consumer.getone(), PATIENCE_S) for _ in range(COUNT)]
            await producer.begin_transaction()
            for record in records:
                await producer.send(target, record.value)
            offsets = {TopicPartition(source, 0): records[-1].offset + 1}
            await producer.send_offsets_to_transaction(offsets, group)
            if commit:
                await producer.commit_transaction()
            else:
                await producer.abort_transaction()

    return lambda commit: asyncio.run(transaction(commit))


def _collect(poll: Callable[[], list[Any]]) -> list[Any]:
    """Poll until all records are there."""
    found: list[Any] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < COUNT:
        assert time.monotonic() < deadline, f"{len(found)} of {COUNT} records"
        found += poll()
    return found


# -- what becomes of it --------------------------------------------------------------------------------------


def committed(bootstrap: str, group: str, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - one client in each test

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        (row,) = consumer.committed([TopicPartition(topic, 0)], timeout=PATIENCE_S)
        return int(row.offset)
    finally:
        consumer.close()


def values(bootstrap: str, topic: str) -> list[bytes]:
    """What a reader of committed records finds, up to the end, once no transaction is open."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition  # noqa: PLC0415 - one client in each test

    deadline = time.monotonic() + PATIENCE_S
    while _end(bootstrap, topic, "read_committed") < _end(bootstrap, topic, "read_uncommitted"):
        assert time.monotonic() < deadline, "the marker does not come"
        time.sleep(0.05)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reads-without-committing",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    try:
        while True:
            message = consumer.poll(PATIENCE_S)
            assert message is not None
            error = message.error()
            if error is None:
                found.append(message.value())
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
    finally:
        consumer.close()


def _end(bootstrap: str, topic: str, isolation: str) -> int:
    """The last stable offset, or the high watermark."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - one client in each test

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "asks", "isolation.level": isolation})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_S)
        return int(end)
    finally:
        consumer.close()


@pytest.mark.parametrize("client", [confluent, kafka_python, aiokafka])
def test_offsets_and_records_are_committed_together(
    bootstrap: str, topic: str, target_topic: str, group: str, client: Callable[..., Step]
) -> None:
    step = client(bootstrap, group, topic, target_topic)
    step(False)
    assert committed(bootstrap, group, topic) < 0
    assert values(bootstrap, target_topic) == []
    step(True)  # from the beginning again, since nothing was committed
    assert committed(bootstrap, group, topic) == COUNT
    assert values(bootstrap, target_topic) == [str(number).encode() for number in range(COUNT)]


def test_a_member_that_its_group_went_on_without_is_fenced(
    bootstrap: str, topic: str, target_topic: str, group: str
) -> None:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition  # noqa: PLC0415 - as above

    def member() -> Consumer:
        settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
        consumer = Consumer({**settings, "enable.auto.commit": False})
        consumer.subscribe([topic])
        _collect(lambda: consumer.consume(COUNT, 1))
        return consumer

    zombie = member()
    metadata = zombie.consumer_group_metadata()
    zombie.close()
    successor = member()
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"id-of-{topic}"})
    init_transactions(producer)
    producer.begin_transaction()
    producer.produce(target_topic, b"twice")
    with pytest.raises(KafkaException) as refused:
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, COUNT)], metadata, PATIENCE_S)
    assert refused.value.args[0].txn_requires_abort()
    producer.abort_transaction(PATIENCE_S)
    producer.begin_transaction()
    producer.send_offsets_to_transaction(
        [TopicPartition(topic, 0, COUNT)], successor.consumer_group_metadata(), PATIENCE_S
    )
    producer.commit_transaction(PATIENCE_S)
    successor.close()
    assert committed(bootstrap, group, topic) == COUNT
    assert values(bootstrap, target_topic) == []
