"""A directory that Kafka wrote and stopped cleanly is taken over: everything is there, and goes on as it would have.

Kafka runs once; each test works on a copy of what it left: two data directories with plain, compacted and formerly
compacted topics, every codec, transactions, a group's offsets, settings, state that was removed again, and leftovers.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.metadata import MetadataResponse
from tests.support import java
from tests.support.broker import LogdBroker, StartFailed
from tests.support.dump_check import problems_in
from tests.support.kafka_broker import CLUSTER_ID, KafkaBroker
from tests.support.kafka_world import (
    SEQUENCES,
    World,
    begin_transaction,
    configs_set,
    connect,
    idempotent_batch,
    make_world,
    picture_of,
)
from tests.support.transaction_talk import committed

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

RECORDS = SEQUENCES[-1] + 3
"""Of the idempotent producer."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(make_world(tmp_path_factory.mktemp("kafka")))


@pytest.fixture
def taken(world: World, tmp_path: Path) -> Iterator[LogdBroker]:
    """A broker that took the world over."""
    world.copy_to(tmp_path)
    with start(world, tmp_path) as broker:
        yield broker


def start(world: World, directory: Path, **changes: str) -> LogdBroker:
    """Start on a copy of the world in `directory`, with the properties that Kafka had but for its authorizer."""
    properties = (world.directory / "server.properties").read_text()
    properties = properties.replace(str(world.directory), str(directory))
    properties = re.sub(r"authorizer.class.name=.*\n|allow.everyone.*\n", "", properties)
    for name, value in changes.items():
        properties += f"{name.replace('_', '.')}={value}\n"
    config_file = directory / "server.properties"
    config_file.write_text(properties)
    return LogdBroker(directory, config_file=config_file)


def digest(directories: list[Path]) -> dict[str, str]:
    """Name, size and content of every file, and every directory."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for directory in directories
        for path in sorted(directory.rglob("*"))
    }


async def metadata_of(bootstrap: str) -> MetadataResponse:
    async with await connect(bootstrap) as client:
        return await client.metadata()


def test_clients_see_the_same(world: World, taken: LogdBroker) -> None:
    """Topics, ids, every batch byte for byte, aborted transactions, offsets by time, settings; at a next start, too."""
    assert any(len(batches) > 1 for batches in world.picture.batches.values())
    assert asyncio.run(picture_of(taken.bootstrap)) == world.picture
    line = next(line for line in taken.output().splitlines() if "took over" in line)
    topics, partitions = len(world.picture.topic_ids), len(world.picture.batches)
    assert f"topics={topics} partitions={partitions} " in line
    assert "do not start Kafka" in line
    assert "transaction of Kafka's is open topic=undecided partition=0 offset=0" in taken.output()
    taken.stop()
    taken.restart()
    assert asyncio.run(picture_of(taken.bootstrap)) == world.picture
    assert taken.output().count("took over") == 1


def test_a_transaction_that_was_open_runs_into_its_time_out(tmp_path: Path) -> None:
    """Kafka's coordinator wrote down how much it was given; Kafka itself does not look whether that is over."""
    properties = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "3600000"}
    with KafkaBroker(tmp_path, heap="512M", properties=properties) as kafka:
        undecided = begin_transaction(kafka.bootstrap, timeout_ms=1_000)
    del undecided  # its producer lived as long as the broker

    async def ended(bootstrap: str) -> int:
        async with await connect(bootstrap) as client, asyncio.timeout(60):
            while not (end := await client.list_offset("undecided", 0, read_committed=True)):
                await asyncio.sleep(0.1)
            assert await committed(client, "undecided") == []
            return end

    with LogdBroker(tmp_path, config_file=tmp_path / "server.properties") as broker:
        assert asyncio.run(ended(broker.bootstrap)) == 4  # three records and the marker


def test_the_world_has_what_is_hard(world: World) -> None:
    """What the other tests rest on: gaps that a cleaner left, names it replaced, transactions decided both ways."""
    for topic in ("compacted", "was-compacted"):
        start_offset, end, *_ = world.picture.offsets[topic, 0]
        assert sum(map(records_in, world.picture.batches[topic, 0])) < end - start_offset
    leftovers = [path.name for log_dir in world.log_dirs for path in log_dir.rglob("*.deleted")]
    assert leftovers
    assert [name for log_dir in world.log_dirs for name in log_dir.glob("*-delete")]
    assert list(world.log_dirs[1].glob("__cluster_metadata-0/*.checkpoint"))
    assert world.picture.committed["txn", 0][1]
    assert world.picture.committed["undecided", 0] == (0, [])
    assert world.picture.offsets["undecided", 0][1] == 3


def records_in(batch: bytes) -> int:
    return int.from_bytes(batch[57:61], "big")


def test_identity_leaders_and_epochs(world: World, taken: LogdBroker) -> None:
    response = asyncio.run(metadata_of(taken.bootstrap))
    assert response.cluster_id == CLUSTER_ID
    assert [broker.node_id for broker in response.brokers] == [1]
    for topic in response.topics:
        for partition in topic.partitions:
            assert partition.leader_id == 1
            assert partition.isr_nodes == partition.replica_nodes == [1]
            written_in = [
                int.from_bytes(batch[12:16], "big")
                for batch in world.picture.batches[str(topic.name), partition.partition_index]
            ]
            assert partition.leader_epoch > max(written_in, default=0)


def test_settings_of_the_broker(taken: LogdBroker) -> None:
    async def scenario() -> None:
        async with await connect(taken.bootstrap) as client:
            own = await configs_set(client, 4, "1", source=2)
            everybody = await configs_set(client, 4, "", source=3)
        assert own == {"log.cleaner.threads": "2"}
        assert everybody == {"min.insync.replicas": "1"}

    asyncio.run(scenario())


def test_the_idempotent_producer_goes_on(world: World, taken: LogdBroker) -> None:
    """Its last batch, sent again, is known; a sequence with a gap is refused; the next one is taken."""

    async def scenario() -> None:
        async with await connect(taken.bootstrap) as client:
            again = await send(client, world, SEQUENCES[-1])
            assert again == SEQUENCES[-1]
            assert await client.list_offset("idempotent", 0) == RECORDS
            with pytest.raises(BrokerError) as gap:
                await send(client, world, RECORDS + 3)
            assert gap.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
            assert await send(client, world, RECORDS) == RECORDS
            assert await send(client, world, RECORDS) == RECORDS
            assert await client.list_offset("idempotent", 0) == RECORDS + 3

    asyncio.run(scenario())
    taken.kill()
    taken.restart()

    async def after_a_crash() -> None:
        async with await connect(taken.bootstrap) as client:
            assert await send(client, world, RECORDS) == RECORDS
            assert await client.list_offset("idempotent", 0) == RECORDS + 3

    asyncio.run(after_a_crash())


async def send(client: Client, world: World, base_sequence: int) -> int:
    answer = await client.produce("idempotent", 0, idempotent_batch(world.producer_id, base_sequence))
    assert answer is not None
    return int(answer.base_offset)


def test_producer_ids_are_not_given_twice(world: World, taken: LogdBroker) -> None:
    async def scenario() -> None:
        async with await connect(taken.bootstrap) as client:
            identity = await client.call(
                InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
            )
        assert identity.producer_id >= world.producer_id + 1000 - world.producer_id % 1000

    asyncio.run(scenario())


def test_what_is_written_afterwards(world: World, taken: LogdBroker) -> None:
    """New topics, and records behind those of Kafka, in every topic but the internal ones; Kafka can dump it all."""

    async def scenario() -> None:
        async with await connect(taken.bootstrap) as client:
            await client.create_topic("new")
            for topic, index in world.picture.batches:
                end = await client.list_offset(topic, index)
                batch = idempotent_batch(-1, -1)
                if topic.startswith("__"):
                    with pytest.raises(BrokerError) as refused:
                        await client.produce(topic, index, batch)
                    assert refused.value.code == ErrorCode.INVALID_TOPIC_EXCEPTION
                else:
                    answer = await client.produce(topic, index, batch)
                    assert answer is not None and answer.base_offset == end

    asyncio.run(scenario())
    taken.kill()
    taken.restart()
    after = asyncio.run(picture_of(taken.bootstrap))
    assert "new" in after.topic_ids
    for key, batches in world.picture.batches.items():
        assert after.batches[key][: len(batches)] == batches
        assert after.offsets[key][1] == world.picture.offsets[key][1] + (0 if key[0].startswith("__") else 3)
    assert taken.stop() == 0
    report = problems_in(log_dir for log_dir in taken.directory.iterdir() if log_dir.is_dir())
    assert report.files > 60
    gaps = re.compile(r"/(was-)?compacted-\d/\d+\.log: +(Non-consecutive offsets|\d+ is followed by)")
    assert not [problem for problem in report.problems if not gaps.search(problem)]


def test_a_group_goes_on_where_it_was(taken: LogdBroker) -> None:
    """What Kafka's coordinator wrote is what this one reads: the group, and the 50 records that it has committed."""
    settings = {"bootstrap.servers": taken.bootstrap, "group.id": "g", "enable.auto.commit": False}
    consumer = Consumer(settings)
    found = consumer.list_topics("plain").topics["plain"].partitions
    committed = consumer.committed([TopicPartition("plain", index) for index in found], timeout=60)
    assert sum(max(each.offset, 0) for each in committed) == 50
    furthest = max(committed, key=lambda each: each.offset)
    further = [TopicPartition("plain", furthest.partition, furthest.offset + 1)]
    consumer.commit(offsets=further, asynchronous=False)
    assert consumer.committed(further, timeout=60)[0].offset == furthest.offset + 1
    consumer.close()


def test_an_unclean_directory_is_refused_and_untouched(world: World, tmp_path: Path) -> None:
    log_dirs = world.copy_to(tmp_path, unclean=True)
    before = digest(log_dirs)
    with pytest.raises(StartFailed, match="was not stopped cleanly by Kafka"):
        start(world, tmp_path)
    assert digest(log_dirs) == before


def test_a_directory_that_is_missing_is_named(world: World, tmp_path: Path) -> None:
    log_dirs = world.copy_to(tmp_path)
    before = digest(log_dirs)
    with pytest.raises(StartFailed, match=r"cannot be taken over: .*name all of Kafka's log\.dirs"):
        start(world, tmp_path, log_dirs=str(log_dirs[1]))
    with pytest.raises(StartFailed, match=r"no metadata log in .*metadata\.log\.dir"):
        start(world, tmp_path, log_dirs=str(log_dirs[0]))
    assert digest(log_dirs) == before


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [("node.id", "2", "node.id=1"), ("cluster.id", "other", f"cluster.id={CLUSTER_ID}")],
)
def test_another_identity_is_refused(world: World, tmp_path: Path, name: str, value: str, hint: str) -> None:
    log_dirs = world.copy_to(tmp_path)
    before = digest(log_dirs)
    with pytest.raises(StartFailed, match=f"configure {hint}"):
        start(world, tmp_path, **{name.replace(".", "_"): value})
    assert digest(log_dirs) == before
