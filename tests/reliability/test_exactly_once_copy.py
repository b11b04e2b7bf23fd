"""Goal: a copy made in transactions has every record once and in order, whoever dies on the way.

Method: copiers as processes (one group, one transactional id each) move numbered records from a topic to another while
they and the broker are killed, and hang for longer than their session. Records come in portions, so that there is
always work at the moment of a fault. A reader of committed records follows the copy through every fault; in the
end it, and another one that begins afterwards, must have found exactly the source, partition by partition.
Source: the scenario of Kafka's system tests (group_mode_transactions_test.py), with more faults.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from logd.clients.client import Client
from tests.reliability.committed_reader import CommittedReader
from tests.reliability.copier import SESSION_MS
from tests.reliability.copiers import Copiers, Job
from tests.reliability.killable import KillableBroker
from tests.reliability.seeds import seed_of_run
from tests.support.ports import free_port
from tests.support.transaction_talk import committed

SOURCE, TARGET, GROUP = "source", "target", "copy"
PROPERTIES = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # Segments roll and transaction indexes are written while it goes on.
    "log.segment.bytes": "1048576",
}
PATIENCE_S = 200


class Size(NamedTuple):
    records: int
    per_transaction: int
    partitions: int
    copiers: int
    faults: tuple[str, ...]


EVERYDAY = Size(3_000, 100, 4, 2, ("copier", "broker"))
FULL = Size(100_000, 750, 6, 3, ("copier", "broker", "pause", "copier", "broker", "both") * 2)


def cases() -> list[object]:
    full = [pytest.mark.full, pytest.mark.timeout(1200)]
    return [
        pytest.param("classic", EVERYDAY, id="classic", marks=pytest.mark.timeout(400)),
        pytest.param("classic", FULL, id="classic-full", marks=full),
        pytest.param("consumer", FULL, id="consumer-full", marks=full),
    ]


@pytest.mark.parametrize(("protocol", "size"), cases())
def test_exactly_once_copy(tmp_path: Path, written: list[Path], protocol: str, size: Size) -> None:
    chance = random.Random(seed_of_run())
    with KillableBroker(tmp_path / "broker", free_port(), PROPERTIES) as broker:
        source = Source(broker.bootstrap, size)
        job = Job(broker.bootstrap, GROUP, SOURCE, TARGET, size.per_transaction, protocol)
        with CommittedReader(broker.bootstrap, TARGET, size.partitions) as reader:
            with Copiers(job, size.copiers, tmp_path / "copiers.log") as copiers:
                began = time.monotonic()
                for fault in size.faults:
                    before = copiers.committed
                    source.feed(size.records // (len(size.faults) + 1))
                    wait_for(copiers, lambda before=before: copiers.committed > before)  # type: ignore[misc]
                    time.sleep(chance.uniform(0, 0.4))
                    strike(fault, broker, copiers, chance)
                source.feed(size.records - source.sent)
                copied_by = time.monotonic()
                wait_for(copiers, source.is_done)
                ended = time.monotonic()
            print(
                f"{protocol}: records={source.sent} faults={len(size.faults)} seconds={ended - began:.1f} of which "
                f"drain {ended - copied_by:.1f}; transactions={copiers.transactions} aborted={len(copiers.aborted)} "
                f"gave up={copiers.failed}"
            )
            expected = source.expected()
            deadline = time.monotonic() + PATIENCE_S
            while reader.count() < source.sent and time.monotonic() < deadline:
                time.sleep(0.05)
        assert_same(asyncio.run(read_back(broker, size.partitions)), expected)
        assert_same(reader.found, expected)
        broker.kill()
        broker.restart()
        assert_same(asyncio.run(read_back(broker, size.partitions)), expected)
        assert broker.stop() == 0
        errors = [
            line for line in broker.output().splitlines() if " ERROR " in line or line.startswith("Traceback")
        ]
        assert not errors, "\n".join(errors[:20])
    written.append(broker.data_dir)


class Source:
    """The topic that is copied: what was sent to it, and how much of it the group has committed."""

    def __init__(self, bootstrap: str, size: Size) -> None:
        self._bootstrap = bootstrap
        self._ends = [0] * size.partitions
        self.sent = 0
        admin = AdminClient({"bootstrap.servers": bootstrap})
        new = [NewTopic(name, size.partitions, 1) for name in (SOURCE, TARGET)]
        for created in admin.create_topics(new).values():
            created.result(30)
        begin = [TopicPartition(SOURCE, partition, 0) for partition in range(size.partitions)]
        for answer in admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(GROUP, begin)]
        ).values():
            answer.result(30)

    def feed(self, count: int) -> None:
        producer = Producer(
            {"bootstrap.servers": self._bootstrap, "enable.idempotence": True, "linger.ms": 5}
        )
        for _ in range(count):
            partition = self.sent % len(self._ends)
            producer.produce(SOURCE, record(partition, self._ends[partition]), partition=partition)
            producer.poll(0)
            self._ends[partition] += 1
            self.sent += 1
        assert producer.flush(60) == 0

    def expected(self) -> list[list[bytes]]:
        """What each partition of the copy must hold."""
        return [[record(partition, at) for at in range(end)] for partition, end in enumerate(self._ends)]

    def is_done(self) -> bool:
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": GROUP})
        try:
            wanted = [TopicPartition(SOURCE, partition) for partition in range(len(self._ends))]
            found = consumer.committed(wanted, timeout=5)
            return [each.offset for each in found] == self._ends
        except KafkaException:  # offsets of an open transaction
            return False
        finally:
            consumer.close()


def record(partition: int, number: int) -> bytes:
    return b"%d %d %s" % (partition, number, b"." * (number % 100))


def assert_same(found: list[list[bytes]], expected: list[list[bytes]]) -> None:
    """Each partition as it must be; where not, say how it differs."""
    for partition, (got, wanted) in enumerate(zip(found, expected, strict=True)):
        if got == wanted:
            continue
        twice = [value for value, times in Counter(got).items() if times > 1]
        missing = set(wanted) - set(got)
        first = next(
            (at for at, pair in enumerate(zip(got, wanted, strict=False)) if pair[0] != pair[1]), len(got)
        )
        raise AssertionError(
            f"partition {partition}: {len(got)} records of {len(wanted)}, {len(twice)} of them twice, "
            f"{len(missing)} missing; at {first} {got[first - 1 : first + 2]} for {wanted[first - 1 : first + 2]}; "
            f"twice {twice[:3]} … {twice[-3:]}"
        )


async def read_back(broker: KillableBroker, partitions: int) -> list[list[bytes]]:
    async with await Client.connect("127.0.0.1", broker.port) as client:
        return [await committed(client, TARGET, index) for index in range(partitions)]


def strike(fault: str, broker: KillableBroker, copiers: Copiers, chance: random.Random) -> None:
    slot = chance.randrange(len(copiers))
    if fault == "pause":
        copiers.pause(slot)
        time.sleep(SESSION_MS / 1000 + 1)  # it is taken for dead, and others have its partitions
        copiers.resume(slot)
        return
    if fault in ("broker", "both"):
        broker.kill()
    if fault in ("copier", "both"):
        copiers.kill(slot)
    if fault in ("broker", "both"):
        broker.restart()


def wait_for(copiers: Copiers, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        assert not [why for why in copiers.failed if why.startswith("AssertionError")], copiers.failed
        copiers.revive()
        time.sleep(0.02)
