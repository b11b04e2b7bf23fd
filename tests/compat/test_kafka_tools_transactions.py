"""Kafka's tool for transactions: what it lists and describes, and what it aborts.

The tool is Kafka's, unchanged (tests/support/kafka_tools.py). What it is told has to agree with what the producers did.
"""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from tests.support import java
from tests.support.clients.confluent import ConfluentClient
from tests.support.hanging_transactions import hanging_transaction
from tests.support.kafka_tools import KafkaTools
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.producers import init_transactions

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]


@pytest.fixture
def filled(topic: str, bootstrap: str) -> str:
    """A topic of two partitions."""
    ConfluentClient(bootstrap).create_topic(topic, partitions=2)
    return topic


@pytest.fixture
def txn(topic: str) -> str:
    return f"id-of-{topic}"


def begun(bootstrap: str, txn: str, topic: str) -> Producer:
    """Return a producer whose transaction has a record in partition 0."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": txn})
    init_transactions(producer)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=0)
    assert producer.flush(PATIENCE_S) == 0
    return producer


def table(tool: KafkaTools, *arguments: str) -> list[dict[str, str]]:
    """Run the tool; return the rows of its table, by header. No cell that is asked for here is empty or has a space."""
    head, *rows = tool("kafka-transactions", *arguments).lines
    names = head.split()
    return [dict(zip(names, row.split(), strict=False)) for row in rows]


def row_of(tool: KafkaTools, txn: str) -> dict[str, str]:
    (row,) = [row for row in table(tool, "list") if row["TransactionalId"] == txn]
    return row


def test_a_transaction_is_listed_and_described(
    tool: KafkaTools, bootstrap: str, filled: str, txn: str
) -> None:
    producer = begun(bootstrap, txn, filled)
    listed = row_of(tool, txn)
    assert (listed["Coordinator"], listed["TransactionState"]) == ("1", "Ongoing")
    assert table(tool, "list", "--transactional-id-pattern", f"id-of-{filled}") == [listed]
    # Kafka lists ids without a transaction, too: they have been at it since -1.
    assert not any(
        row["TransactionalId"] == txn for row in table(tool, "list", "--duration-filter", "3600000")
    )
    assert listed in table(tool, "list", "--duration-filter", "1")
    (described,) = table(tool, "describe", "--transactional-id", txn)
    assert described["ProducerId"] == listed["ProducerId"]
    assert described["TransactionTimeoutMs"] == "60000"
    assert abs(int(described["CurrentTransactionStartTimeMs"]) - time.time() * 1000) < 60_000
    assert 0 <= int(described["TransactionDurationMs"]) < 60_000
    assert described["TopicPartitions"] == f"{filled}-0"
    (state,) = table(tool, "describe-producers", "--topic", filled, "--partition", "0")
    assert (state["ProducerId"], state["CurrentTransactionStartOffset"]) == (listed["ProducerId"], "0")
    producer.commit_transaction(PATIENCE_S)
    wait_until(lambda: row_of(tool, txn)["TransactionState"] == "CompleteCommit")
    (described,) = table(tool, "describe", "--transactional-id", txn)
    assert described["TransactionState"] == "CompleteCommit"
    unknown = tool("kafka-transactions", "describe", "--transactional-id", "no-such", exit_code=1)
    assert "could not be found" in unknown.stderr


def test_a_hanging_transaction_is_found_and_aborted(
    tool: KafkaTools, bootstrap: str, filled: str, txn: str
) -> None:
    producer = begun(bootstrap, txn, filled)
    with hanging_transaction(bootstrap, filled, 1) as (producer_id, epoch):
        found = table(tool, "find-hanging", "--topic", filled)
        assert [(row["Partition"], row["ProducerId"], row["ProducerEpoch"]) for row in found] == [
            ("1", str(producer_id), str(epoch))
        ]
        assert (found[0]["StartOffset"], found[0]["CoordinatorEpoch"]) == ("0", "-1")
        assert table(tool, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "120") == []
        where = ("--topic", filled, "--partition", "1")
        tool("kafka-transactions", "abort", *where, "--start-offset", "0")
        assert table(tool, "find-hanging", "--topic", filled) == []
        gone = tool("kafka-transactions", "abort", *where, "--start-offset", "0", exit_code=1)
        assert "Could not find any open transactions" in gone.stderr
    producer.commit_transaction(PATIENCE_S)


def test_a_transaction_is_terminated(tool: KafkaTools, bootstrap: str, filled: str, txn: str) -> None:
    producer = begun(bootstrap, txn, filled)
    tool("kafka-transactions", "forceTerminateTransaction", "--transactionalId", txn)
    with pytest.raises(KafkaException) as refused:
        producer.commit_transaction(PATIENCE_S)
    assert refused.value.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED)
    (described,) = table(tool, "describe", "--transactional-id", txn)
    assert described["TransactionState"] in ("CompleteAbort", "Empty")
