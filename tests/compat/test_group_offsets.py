"""Goal: what a client commits is what every client, and Kafka's tools, read back, whatever happens to the broker.

Method: a broker as a process of its own, stopped and killed between commit and fetch; Kafka's own tools on what it
answers and on the records that it wrote.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import commits, java
from tests.support.broker import LogdBroker

TOPIC = "orders"
PARTITIONS = 3

Offsets = dict[int, tuple[int, str]]
"""(offset, metadata) by partition."""


_MISSING = java.missing_tools()
needs_java = pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogdBroker]:
    with LogdBroker(
        tmp_path_factory.mktemp("offsets"), properties={"offsets.topic.num.partitions": "5"}
    ) as it:
        create_topic(it.bootstrap)
        yield it


def create_topic(bootstrap: str, name: str = TOPIC) -> None:
    from confluent_kafka import admin  # noqa: PLC0415 - only here

    client: Any = admin.AdminClient({"bootstrap.servers": bootstrap})
    topic: Any = admin.NewTopic(name, PARTITIONS, 1)  # type: ignore[attr-defined]
    client.create_topics([topic])[name].result(20)


# -- clients that commit and fetch ---------------------------------------------------------------------------


def kafka_python(bootstrap: str, group: str, commit: Offsets) -> Offsets:
    from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition  # noqa: PLC0415

    consumer: Any = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(TOPIC, index) for index in range(PARTITIONS)]
        consumer.assign(partitions)
        if commit:
            consumer.commit({partitions[i]: OffsetAndMetadata(o, m, -1) for i, (o, m) in commit.items()})
        found = {tp.partition: consumer.committed(tp, metadata=True) for tp in partitions}
        # confluent-kafka sends the zero byte that ends the text in memory, too.
        return {i: (it.offset, it.metadata.rstrip("\0")) for i, it in found.items() if it is not None}
    finally:
        consumer.close()


def confluent(bootstrap: str, group: str, commit: Offsets) -> Offsets:
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        if commit:
            rows = [TopicPartition(TOPIC, i, o, metadata=m) for i, (o, m) in commit.items()]
            commits.commit(consumer, rows)
        wanted = [TopicPartition(TOPIC, index) for index in range(PARTITIONS)]
        found = consumer.committed(wanted, timeout=60)
        return {row.partition: (row.offset, "") for row in found if row.offset >= 0}
    finally:
        consumer.close()


def aiokafka(bootstrap: str, group: str, commit: Offsets) -> Offsets:
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415

    async def talk() -> Offsets:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(TOPIC, index) for index in range(PARTITIONS)]
            consumer.assign(partitions)
            if commit:
                await consumer.commit({partitions[i]: entry for i, entry in commit.items()})
            found = {tp.partition: await consumer.committed(tp) for tp in partitions}
            return {index: (offset, "") for index, offset in found.items() if offset is not None}
        finally:
            await consumer.stop()

    return asyncio.run(talk())


CLIENTS: dict[str, Callable[[str, str, Offsets], Offsets]] = {
    "kafka-python": kafka_python,
    "confluent-kafka": confluent,
    "aiokafka": aiokafka,
}


def offsets_of(read: Offsets) -> dict[int, int]:
    """aiokafka does not tell metadata; confluent-kafka reads beyond their end."""
    return {index: offset for index, (offset, _) in read.items()}


def test_commits_outlive_a_stop_and_a_kill(broker: LogdBroker) -> None:
    expected: dict[str, Offsets] = {}
    ends: list[Callable[[], object]] = [broker.stop, broker.kill, broker.stop]
    for round_, end in enumerate(ends):
        for name, client in CLIENTS.items():
            committed = expected.setdefault(name, {})
            committed |= {0: (100 + round_, f"{name} {round_}"), round_: (7, "once")}
            assert offsets_of(client(broker.bootstrap, name, committed)) == offsets_of(committed)
        end()
        broker.restart()
        for name, committed in expected.items():
            for reader in CLIENTS.values():
                read = reader(broker.bootstrap, name, {})
                assert offsets_of(read) == offsets_of(committed)
            assert kafka_python(broker.bootstrap, name, {}) == committed


def test_a_consumer_goes_on_where_the_last_one_ended(broker: LogdBroker) -> None:
    """Members of a group, with automatic commits: the next consumer of the group gets what the first has not seen."""
    from confluent_kafka import Consumer, Producer  # noqa: PLC0415

    topic = "one-after-another"
    create_topic(broker.bootstrap, topic)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(30):
        producer.produce(topic, value=str(number), partition=number % PARTITIONS)
    assert producer.flush(60) == 0
    seen: list[int] = []
    for share in (10, 20):
        settings = {"bootstrap.servers": broker.bootstrap, "group.id": "one after another"}
        consumer = Consumer({**settings, "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe([topic])
        for _ in range(share):
            message = consumer.poll(60)
            assert message is not None
            assert message.error() is None
            seen.append(int(message.value() or b""))
            consumer.commit(message=message, asynchronous=False)
        consumer.close()
        broker.kill()
        broker.restart()
    assert sorted(seen) == list(range(30))


# -- Kafka's tools -------------------------------------------------------------------------------------------


def groups_tool(broker: LogdBroker, *arguments: str, check: bool = True) -> str:
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    done = java.KAFKA.run(tool, "--bootstrap-server", broker.bootstrap, *arguments, check=check)
    return done.stdout + done.stderr


def rows(output: str) -> list[list[str]]:
    """Return the cells of a tool's table, without its head."""
    lines = [line.split() for line in output.splitlines() if line.strip()]
    return [line for line in lines[1:] if line]


def objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects that stand one after another, with nothing between."""
    position = 0
    while position < len(text.rstrip()):
        value, position = json.JSONDecoder().raw_decode(text, position)
        yield value


@pytest.fixture
def group(broker: LogdBroker, request: pytest.FixtureRequest) -> str:
    """A group, of this test alone, that has read some of what is there."""
    from confluent_kafka import Producer  # noqa: PLC0415

    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(3 * PARTITIONS):
        producer.produce(TOPIC, value=b"x", partition=number % PARTITIONS)
    assert producer.flush(60) == 0
    name = str(request.node.name)
    confluent(broker.bootstrap, name, {0: (1, ""), 1: (2, "two")})
    return name


@pytest.mark.java
@needs_java
def test_a_group_is_listed_and_described(broker: LogdBroker, group: str) -> None:
    assert [group, "Classic", "Empty"] in rows(groups_tool(broker, "--list", "--state", "--type"))
    described = rows(groups_tool(broker, "--describe", "--group", group))
    found = {(row[1], row[2]): row[3] for row in described if row[0] == group}
    assert found == {(TOPIC, "0"): "1", (TOPIC, "1"): "2"}


@pytest.mark.java
@needs_java
def test_offsets_are_reset_deleted_and_the_group_goes(broker: LogdBroker, group: str) -> None:
    reset = ["--reset-offsets", "--group", group, "--topic", TOPIC]
    before = offsets_of(confluent(broker.bootstrap, group, {}))
    groups_tool(broker, *reset, "--to-latest", "--dry-run")
    assert offsets_of(confluent(broker.bootstrap, group, {})) == before
    groups_tool(broker, *reset, "--to-latest", "--execute")
    after = offsets_of(confluent(broker.bootstrap, group, {}))
    assert sorted(after) == list(range(PARTITIONS))
    assert all(offset >= 3 for offset in after.values())
    groups_tool(broker, "--delete-offsets", "--group", group, "--topic", f"{TOPIC}:1")
    assert offsets_of(confluent(broker.bootstrap, group, {})) == {0: after[0], 2: after[2]}
    groups_tool(broker, "--delete", "--group", group)
    assert confluent(broker.bootstrap, group, {}) == {}
    assert "GroupIdNotFoundException" in groups_tool(broker, "--describe", "--group", group, check=False)


@pytest.mark.java
@needs_java
def test_members_are_described_and_keep_their_group_from_being_deleted(broker: LogdBroker) -> None:
    from confluent_kafka import Consumer  # noqa: PLC0415

    settings = {"bootstrap.servers": broker.bootstrap, "group.id": "live", "client.id": "the-client"}
    consumer = Consumer(settings)
    consumer.subscribe([TOPIC])
    try:
        while len(consumer.assignment()) < PARTITIONS:
            consumer.poll(0.1)
        ((member, *_),) = [
            row[1:]
            for row in rows(groups_tool(broker, "--describe", "--group", "live", "--members", "--verbose"))
        ]
        assert member.startswith("the-client-")
        assert "GroupNotEmptyException" in groups_tool(broker, "--delete", "--group", "live", check=False)
    finally:
        consumer.close()


@pytest.mark.java
@needs_java
def test_the_records_are_kafkas(broker: LogdBroker) -> None:
    """The formatters of the console consumer read what the broker wrote of offsets and of groups."""
    kafka_python(broker.bootstrap, "formatted", {0: (5, "why"), 2: (9, "")})
    offsets = read_by_kafka(broker, "OffsetsMessageFormatter", "formatted", count=2)
    assert sorted((o["key"]["data"]["partition"], o["value"]["data"]["offset"]) for o in offsets) == [
        (0, 5),
        (2, 9),
    ]
    assert {(o["value"]["version"], o["key"]["data"]["topic"]) for o in offsets} == {(4, TOPIC)}
    assert sorted(o["value"]["data"]["metadata"] for o in offsets) == ["", "why"]
    come_and_go(broker.bootstrap, "visited")
    groups = read_by_kafka(broker, "GroupMetadataMessageFormatter", "visited", count=2)
    live = [record["value"] for record in groups]
    assert {value["version"] for value in live} == {3}
    assert [len(value["data"]["members"]) for value in live][-2:] == [1, 0]


def come_and_go(bootstrap: str, group: str) -> None:
    """Be the one member of a group, and leave it."""
    from confluent_kafka import Consumer  # noqa: PLC0415

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    consumer.subscribe([TOPIC])
    deadline = time.monotonic() + 30
    while not consumer.assignment():
        consumer.poll(0.1)
        assert time.monotonic() < deadline
    consumer.close()


def read_by_kafka(broker: LogdBroker, formatter: str, group: str, *, count: int) -> list[Any]:
    """What Kafka shows of a group, of which there should be `count` records at least."""
    package = "org.apache.kafka.tools.consumer"
    where = ("--bootstrap-server", broker.bootstrap, "--topic", "__consumer_offsets", "--from-beginning")
    for timeout_ms in ("3000", "10000", "30000"):  # which its start is a part of, and is always waited out
        how = ("--formatter", f"{package}.{formatter}", "--timeout-ms", timeout_ms)
        ran = java.KAFKA.run(f"{package}.ConsoleConsumer", *where, *how, check=False)
        found = [record for record in objects(ran.stdout) if record["key"]["data"]["group"] == group]
        if len(found) >= count:
            break
    return found
