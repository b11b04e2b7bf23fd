"""What every standard client must be able to do, written once against the client port.

test_clients.py runs these with each client. A scenario gets fresh topic names and
leaves its topics behind: what it wrote is checked by Kafka's own tools afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.clients.port import (
    BY_RESET,
    EARLIEST,
    LATEST,
    Acks,
    Client,
    ClientError,
    Codec,
    Isolation,
    Message,
    Received,
    Start,
    from_offset,
    from_timestamp,
)
from tests.support.patience import PATIENCE_S, wait_until

T0 = (int(time.time()) // 3_600 - 2) * 3_600_000
"""A full hour two to three hours ago. Records may not be old: a broker looks for those past their retention half a
minute after its start and then every five minutes, and every ten for producers that have written nothing younger than
a day; it may take either from under the test that reads them."""
STEP_MS = 1_000


def messages(count: int = 8, *, size: int = 40) -> list[Message]:
    """Keys, nulls, headers, bytes that are no text, timestamps a second apart."""
    made = []
    for number in range(count):
        key = None if number % 4 == 3 else b"key-%d\x00\xff" % number
        value = (
            None
            if number % 8 == 6
            else (b"value-%d-" % number + bytes(range(256)) * (size // 256 + 1))[:size]
        )
        headers = (("trace", b"\x00\x01%d" % number), ("trace", b"again"), ("ünï", b""))[: number % 4]
        made.append(Message(key, value, T0 + number * STEP_MS, headers))
    return made


def plain(values: Sequence[bytes]) -> list[Message]:
    return [Message(b"k", value, T0 + index * STEP_MS) for index, value in enumerate(values)]


def read_as(sent: Sequence[Message], *, partition: int = 0, first_offset: int = 0) -> list[Received]:
    return [Received(partition, first_offset + index, message) for index, message in enumerate(sent)]


def produce_and_read_back(client: Client, topic: str, *, acks: Acks, codec: Codec, idempotent: bool) -> None:
    """Everything that was sent comes back byte for byte, at consecutive offsets, twice in a row."""
    sent = messages(12)
    client.create_topic(topic)
    first = client.produce(topic, sent, acks=acks, codec=codec, idempotent=idempotent)
    second = client.produce(topic, sent, acks=acks, codec=codec, idempotent=idempotent)
    if acks != "0":
        assert first + second == list(range(24))
    assert client.consume(topic, 24) == read_as(sent + sent)


def large_batches(client: Client, topic: str, codec: Codec) -> None:
    """More than a default fetch or segment index interval holds: 600 records of 5 kB."""
    sent = messages(600, size=5_000)
    client.create_topic(topic)
    assert client.produce(topic, sent, codec=codec) == list(range(600))
    assert client.consume(topic, 600) == read_as(sent)


def message_too_large(client: Client, topic: str) -> None:
    """The broker refuses one batch above max.message.bytes and goes on serving."""
    client.create_topic(topic, configs={"max.message.bytes": "10000"})
    with pytest.raises(ClientError) as refused:
        client.produce(topic, plain([b"x" * 20_000]), max_request_size=100_000)
    assert refused.value.name == "MESSAGE_TOO_LARGE"
    assert client.produce(topic, plain([b"small"])) == [0]


def auto_created_topic(client: Client, topic: str) -> None:
    """Producing to a topic that is not there makes it."""
    sent = messages(3)
    assert client.produce(topic, sent) == [0, 1, 2]
    assert client.consume(topic, 3) == read_as(sent)


def consume_from_start(client: Client, topic: str, start: Start, expected_first: int) -> None:
    """Ten records, a second apart: reading begins exactly where the start says."""
    sent = messages(10)
    _ten_records(client, topic, sent)
    expected = read_as(sent)[expected_first:]
    assert client.consume(topic, len(expected), start=start) == expected


CONSUME_STARTS: dict[str, tuple[Start, int]] = {
    "earliest": (EARLIEST, 0),
    "first offset": (from_offset(0), 0),
    "middle offset": (from_offset(4), 4),
    "last offset": (from_offset(9), 9),
    "before all timestamps": (from_timestamp(1), 0),
    "timestamp of a record": (from_timestamp(T0 + 5 * STEP_MS), 5),
    "between two timestamps": (from_timestamp(T0 + 5 * STEP_MS + 1), 6),
}


def consume_new_records_only(
    client: Client, topic: str, start: Start, *, writer: Client | None = None
) -> None:
    """A consumer at the end sees nothing of the past and at once what comes next."""
    _ten_records(client, topic, messages(10))
    with _trickle(writer or client, topic) as stop, ThreadPoolExecutor(1) as pool:
        received = pool.submit(client.consume, topic, 1, start=start, reset="latest").result(PATIENCE_S)
        stop.set()
    assert received, "nothing arrived"
    assert received[0].offset >= 10
    assert received[0].message.value == b"new"


NEW_ONLY_STARTS: dict[str, Start] = {
    "latest": LATEST,
    "end offset": from_offset(10),
    "after all timestamps": from_timestamp(T0 + 3_600_000),
}
NEW_ONLY_BY_RESET: dict[str, Start] = {
    "no position, reset to latest": BY_RESET,
    "out of range, reset to latest": from_offset(1_000_000),
}


def out_of_range_resets_to_earliest(client: Client, topic: str) -> None:
    sent = messages(10)
    _ten_records(client, topic, sent)
    assert client.consume(topic, 10, start=from_offset(1_000), reset="earliest") == read_as(sent)


def no_position_resets_to_earliest(client: Client, topic: str) -> None:
    sent = messages(10)
    _ten_records(client, topic, sent)
    assert client.consume(topic, 10, start=BY_RESET, reset="earliest") == read_as(sent)


def out_of_range_without_reset_fails(client: Client, topic: str) -> None:
    _ten_records(client, topic, messages(10))
    with pytest.raises(ClientError) as refused:
        client.consume(topic, 1, start=from_offset(1_000), reset="none")
    assert refused.value.name == "OFFSET_OUT_OF_RANGE"


def read_committed_sees_plain_records(client: Client, topic: str, isolation: Isolation) -> None:
    sent = messages(10)
    _ten_records(client, topic, sent, idempotent=True)
    assert client.consume(topic, 10, isolation=isolation) == read_as(sent)


def who_waits_at_the_end_gets_what_comes(client: Client, topic: str, *, writer: Client | None = None) -> None:
    """Woken, or asking again, as clients do twice a second; test_wire_answers.py tells the one from the other."""
    _ten_records(client, topic, messages(10))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.consume, topic, 1, start=from_offset(10), timeout_s=PATIENCE_S)
        time.sleep(1.0)
        sent = plain([b"wake up"])
        (writer or client).produce(topic, sent)
        assert waiting.result(PATIENCE_S) == read_as(sent, first_offset=10)


def several_partitions(client: Client, topic: str) -> None:
    """One consumer on three partitions, one of them empty."""
    client.create_topic(topic, partitions=4)
    expected: list[Received] = []
    for partition in (0, 2, 3):
        sent = messages(50 + partition, size=300)
        client.produce(topic, sent, partition=partition)
        expected += read_as(sent, partition=partition)
    received = client.consume(topic, len(expected), partitions=(0, 1, 2, 3))
    assert sorted(received) == sorted(expected)


def null_header_value(client: Client, topic: str) -> None:
    sent = [Message(b"k", b"v", T0, (("present", b""), ("absent", None)))]
    client.create_topic(topic)
    client.produce(topic, sent)
    assert client.consume(topic, 1) == read_as(sent)


def offsets_and_times(client: Client, topic: str) -> None:
    """Begin, end and the offset for a timestamp, as ListOffsets answers them."""
    _ten_records(client, topic, messages(10))
    assert client.offset_range(topic) == (0, 10)
    assert client.offset_for_time(topic, T0) == 0
    assert client.offset_for_time(topic, T0 + 1) == 1
    assert client.offset_for_time(topic, T0 + 9 * STEP_MS) == 9
    assert client.offset_for_time(topic, T0 + 9 * STEP_MS + 1) is None


def log_append_time(client: Client, topic: str, codec: Codec) -> None:
    """The broker's clock replaces the client's timestamps; nothing else changes."""
    sent = messages(6)
    client.create_topic(topic, configs={"message.timestamp.type": "LogAppendTime"})
    before_ms = int(time.time() * 1000)
    client.produce(topic, sent, codec=codec)
    received = client.consume(topic, 6)
    stamps = {each.message.timestamp_ms for each in received}
    assert before_ms - 1 <= min(stamps) <= max(stamps) <= int(time.time() * 1000) + 1
    assert [each.message._replace(timestamp_ms=0) for each in received] == [
        each._replace(timestamp_ms=0) for each in sent
    ]


def recompressed_by_topic(client: Client, topic: str, codec: Codec, topic_codec: Codec) -> None:
    """A topic with a codec of its own stores that; readers see what was sent."""
    sent = messages(200, size=500)
    configured = "uncompressed" if topic_codec == "none" else topic_codec
    client.create_topic(topic, configs={"compression.type": configured})
    client.produce(topic, sent, codec=codec)
    assert client.consume(topic, 200) == read_as(sent)


def topic_life(client: Client, topic: str) -> None:
    """Create, describe, list, refuse a second one, delete, gone."""
    client.create_topic(topic, partitions=3)
    assert topic in client.list_topics()
    view = client.describe_topic(topic)
    assert view.partitions == (0, 1, 2)
    ((node, _, _),) = client.describe_cluster().nodes
    assert set(view.leaders) == {node}
    with pytest.raises(ClientError) as refused:
        client.create_topic(topic)
    assert refused.value.name == "TOPIC_ALREADY_EXISTS"
    client.delete_topic(topic)
    wait_until(lambda: topic not in client.list_topics())
    with pytest.raises(ClientError) as refused:
        client.delete_topic(topic)
    assert refused.value.name == "UNKNOWN_TOPIC_OR_PARTITION"


def recreated_topic_is_empty(client: Client, topic: str) -> None:
    """A topic of the same name is a new topic: nothing of the old one shows."""
    client.create_topic(topic)
    client.produce(topic, plain([b"old"] * 5))
    client.delete_topic(topic)
    wait_until(lambda: topic not in client.list_topics())
    client.create_topic(topic)
    sent = plain([b"new", b"newer"])
    assert client.produce(topic, sent) == [0, 1]
    assert client.consume(topic, 2) == read_as(sent)


def cluster(client: Client, bootstrap: str, *, knows_id: bool = True) -> None:
    view = client.describe_cluster()
    host, port = bootstrap.rsplit(":", 1)
    assert [(each_host, each_port) for _, each_host, each_port in view.nodes] == [(host, int(port))]
    assert view.cluster_id or not knows_id


def cross_read(writer: Client, reader: Client, topic: str, codec: Codec) -> None:
    """What one client wrote another reads byte for byte: keys, values, nulls, headers, timestamps."""
    sent = messages(40, size=700)
    writer.create_topic(topic)
    writer.produce(topic, sent, codec=codec)
    assert reader.consume(topic, 40) == read_as(sent)


def _ten_records(client: Client, topic: str, sent: Sequence[Message], *, idempotent: bool = False) -> None:
    assert len(sent) == 10
    client.create_topic(topic)
    # Several batches, so that an offset can lie inside one, at its start and at its end.
    for first in (0, 3, 6):
        client.produce(topic, sent[first : first + 3 if first < 6 else 10], idempotent=idempotent)


@contextmanager
def _trickle(client: Client, topic: str) -> Iterator[threading.Event]:
    """Produce a record every now and then until told to stop."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.3):
            client.produce(topic, plain([b"new"]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()
