"""Goal: a customer who asks for it is forgotten to the last byte, by the commands of docs/compaction.md; others stay.

Method: the broker as a process on a real disk; an ordinary producer; tombstone, `logd topic compact`, after
delete.retention.ms `logd topic compact` again; then every file below the data directory is searched, whatever its name,
and once more after `kill -9`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.broker import LogdBroker
from tests.support.command_line import call_logd
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.producers import init_transactions

TOPIC = "customers"
SECRETS = (b"jane-doe-key", b"jane@example.org", b"jane-header")
RETENTION_S = 1.0
SETTINGS = (
    "cleanup.policy=compact",
    "min.cleanable.dirty.ratio=1",
    f"delete.retention.ms={int(RETENTION_S * 1000)}",
    "file.delete.delay.ms=100",
    "internal.segment.bytes=8000",
)


def write(bootstrap: str, rows: dict[bytes, bytes | None], *, aborted: bool = False) -> None:
    settings: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap}
    if aborted:
        settings["transactional.id"] = "t"
    producer = Producer(settings)
    if aborted:
        init_transactions(producer)
        producer.begin_transaction()
    errors: list[object] = []
    for key, value in rows.items():
        headers: Any = [("who", SECRETS[2])] if key in SECRETS and value is not None else None
        producer.produce(
            TOPIC, value, key, headers=headers, on_delivery=lambda error, _: errors.append(error)
        )
    assert producer.flush(PATIENCE_S) == 0
    assert errors == [None] * len(rows)
    if aborted:
        producer.abort_transaction()


def found(directory: Path) -> dict[str, list[bytes]]:
    """Which files hold which of the secrets."""
    hits: dict[str, list[bytes]] = {}
    for path in directory.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # it has just been removed
            continue
        if there := [secret for secret in SECRETS if secret in content]:
            hits[path.name] = there
    return hits


def compact(broker: LogdBroker) -> None:
    done = call_logd("topic", "compact", TOPIC, "-b", broker.bootstrap)
    assert done.returncode == 0, done


def consumed(bootstrap: str) -> dict[bytes, bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "enable.partition.eof": True})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    rows = {}
    while (message := consumer.poll(PATIENCE_S)) is not None and message.error() is None:
        key = message.key()
        assert key is not None
        rows[key] = message.value()
    consumer.close()
    assert message is not None
    return rows


def test_a_customer_is_forgotten_to_the_last_byte(tmp_path: Path) -> None:
    neighbours: dict[bytes, bytes | None] = {b"customer %d" % number: b"v" * 100 for number in range(30)}
    jane: dict[bytes, bytes | None] = {SECRETS[0]: SECRETS[1]}
    with LogdBroker(tmp_path) as broker:
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        made = call_logd("topic", "create", TOPIC, *settings, "--wait", "-b", broker.bootstrap)
        assert made.returncode == 0, made
        write(broker.bootstrap, neighbours | jane)
        write(broker.bootstrap, jane, aborted=True)
        write(broker.bootstrap, neighbours)
        write(broker.bootstrap, jane | neighbours)
        assert {secret for hits in found(broker.data_dir).values() for secret in hits} == set(SECRETS)

        write(broker.bootstrap, {SECRETS[0]: None})
        compact(broker)
        hers = set(SECRETS[1:])
        wait_until(
            lambda: not any(hers & set(hits) for hits in found(broker.data_dir).values()),
            lambda: found(broker.data_dir),
        )
        assert consumed(broker.bootstrap) == neighbours | {SECRETS[0]: None}, "the tombstone is still needed"

        time.sleep(RETENTION_S)
        compact(broker)
        wait_until(lambda: not found(broker.data_dir), lambda: found(broker.data_dir))
        assert consumed(broker.bootstrap) == neighbours
        broker.kill()
        assert found(broker.data_dir) == {}
        broker.restart()
        assert consumed(broker.bootstrap) == neighbours
        assert found(broker.data_dir) == {}
