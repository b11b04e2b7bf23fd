"""Goal: `logd consume` shows committed records only, unless asked.

Method: a transactional client on Apache Kafka, which has transactions, as logd has not yet; committed, aborted and open
ones in turn.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from tests.support.command_bytes import call, printed, written
from tests.support.command_line import seen
from tests.support.kafka_broker import KafkaBroker
from tests.support.producers import init_transactions

pytestmark = pytest.mark.java


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with KafkaBroker(tmp_path_factory.mktemp("kafka"), heap="512M") as broker:
        yield broker.bootstrap


def test_transactions(kafka: str) -> None:
    where = ["-b", kafka]
    written(call("produce", "t", "--create", *where, stdin=b"plain\n"))
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "x"})
    init_transactions(producer)
    for number in range(6):
        producer.begin_transaction()
        for part in "ab":
            producer.produce("t", f"{number}{part}".encode())
        producer.flush(30)
        if number % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    producer.begin_transaction()
    producer.produce("t", b"open")
    producer.flush(30)
    committed = b"plain 0a 0b 2a 2b 4a 4b "
    assert printed(call("consume", "t", "-e", "-D ", *where)) == committed
    everything = b"plain 0a 0b 1a 1b 2a 2b 3a 3b 4a 4b 5a 5b open "
    assert printed(call("consume", "t", "-e", "-D ", "--isolation", "read_uncommitted", *where)) == everything
    # Reading may begin within an aborted transaction (5 is its second record) and end after any count.
    assert printed(call("consume", "t", "-e", "-D ", "-o", "5", "-c", "2", *where)) == b"2a 2b "
    producer.commit_transaction(30)
    # The producer is answered when the end is decided; the partition hears of it later.
    assert seen(lambda: printed(call("consume", "t", "-e", "-D ", "-o", "-3", *where)), bool) == b"open "
