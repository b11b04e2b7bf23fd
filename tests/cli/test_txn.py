"""Goal: `logd txn` does what it says, on logd as on Apache Kafka.

Method: transactions of a real producer in every state; hanging ones as they come about: written while nobody verifies
that the coordinator knows of them.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from tests.support.command_line import Command, assert_one_line, seen
from tests.support.hanging_transactions import HOUR_MS, HangingTransaction, hanging_transaction
from tests.support.producers import init_transactions


@pytest.fixture
def txn() -> str:
    return f"x-{uuid.uuid4().hex[:12]}"


def producer_of(bootstrap: str, txn: str, **settings: Any) -> Producer:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": txn, **settings})
    init_transactions(producer)
    return producer


def begun(bootstrap: str, txn: str, topic: str, **settings: Any) -> Producer:
    """Return a producer whose transaction has a record in partition 0."""
    producer = producer_of(bootstrap, txn, **settings)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=0)
    assert producer.flush(30) == 0
    return producer


def described(logd: Command, txn: str) -> dict[str, Any]:
    done = logd("txn", "describe", txn, "-J")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = json.loads(done.stdout)
    assert isinstance(row, dict)
    return row


def names(logd: Command, *arguments: str) -> list[str]:
    done = logd("txn", "list", "-q", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def state_of(logd: Command, txn: str, expected: str) -> str:
    """Return the state, as expected or after a while: markers are written after the answer."""
    return seen(lambda: str(described(logd, txn)["state"]), lambda state: state == expected)


# -- list and describe ---------------------------------------------------------------------------------------


def test_a_transaction_from_beginning_to_end(logd: Command, bootstrap: str, topic: str, txn: str) -> None:
    producer = producer_of(bootstrap, txn)
    empty = described(logd, txn)
    assert (empty["transactional_id"], empty["state"], empty["partitions"]) == (txn, "Empty", [])
    assert (empty["start_ms"], empty["duration_ms"], empty["timeout_ms"]) == (None, None, 60_000)

    producer.begin_transaction()
    producer.produce(topic, b"x", partition=1)
    producer.produce(topic, b"x", partition=0)
    assert producer.flush(30) == 0
    row = described(logd, txn)
    assert (row["state"], row["producer_id"], row["coordinator"]["node"]) == (
        "Ongoing",
        empty["producer_id"],
        1,
    )
    assert row["partitions"] == [{"topic": topic, "partition": 0}, {"topic": topic, "partition": 1}]
    assert 0 <= row["duration_ms"] < 60_000
    assert abs(row["start_ms"] - time.time() * 1000) < 60_000
    [listed] = json.loads(logd("txn", "list", txn, "-J").stdout)
    assert listed == {
        "transactional_id": txn,
        "state": "Ongoing",
        "producer_id": row["producer_id"],
        "coordinator": 1,
    }
    text = logd("txn", "describe", txn).stdout.splitlines()
    assert text[0].startswith(f"{txn}  state=Ongoing  producer={row['producer_id']}  epoch=")
    assert [line.split() for line in text[1:]] == [["TOPIC", "PARTITION"], [topic, "0"], [topic, "1"]]
    producer.commit_transaction(30)
    assert state_of(logd, txn, "CompleteCommit") == "CompleteCommit"
    assert described(logd, txn)["partitions"] == []


def test_list(logd: Command, bootstrap: str, topic: str, txn: str) -> None:
    producers = [begun(bootstrap, f"{txn}-{letter}", topic) for letter in "ab"]
    producers.append(producer_of(bootstrap, f"{txn}-c"))
    all_three = [f"{txn}-a", f"{txn}-b", f"{txn}-c"]
    lines = logd("txn", "list", f"{txn}*").stdout.splitlines()
    assert lines[0].split() == ["TRANSACTIONAL", "ID", "STATE", "PRODUCER", "COORDINATOR"]
    ids = [described(logd, each)["producer_id"] for each in all_three]
    assert [line.split() for line in lines[1:]] == [
        [all_three[0], "Ongoing", str(ids[0]), "1"],
        [all_three[1], "Ongoing", str(ids[1]), "1"],
        [all_three[2], "Empty", str(ids[2]), "1"],
    ]
    assert names(logd, f"{txn}*") == all_three
    assert names(logd, all_three[0], all_three[2]) == [all_three[0], all_three[2]]
    assert names(logd, f"{txn}*", "--state", "ongoing") == all_three[:2]
    assert names(logd, f"{txn}*", "--state", "EMPTY", "--state", "completeabort") == all_three[2:]
    assert names(logd, "--producer-id", str(ids[1])) == [all_three[1]]
    assert names(logd, f"{txn}*", "--older-than", "PT0.001S") == all_three[:2]
    assert names(logd, "--older-than", "PT1H") == []
    producers[0].abort_transaction(30)
    assert state_of(logd, all_three[0], "CompleteAbort") == "CompleteAbort"
    assert names(logd, f"{txn}*", "--state", "completeabort") == all_three[:1]
    producers[1].abort_transaction(30)


def test_what_is_not_there_or_asked_for_wrongly(logd: Command, txn: str) -> None:
    assert_one_line(logd("txn", "list", "no-such"), 1, "there is no transactional id no-such")
    assert_one_line(logd("txn", "list", "no-such*"), 1, "no transactional id fits 'no-such*'")
    filtered = logd("txn", "list", "no-such", "--state", "dead")
    assert_one_line(filtered, 1, "there is no transactional id no-such among those asked for")
    unknown = ("there is no transactional id", "logd txn list", "TRANSACTIONAL_ID_NOT_FOUND")
    assert_one_line(logd("txn", "describe", txn), 1, *unknown)
    assert_one_line(logd("txn", "abort", txn, "--yes"), 1, *unknown)
    assert json.loads(logd("txn", "abort", txn, "--yes", "-J").stdout)[0]["aborted"] is False
    assert txn not in names(logd)  # asking for it has not made it
    assert_one_line(logd("txn", "list", "--state", "asleep"), 2, "asleep", "ongoing")
    assert_one_line(logd("txn", "list", "--older-than", "5m"), 2, "5m", "PT1H30M")
    assert_one_line(logd("txn", "find-hanging", "--topic", "no-such"), 1, "there is no topic no-such")
    assert_one_line(logd("txn", "find-hanging", "--node", "77"), 1, "no live node 77")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either a transactional id"),
        (("x", "--topic", "t:0"), "either a transactional id"),
        (("x", "--start-offset", "5"), "go with --topic"),
        (("--topic", "t", "--start-offset", "5"), "has to name one partition"),
        (("--topic", "t:0,1", "--start-offset", "5"), "has to name one partition"),
        (("--topic", "t:0"), "give --start-offset"),
        (("--topic", "t:0", "--producer-id", "5"), "give --start-offset"),
        (("--topic", "t:0", "--start-offset", "5", "--producer-id", "5"), "leave the producer's options out"),
    ],
)
def test_abort_has_to_be_told_what(logd: Command, arguments: tuple[str, ...], said: str) -> None:
    assert_one_line(logd("txn", "abort", *arguments), 2, said)


# -- abort of a transactional id -----------------------------------------------------------------------------


def test_abort_ends_the_transaction_and_fences_its_producer(
    logd: Command, bootstrap: str, topic: str, txn: str
) -> None:
    producer = begun(bootstrap, txn, topic)
    done = logd("txn", "abort", txn, "--yes")
    assert (done.returncode, done.stdout) == (0, f"aborted the transaction of {txn}\n")
    assert described(logd, txn)["state"] in ("CompleteAbort", "Empty")
    assert described(logd, txn)["timeout_ms"] == 60_000
    assert logd("consume", topic, "-e").stdout == ""
    with pytest.raises(KafkaException) as refused:
        producer.commit_transaction(30)
    assert refused.value.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED)
    again = logd("txn", "abort", txn, "--yes", "-J")
    assert (again.returncode, json.loads(again.stdout)) == (
        0,
        [{"transactional_id": txn, "aborted": False, "error": None}],
    )
    assert f"{txn} has no transaction under way: it is " in logd("txn", "abort", txn, "--yes").stdout


# -- transactions that hang ----------------------------------------------------------------------------------


@pytest.fixture
def hanging(bootstrap: str, topic: str) -> Iterator[HangingTransaction]:
    """In partition 1."""
    with hanging_transaction(bootstrap, topic, 1) as transaction:
        yield transaction


def find(logd: Command, topic: str, *arguments: str) -> list[dict[str, Any]]:
    done = logd("txn", "find-hanging", "--topic", topic, "-J", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert isinstance(rows, list)
    return rows


def test_hanging_transactions_are_found_and_aborted(
    logd: Command, bootstrap: str, topic: str, txn: str, hanging: HangingTransaction
) -> None:
    producer = begun(bootstrap, txn, topic)  # open as well, but its coordinator knows of it
    producer_id, epoch = hanging
    [row] = find(logd, topic)
    assert row["idle_ms"] >= HOUR_MS
    assert time.time() * 1000 - row["last_timestamp_ms"] < HOUR_MS + 60_000
    assert {key: value for key, value in row.items() if not key.endswith("_ms")} == {
        "topic": topic,
        "partition": 1,
        "producer_id": producer_id,
        "producer_epoch": epoch,
        "coordinator_epoch": -1,
        "start_offset": 0,
        "transactional_id": None,
    }
    assert len(find(logd, topic, "--older-than", "PT0S")) == len(find(logd, topic, "--node", "1")) == 1
    assert len(find(logd, f"{topic}:1")) == 1
    assert find(logd, f"{topic}:0", "--older-than", "PT0S") == find(logd, topic, "--older-than", "PT2H") == []
    assert any(row["topic"] == topic for row in json.loads(logd("txn", "find-hanging", "-J").stdout))
    text = logd("txn", "find-hanging", "--topic", topic).stdout.splitlines()
    assert text[1].split()[:5] == [topic, "1", "0", str(producer_id), str(epoch)]

    refused = logd("txn", "abort", "--topic", f"{topic}:1", "--start-offset", "7", "--yes")
    assert_one_line(refused, 1, "begins at 7", "they begin at 0")
    done = logd("txn", "abort", "--topic", f"{topic}:1", "--start-offset", "0", "--yes", "-J")
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        [
            {
                "topic": topic,
                "partition": 1,
                "producer_id": producer_id,
                "producer_epoch": epoch,
                "coordinator_epoch": -1,
                "start_offset": 0,
                "aborted": True,
                "error": None,
            }
        ],
    )
    assert find(logd, topic, "--older-than", "PT0S") == []
    assert logd("txn", "find-hanging", "--topic", topic).stdout == "no transaction hangs\n"
    producer.commit_transaction(30)
    # The producer is answered when the end is decided; the partition hears of it later.
    assert seen(lambda: logd("consume", topic, "-e").stdout, bool) == "x\n"
    gone = logd("txn", "abort", "--topic", f"{topic}:1", "--start-offset", "0", "--yes")
    assert_one_line(gone, 1, "begins at 0", "none is open there")


def test_a_hanging_transaction_is_named_by_its_producer(
    logd: Command, topic: str, hanging: HangingTransaction
) -> None:
    def abort(producer_id: int, epoch: int) -> Any:
        return logd(
            "txn",
            "abort",
            *("--topic", f"{topic}:1", "--yes", "--coordinator-epoch", "-1"),
            *("--producer-id", str(producer_id), "--producer-epoch", str(epoch)),
        )

    producer_id, epoch = hanging
    somebody = producer_id + 1000
    assert_one_line(
        abort(somebody, epoch), 1, f"producer {somebody} has no transaction that is open in {topic} [1]"
    )
    done = abort(producer_id, epoch)
    assert (done.returncode, done.stdout) == (
        0,
        f"aborted the transaction of producer {producer_id} in {topic} [1]\n",
    )
    assert find(logd, topic) == []


def test_what_a_coordinator_ends_is_left_to_it(logd: Command, bootstrap: str, topic: str, txn: str) -> None:
    producer = begun(bootstrap, txn, topic)
    row = described(logd, txn)
    arguments = ("txn", "abort", "--topic", f"{topic}:0", "--start-offset", "0", "--yes")
    refused = logd(*arguments)
    assert_one_line(
        refused, 1, f"producer {row['producer_id']} has no transaction there that hangs", "--force"
    )
    assert described(logd, txn)["partitions"] == [{"topic": topic, "partition": 0}]
    assert logd(*arguments, "--force").returncode == 0
    assert logd("consume", topic, "-e").stdout == ""
    producer.commit_transaction(30)  # torn: what was told --force is what it does
    assert logd("consume", topic, "-e").stdout == ""
