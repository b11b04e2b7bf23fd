"""Goal: the recipe of docs/compaction.md for a compacted topic beside its full history does what it says.

Method: the very text of the document, in a process that copies, is killed, and is started again while versions are
written; then `latest` is compacted, loaded, and gone on from. On logd, and on Apache Kafka where there is a JDK.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from tests.support import java
from tests.support.broker import ROOT, LogdBroker, clean_environment
from tests.support.command_line import call_logd
from tests.support.kafka_broker import KafkaBroker
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.producers import init_transactions

VERSIONED, LATEST = "customers.versioned", "customers.latest"
PARTITIONS = 2
KEYS = [b"customer %d" % number for number in range(40)]
VERSIONS = 3000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KAFKA = pytest.param(
    "kafka",
    marks=[
        pytest.mark.java,
        pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
    ],
)

Version = tuple[int, bytes, bytes | None]
"""Offset in `versioned`, key, value."""


def recipe() -> dict[str, Any]:
    """What the document defines."""
    names: dict[str, Any] = {}
    exec(recipe_text(), names)
    return names


def recipe_text() -> str:
    document = (ROOT / "docs" / "compaction.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    return str(text)


@pytest.fixture(params=["logd", KAFKA])
def bootstrap(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with (LogdBroker if request.param == "logd" else KafkaBroker)(tmp_path) as broker:
        yield broker.bootstrap


@contextmanager
def copying(bootstrap: str) -> Iterator[None]:
    """A process that copies for as long as the block runs; then it is killed."""
    call = f"copy_versions({{'bootstrap.servers': {bootstrap!r}}}, {VERSIONED!r}, {LATEST!r})"
    process = subprocess.Popen([sys.executable, "-c", f"{recipe_text()}\n{call}"], env=clean_environment())
    try:
        yield
        assert process.poll() is None, "it has ended"
    finally:
        process.kill()
        process.wait()


def write(producer: Any, choose: random.Random, count: int, history: list[list[Version]]) -> None:
    """Versions of customers, some of whom leave; a customer stays in one partition."""

    def delivered(error: object, message: Any) -> None:
        assert error is None, error
        history[message.partition()].append((message.offset(), message.key(), message.value()))

    for _ in range(count):
        number = choose.randrange(len(KEYS))
        value = None if choose.random() < 0.05 else choose.randbytes(10)
        producer.produce(VERSIONED, value, KEYS[number], number % PARTITIONS, on_delivery=delivered)
    assert producer.flush(PATIENCE_S) == 0


def copies(bootstrap: str, partition: int) -> list[Version]:
    """Committed records of `latest`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(LATEST, partition, 0)])
    found: list[Version] = []
    while (message := consumer.poll(PATIENCE_S)) is not None and message.error() is None:
        headers: Any = message.headers()
        found.append((int(dict(headers)["versioned"]), message.key() or b"", message.value()))
    assert message is not None and message.error().code() == KafkaError._PARTITION_EOF  # type: ignore[union-attr]
    consumer.close()
    return found


def table(versions: list[Version]) -> dict[bytes, bytes]:
    rows = {key: value for _, key, value in versions}
    return {key: value for key, value in rows.items() if value is not None}


def test_the_recipe(bootstrap: str, request: pytest.FixtureRequest) -> None:
    for topic, setting in ((VERSIONED, "retention.ms=-1"), (LATEST, "cleanup.policy=compact")):
        made = call_logd(
            "topic",
            "create",
            topic,
            "--partitions",
            str(PARTITIONS),
            "-c",
            setting,
            "--wait",
            "-b",
            bootstrap,
        )
        assert made.returncode == 0, made
    # The recipe takes it that there is a coordinator.
    init_transactions(
        Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{VERSIONED}-to-{LATEST}"})
    )
    choose = random.Random(2)
    history: list[list[Version]] = [[] for _ in range(PARTITIONS)]
    producer = Producer({"bootstrap.servers": bootstrap})
    for _ in range(3):
        with copying(bootstrap):
            before = len(copies(bootstrap, 0))
            write(producer, choose, VERSIONS // 3, history)
            wait_until(lambda: len(copies(bootstrap, 0)) > before)  # noqa: B023 - called at once
            time.sleep(choose.random() / 10)
    with copying(bootstrap):
        wait_until(
            lambda: all(len(copies(bootstrap, each)) == len(history[each]) for each in range(PARTITIONS))
        )
    for partition, written in enumerate(history):
        assert copies(bootstrap, partition) == written, "each version once, in order"

    if request.node.callspec.params["bootstrap"] == "logd":
        assert call_logd("topic", "compact", LATEST, "-b", bootstrap).returncode == 0
        assert all(len(copies(bootstrap, each)) <= len(KEYS) for each in range(PARTITIONS))
    ends = [len(written) for written in history]
    write(producer, choose, 200, history)  # nobody has copied these yet
    load = recipe()["load_latest"]
    for partition, written in enumerate(history):
        rows, consumer = load({"bootstrap.servers": bootstrap}, VERSIONED, LATEST, partition)
        assert rows == table(written[: ends[partition]])
        later = []
        while (message := consumer.poll(PATIENCE_S)) is not None and message.error() is None:
            later.append((message.offset(), message.key(), message.value()))
        consumer.close()
        assert later == written[ends[partition] :]
