"""A directory that Apache Kafka wrote and stopped cleanly, with a bit of everything in it, and what clients saw of it.

`make_world` runs Kafka once; tests copy the result. `picture_of` asks a broker, Kafka or ours, for all that a take-over
has to keep: topics and ids, every batch byte for byte, what committed readers get, offsets by time, settings.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.describe_configs import DescribeConfigsRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.records import HEADER_SIZE, LOG_OVERHEAD, read_header
from protocol.types import Buffer
from tests.support.kafka_broker import KafkaBroker
from tests.support.logs import make_batch
from tests.support.patience import PATIENCE_S, insist, is_retriable, until_settled, wait_until
from tests.support.producers import init_transactions

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
COMPACTING = {"min.cleanable.dirty.ratio": "0.01", "segment.ms": "100", "delete.retention.ms": "86400000"}
TOPICS: dict[str, tuple[int, dict[str, str]]] = {
    "plain": (3, {}),
    "compacted": (2, {"cleanup.policy": "compact", **COMPACTING}),
    "both": (1, {"cleanup.policy": "compact,delete", "retention.ms": "86400000"}),
    "was-compacted": (1, {"cleanup.policy": "compact", **COMPACTING}),
    "gone": (2, {}),
    "again": (1, {}),
    "many": (8, {}),
    "txn": (2, {}),
    "undecided": (1, {}),
    "empty": (1, {}),
    "idempotent": (1, {}),
    "a.dotted_name-1": (1, {}),
}
SEQUENCES = (0, 3, 6)
"""Base sequences of the idempotent producer's batches, of three records each."""

_SET = AlterConfigOpType.SET
_QUIET = {"log_level": 0}
_LAST_WITH_NAMES = 12  # of Fetch


class Picture(NamedTuple):
    """What clients see; two are compared with ==."""

    topic_ids: dict[str, bytes]
    batches: dict[tuple[str, int], list[bytes]]
    committed: dict[tuple[str, int], tuple[int, list[tuple[int, int]]]]
    """Last stable offset, and (producer id, first offset) of each aborted transaction."""
    offsets: dict[tuple[str, int], list[int]]
    """Start, end, and first offset at some times."""
    topic_configs: dict[str, dict[str, str | None]]
    """Only what was set on the topic."""


class World(NamedTuple):
    """Kafka's leavings."""

    directory: Path
    log_dirs: tuple[Path, Path]
    """The second one holds the metadata log."""
    picture: Picture
    producer_id: int
    unclean: Path
    """A copy of the directory from when Kafka was running."""

    def copy_to(self, directory: Path, *, unclean: bool = False) -> list[Path]:
        """Copy the data directories below `directory`; return where they are now."""
        source = self.unclean if unclean else self.directory
        copies = []
        for original in self.log_dirs:
            copies.append(directory / original.name)
            shutil.copytree(source / original.name, copies[-1])
        return copies


async def make_world(directory: Path) -> World:
    log_dirs = directory / "data1", directory / "data2"
    properties = {
        "log.dirs": f"{log_dirs[1]},{log_dirs[0]}",
        "log.cleaner.backoff.ms": "100",
        "metadata.log.max.record.bytes.between.snapshots": "3000",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with KafkaBroker(directory, heap="512M", properties=properties) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap, **_QUIET})
        _make_topics(admin)
        _produce(kafka.bootstrap)
        producer_id = await _produce_idempotent(kafka.bootstrap)
        _produce_transactions(kafka.bootstrap)
        undecided = begin_transaction(kafka.bootstrap)
        _consume(kafka.bootstrap)
        _come_and_go(admin)
        _compacted(log_dirs)
        change = {"cleanup.policy": "delete", "segment.ms": "604800000"}
        _alter(admin, ResourceType.TOPIC, "was-compacted", change)
        picture = await picture_of(kafka.bootstrap)
        unclean = directory / "unclean"
        for log_dir in log_dirs:
            _copy_running(log_dir, unclean / log_dir.name)
    del undecided  # its producer lived as long as the broker
    return World(directory, log_dirs, picture, producer_id, unclean)


def _make_topics(admin: AdminClient) -> None:
    _wait(
        admin.create_topics(
            [NewTopic(name, count, 1, config=config) for name, (count, config) in TOPICS.items()]
        )
    )
    _wait(admin.delete_topics(["gone", "again"], operation_timeout=10))
    again = NewTopic("again", 2, 1, config={"max.message.bytes": "2000000"})
    insist(lambda: _wait(admin.create_topics([again])), _is_still_there)


def _is_still_there(failure: Exception) -> bool:
    """A topic that is being deleted."""
    if not isinstance(failure, KafkaException):
        return False
    return is_retriable(failure) or failure.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


def _come_and_go(admin: AdminClient) -> None:
    """Settings, and state that was removed again."""
    _alter(admin, ResourceType.TOPIC, "plain", {"retention.ms": "172800000"})
    _alter(admin, ResourceType.BROKER, "1", {"log.cleaner.threads": "2"})
    acl = (ResourceType.TOPIC, "plain", ResourcePatternType.LITERAL, "User:x", "*", AclOperation.READ)
    _wait(admin.create_acls([AclBinding(*acl, AclPermissionType.DENY)]))
    _wait(admin.delete_acls([AclBindingFilter(*acl, AclPermissionType.DENY)]))
    mechanism = ScramMechanism.SCRAM_SHA_256
    scram = UserScramCredentialUpsertion("somebody", ScramCredentialInfo(mechanism, 4096), b"secret")
    _wait(admin.alter_user_scram_credentials([scram]))
    _wait(admin.alter_user_scram_credentials([UserScramCredentialDeletion("somebody", mechanism)]))


def _alter(admin: AdminClient, kind: ResourceType, name: str, settings: dict[str, str]) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=_SET) for key, value in settings.items()]
    _wait(admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]))


def _produce(bootstrap: str) -> None:
    for codec in CODECS:
        producer = Producer(
            {"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 5, **_QUIET}
        )
        for number in range(120):
            value = f"value {number} ".encode() * 20
            producer.produce("plain", value, f"{codec}{number}", number % 3, headers={"h": b"x"})
            producer.produce("many", value, f"{codec}{number}", number % 8)
            producer.produce("both", value, f"k{number % 10}")
            producer.produce("a.dotted_name-1", value)
        producer.flush()
    for round_number in range(5):
        producer = Producer({"bootstrap.servers": bootstrap, **_QUIET})
        for number in range(60):
            key, value = f"k{number % 17 + round_number}", f"{round_number}-{number}"
            producer.produce("compacted", None if number % 13 == 0 else value, key, number % 2)
            producer.produce("was-compacted", value, key)
        producer.flush()
        time.sleep(0.15)  # more than segment.ms: each round gets a segment


async def _produce_idempotent(bootstrap: str) -> int:
    async with await connect(bootstrap) as client:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        # The broker fetches its first block of ids.
        identity = await until_settled(
            lambda: client.call(request), lambda answer: ErrorCode(answer.error_code)
        )
        assert identity.error_code == 0
        for base_sequence in SEQUENCES:
            await client.produce("idempotent", 0, idempotent_batch(identity.producer_id, base_sequence))
    return int(identity.producer_id)


def idempotent_batch(producer_id: int, base_sequence: int) -> bytearray:
    now_ms = time.time_ns() // 1_000_000
    return make_batch(
        3, timestamp_ms=now_ms, producer_id=producer_id, producer_epoch=0, base_sequence=base_sequence
    )


def _produce_transactions(bootstrap: str) -> None:
    """Some committed, every third one aborted."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "tx", **_QUIET})
    init_transactions(producer)
    for number in range(6):
        producer.begin_transaction()
        for index in range(10):
            producer.produce("txn", f"{number}-{index}", partition=index % 2)
        producer.flush()
        if number % 3 == 1:
            producer.abort_transaction()
        else:
            producer.commit_transaction()


def begin_transaction(bootstrap: str, *, timeout_ms: int = 900_000) -> Producer:
    """Leave a transaction open in the topic "undecided"."""
    settings = {"transactional.id": "undecided", "transaction.timeout.ms": timeout_ms, **_QUIET}
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    init_transactions(producer)
    producer.begin_transaction()
    for number in range(3):
        producer.produce("undecided", f"{number}")
    producer.flush()
    return producer


def _consume(bootstrap: str) -> None:
    """Leave a group with offsets behind."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "earliest", **_QUIET}
    )
    consumer.subscribe(["plain"])
    read = 0
    deadline = time.monotonic() + PATIENCE_S
    while read < 50:
        assert time.monotonic() < deadline, read
        read += len(consumer.consume(50 - read, timeout=1))
    consumer.commit(asynchronous=False)
    consumer.close()


def _compacted(log_dirs: Sequence[Path]) -> None:
    """Wait until the cleaner has been over the topics that are compacted, up to their active segments."""
    places = (("compacted", 0), ("compacted", 1), ("was-compacted", 0))
    wanted = {
        f"{topic} {index}": max(
            int(path.stem) for each in log_dirs for path in (each / f"{topic}-{index}").glob("*.log")
        )
        for topic, index in places
    }

    def done() -> bool:
        lines = [
            line.rpartition(" ")
            for log_dir in log_dirs
            for line in (log_dir / "cleaner-offset-checkpoint").read_text().splitlines()[2:]
        ]
        reached = {name: int(offset) for name, _, offset in lines}
        return all(reached.get(name, -1) >= active for name, active in wanted.items())

    wait_until(done, lambda: "nothing was compacted", 2 * PATIENCE_S)


def _copy_running(source: Path, target: Path) -> None:
    """Copy what somebody writes to: a file may vanish meanwhile."""
    with suppress(shutil.Error):
        shutil.copytree(source, target)


def _wait(futures: dict[Any, Any]) -> None:
    for future in futures.values():
        future.result(PATIENCE_S)


# -- what clients see --------------------------------------------------------------------------------------------


async def connect(bootstrap: str, client_id: str = "picture") -> Client:
    host, _, port = bootstrap.rpartition(":")
    return await Client.connect(host, int(port), client_id=client_id)


async def picture_of(bootstrap: str) -> Picture:
    """Look at everything. Nobody may be writing."""
    async with await connect(bootstrap) as client:
        picture = Picture({}, {}, {}, {}, {})
        for topic in (await client.metadata()).topics:
            assert topic.error_code == 0 and topic.name is not None
            picture.topic_ids[topic.name] = topic.topic_id
            picture.topic_configs[topic.name] = await _topic_configs(client, topic.name)
            for partition in topic.partitions:
                await _look_at(client, topic.name, partition.partition_index, picture)
    return picture


async def _look_at(client: Client, topic: str, index: int, picture: Picture) -> None:
    start = await client.list_offset(topic, index, -2)
    end = await client.list_offset(topic, index, -1)
    batches: list[bytes] = []
    offset = start
    while offset < end:
        answer = await client.fetch(topic, index, offset, max_bytes=1 << 22)
        assert answer.records is not None
        whole = whole_batches(answer.records)
        assert whole, f"nothing more of {topic}-{index} from {offset} on"
        batches += whole
        offset = read_header(whole[-1]).last_offset + 1
    answer = await client.fetch(topic, index, start, max_bytes=1 << 22, read_committed=True, max_wait_ms=0)
    aborted = [(each.producer_id, each.first_offset) for each in answer.aborted_transactions or ()]
    times = sorted({read_header(batch).max_timestamp for batch in batches})
    at_times = [await client.list_offset(topic, index, each) for each in times[:: len(times) // 5 + 1]]
    picture.batches[topic, index] = batches
    picture.committed[topic, index] = answer.last_stable_offset, aborted
    picture.offsets[topic, index] = [start, end, *at_times]


def whole_batches(records: Buffer) -> list[bytes]:
    """The batches in a fetch, without one that is cut at the end."""
    view, batches, position = memoryview(records), [], 0
    while position + HEADER_SIZE <= len(view):
        size = read_header(view, position).batch_length + LOG_OVERHEAD
        if position + size > len(view):
            break
        batches.append(bytes(view[position : position + size]))
        position += size
    return batches


async def _topic_configs(client: Client, topic: str) -> dict[str, str | None]:
    return await configs_set(client, 2, topic, source=1)


async def configs_set(client: Client, kind: int, name: str, *, source: int) -> dict[str, str | None]:
    """What was set on a resource itself."""
    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=None
    )
    response = await client.call(DescribeConfigsRequest(resources=[resource]))
    (result,) = response.results
    assert result.error_code == 0, result.error_message
    return {each.name: each.value for each in result.configs if each.config_source == source}
