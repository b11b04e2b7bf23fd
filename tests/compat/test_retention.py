"""Goal: what outlives its time or its size goes, and nothing else, as in Apache Kafka.

Method: one scenario a setting, each on a topic of its own, by an ordinary client: against logd, and against Kafka where
there is a JDK, which decides what is right. Both look for what is due twice a second.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tests.support import java
from tests.support.broker import LogdBroker
from tests.support.kafka_broker import KafkaBroker
from tests.support.patience import PATIENCE_S, wait_until

PROPERTIES = {
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
    "log.cleaner.backoff.ms": "500",
}
SEGMENT = {"segment.bytes": "1048576"}
SEGMENT_BYTES = 1 << 20
HOUR_MS = 3_600_000
HALF_AN_HOUR_MS = "1800000"
A_WHILE_S = 2.5
"""Some looks for what is due: for what must not go."""

KAFKA = pytest.param(
    "kafka",
    marks=[
        pytest.mark.java,
        pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
    ],
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["logd", KAFKA])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LogdBroker | KafkaBroker]:
    make: Any = LogdBroker if request.param == "logd" else KafkaBroker
    with make(tmp_path_factory.mktemp("broker"), properties=PROPERTIES) as running:
        yield running


class Topic:
    """One partition, written to and looked at."""

    def __init__(self, bootstrap: str, **settings: str) -> None:
        self.name = f"t-{uuid.uuid4().hex[:12]}"
        self.place = TopicPartition(self.name, 0)
        self._bootstrap: Any = {"bootstrap.servers": bootstrap}
        self.admin = AdminClient(self._bootstrap)
        config = SEGMENT | {name.replace("_", "."): value for name, value in settings.items()}
        self.admin.create_topics([NewTopic(self.name, 1, 1, config=config)])[self.name].result(PATIENCE_S)
        self._producer = Producer({**self._bootstrap, "linger.ms": 5})
        # From the beginning, too, where a record goes between the question for it and the fetch.
        self._consumer = Consumer({**self._bootstrap, "group.id": "test", "auto.offset.reset": "earliest"})

    def write(self, count: int, *, age_ms: int = 0, size: int = 100, key: bytes = b"key") -> None:
        timestamp = int(time.time() * 1000) - age_ms
        for _ in range(count):
            self._producer.produce(self.name, bytes(size), key, 0, timestamp=timestamp)
        assert self._producer.flush(PATIENCE_S) == 0

    def alter(self, name: str, value: str) -> None:
        change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.name, incremental_configs=[change])
        self.admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)

    def ends(self) -> tuple[int, int]:
        """Low watermark and high watermark."""
        low, high = self._consumer.get_watermark_offsets(self.place, PATIENCE_S)
        return low, high

    def offsets(self) -> list[int]:
        """Of all records that are there."""
        low, high = self.ends()
        found: list[int] = []
        self._consumer.assign([TopicPartition(self.name, 0, low)])
        while low < high and (not found or found[-1] < high - 1):
            message = self._consumer.poll(PATIENCE_S)
            assert message is not None and message.error() is None
            found.append(message.offset() or 0)
        return found


def test_time_counts_by_the_records_timestamps(broker: LogdBroker) -> None:
    old, mixed = (Topic(broker.bootstrap) for _ in range(2))
    old.write(10, age_ms=HOUR_MS)
    mixed.write(10, age_ms=HOUR_MS)
    mixed.write(1)
    for topic in (mixed, old):  # not before: the old records of `mixed` were due until the new one was there
        topic.alter("retention.ms", HALF_AN_HOUR_MS)
    wait_until(lambda: old.ends() == (10, 10))
    time.sleep(A_WHILE_S)
    assert mixed.ends() == (0, 11), "a segment is as old as its youngest record"
    old.write(1)
    assert old.offsets() == [10]


def test_time_of_the_append_counts_where_the_topic_says_so(broker: LogdBroker) -> None:
    topic = Topic(broker.bootstrap, retention_ms=HALF_AN_HOUR_MS, message_timestamp_type="LogAppendTime")
    topic.write(10, age_ms=HOUR_MS)
    time.sleep(A_WHILE_S)
    assert topic.ends() == (0, 10)


def test_size_keeps_at_least_what_is_asked_for(broker: LogdBroker) -> None:
    topic = Topic(broker.bootstrap, retention_bytes=str(2 * SEGMENT_BYTES))
    topic.write(60, size=100_000)

    def size(count: int) -> int:
        return count * 100_000 + 10_000

    def kept() -> int:
        low, high = topic.ends()
        return size(high - low)

    wait_until(lambda: kept() < 3 * SEGMENT_BYTES + 100_000)
    time.sleep(A_WHILE_S)
    offsets = topic.offsets()
    assert offsets == list(range(offsets[0], 60))
    assert size(len(offsets)) >= 2 * SEGMENT_BYTES


@pytest.mark.parametrize(
    "broker",
    ["logd", pytest.param("kafka", marks=[*KAFKA.marks, pytest.mark.full])],  # type: ignore[list-item]
    indirect=True,
    scope="module",
)
def test_a_compacted_topic_keeps_what_is_old_and_one_with_both_policies_does_not(broker: LogdBroker) -> None:
    """What is new is compacted only when what is old is gone: together in one segment they would be kept for long.

    Not everyday with Kafka, whose cleaner was too late now and then, for a reason that is not known.
    """
    settings = {"retention_ms": HALF_AN_HOUR_MS, "min_cleanable_dirty_ratio": "0.01"}
    kept = Topic(broker.bootstrap, cleanup_policy="compact", **settings)
    lag = {"min_compaction_lag_ms": HALF_AN_HOUR_MS}
    both = Topic(broker.bootstrap, cleanup_policy="compact,delete", **settings, **lag)
    for topic in (kept, both):
        topic.write(30, age_ms=HOUR_MS, size=100_000)
        topic.write(1, age_ms=HOUR_MS, key=b"other")
        topic.write(15, size=100_000)
        topic.write(15, size=100_000)
    wait_until(lambda: len(kept.offsets()) < 25)
    wait_until(lambda: both.ends()[0] > 0)
    both.alter("min.compaction.lag.ms", "0")
    wait_until(lambda: len(both.offsets()) < 25)
    assert 30 in kept.offsets() and kept.ends() == (0, 61)
    assert 60 in both.offsets() and both.ends()[1] == 61


def test_deleted_records_stay_deleted_below_the_high_watermark_only(broker: LogdBroker) -> None:
    topic = Topic(broker.bootstrap)
    topic.write(10)
    (answer,) = topic.admin.delete_records([TopicPartition(topic.name, 0, 4)]).values()
    assert answer.result(PATIENCE_S).low_watermark == 4
    assert topic.ends() == (4, 10)
    (answer,) = topic.admin.delete_records([TopicPartition(topic.name, 0, 11)]).values()
    with pytest.raises(KafkaException, match="OFFSET_OUT_OF_RANGE"):
        answer.result(PATIENCE_S)
    assert topic.offsets() == list(range(4, 10))
    (answer,) = topic.admin.delete_records([TopicPartition(topic.name, 0, -1)]).values()
    assert answer.result(PATIENCE_S).low_watermark == 10


def test_timestamps_out_of_bounds_are_refused(broker: LogdBroker) -> None:
    bounds = {"message_timestamp_before_max_ms": "60000", "message_timestamp_after_max_ms": "60000"}
    topic = Topic(broker.bootstrap, **bounds)
    failed: list[Any] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for age_ms in (HOUR_MS, 0, -HOUR_MS):
        timestamp = int(time.time() * 1000) - age_ms
        producer.produce(
            topic.name, b"v", timestamp=timestamp, on_delivery=lambda error, _: failed.append(error)
        )
        assert producer.flush(PATIENCE_S) == 0
    assert [error is None for error in failed] == [False, True, False]
    assert "INVALID_TIMESTAMP" in str(failed[0]) and "INVALID_TIMESTAMP" in str(failed[2])
    assert topic.ends() == (0, 1)
