"""Goal: what a request costs does not creep up. Counted, not timed, so that a busy machine changes nothing.

Method: a broker as a process of its own serves requests of one kind, one after the other. A profile hook counts the
calls in Python, and says at each request how many there were. They are looked at in short runs of requests, of which
the one with the fewest tells what is needed: timers, a page that was no longer in memory, or an answer that a full
socket took in parts add to some runs, and not to all. System calls are counted by strace: those of a broker that serves
many requests, without those of another one that serves few. The bounds are what was counted when they were last set:
one call more in every request is above them, and who makes a request dearer raises them on purpose.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, cycle, pairwise
from pathlib import Path

import pytest

from bench.clients.wire import (
    FETCH_VERSION,
    PRODUCE_VERSION,
    Connection,
    check_produced,
    create_topic,
    fetch_request,
    frame,
    produce_frame,
)
from logd.load.batches import batch_of
from protocol.messages.metadata import MetadataRequest
from protocol.messages.produce import ProduceRequest
from tests.support.broker import LogdBroker

TOPIC = "costs"
FEW, MANY = 300, 1300
RUN = 20
"""Exchanges; what a broker does less often than that is not seen. Produce adds to an index with every fourth."""

STRACE = shutil.which("strace")

Exchange = Callable[[], object]
Prepare = Callable[[Connection, Connection], Exchange]
"""Makes what the requests need; returns what sends one and waits for the answer. It may use both connections."""


def produce(connection: Connection, _other: Connection) -> Exchange:
    """One record of 1 KB, acks=all."""
    request = produce_frame(TOPIC, batch_of(1, 1024).encoded)
    check_produced(connection, connection.exchange(request), TOPIC)
    return partial(connection.exchange, request)


def produce_in_turn(connection: Connection, _other: Connection) -> Exchange:
    """The same to one partition after the other, each batch in a request of its own."""
    topic, partitions = f"{TOPIC}-in-turn", 100
    create_topic(connection, topic, partitions=partitions)
    batch = batch_of(1, 1024).encoded
    requests = [produce_frame(topic, batch, partition=index) for index in range(partitions)]
    for request in requests:
        check_produced(connection, connection.exchange(request), topic)
    in_turn = cycle(requests)
    return lambda: connection.exchange(next(in_turn))


def produce_together(connection: Connection, _other: Connection) -> Exchange:
    """A hundred such batches, each to a partition of its own, in one request."""
    topic, partitions = f"{TOPIC}-together", 100
    create_topic(connection, topic, partitions=partitions)
    batch = batch_of(1, 1024).encoded
    data = [ProduceRequest.PartitionProduceData(index=index, records=batch) for index in range(partitions)]
    topic_data = ProduceRequest.TopicProduceData(name=topic, partition_data=data)
    request = frame(ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[topic_data]), PRODUCE_VERSION)
    check_produced(connection, connection.exchange(request), topic)
    return partial(connection.exchange, request)


def fetch(connection: Connection, _other: Connection) -> Exchange:
    """Ten records of 1 KB from the page cache."""
    written = produce_frame(TOPIC, batch_of(10, 1024).encoded)
    check_produced(connection, connection.exchange(written), TOPIC)
    return partial(connection.exchange, frame(fetch_request(TOPIC, 0), FETCH_VERSION))


def fetch_with_epoch(connection: Connection, other: Connection) -> Exchange:
    """The same from a reader that asks whether histories part: there is no short way for it."""
    fetch(connection, other)
    request = fetch_request(TOPIC, 0)
    request.topics[0].partitions[0].last_fetched_epoch = 0
    return partial(connection.exchange, frame(request, FETCH_VERSION))


def produce_and_fetch(connection: Connection, other: Connection) -> Exchange:
    """One record of 1 KB, and a consumer who waits for it; between them a request that costs what `metadata` does."""
    produce_one = produce(connection, other)
    ask_metadata = metadata(connection, other)
    offsets = count(1)

    def exchange() -> None:
        request = frame(fetch_request(TOPIC, next(offsets), max_wait_ms=60_000), FETCH_VERSION)
        other.socket.sendall(request)
        ask_metadata()  # what came before it is read by the end of the turn, so the fetch waits before the record comes
        produce_one()
        assert other.read_answer() > 1024

    return exchange


def metadata(connection: Connection, _other: Connection) -> Exchange:
    """All topics, of which there is one."""
    return partial(connection.exchange, frame(MetadataRequest(topics=None), 12))


def serve(directory: Path, command: Sequence[str], prepare: Prepare, requests: int) -> None:
    with LogdBroker(directory, command=command) as broker:
        connection, other = Connection(broker.bootstrap), Connection(broker.bootstrap)
        create_topic(connection, TOPIC)
        exchange = prepare(connection, other)
        for _ in range(requests):
            exchange()
        connection.close()
        other.close()
        assert broker.stop() == 0


def python_work(directory: Path, prepare: Prepare, requests_each: int) -> tuple[float, float]:
    """For one exchange, which is `requests_each` requests: functions called, and memory blocks that are kept."""
    result = directory / "counted"
    command = (sys.executable, "-m", "tests.support.counted_broker", str(result))
    serve(directory / "broker", command, prepare, MANY)
    counted = [tuple(map(int, line.split())) for line in result.read_text().splitlines()]
    # The first ones are left out: what fills up then (hints, buffers, indexes) costs something else afterwards.
    starts_of_runs = counted[(FEW - MANY) * requests_each :: RUN * requests_each]
    calls, blocks = zip(*starts_of_runs, strict=True)
    fewest = min(end - start for start, end in pairwise(calls))
    return fewest / RUN, (blocks[-1] - blocks[0]) / (MANY - FEW - RUN)


@pytest.mark.parametrize(
    ("prepare", "requests_each", "calls_max"),
    [
        (produce, 1, 56.5),
        (produce_in_turn, 1, 55),
        (produce_together, 1, 3429),
        (fetch, 1, 69),
        (fetch_with_epoch, 1, 160),
        (produce_and_fetch, 3, 310.5),
        (metadata, 1, 130),
    ],
)
def test_python_calls(tmp_path: Path, prepare: Prepare, requests_each: int, calls_max: float) -> None:
    calls, blocks = python_work(tmp_path, prepare, requests_each)
    assert calls <= calls_max
    assert blocks < 0.5  # nothing is kept of a request


def system_calls(directory: Path, prepare: Prepare, requests: int) -> Counter[str]:
    counted = directory / f"strace-{requests}"
    assert STRACE is not None
    command = (
        STRACE,
        "-D",
        "-f",
        "-c",
        "-o",
        str(counted),
        sys.executable,
        "-m",
        "logd",
    )  # -D: it is not the parent
    serve(directory / str(requests), command, prepare, requests)
    while not counted.read_text().endswith("total\n"):
        time.sleep(0.01)
    rows = re.findall(
        r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", counted.read_text(), re.MULTILINE
    )
    return Counter({name: int(calls) for calls, name in rows if name != "total"})


@pytest.mark.skipif(STRACE is None, reason="strace, which counts them, is not installed")
@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (produce, {"recvfrom": 1, "pwrite64": 1, "sendto": 1, "epoll_pwait": 1}),
        (fetch, {"recvfrom": 1, "preadv2": 3, "sendto": 1, "epoll_pwait": 1}),
        (metadata, {"recvfrom": 1, "sendto": 1, "epoll_pwait": 1}),
    ],
)
def test_system_calls(tmp_path: Path, prepare: Prepare, expected: dict[str, int]) -> None:
    few = system_calls(tmp_path, prepare, FEW)
    many = system_calls(tmp_path, prepare, MANY)
    each = {name: (many[name] - few[name]) / (MANY - FEW) for name in many}
    assert {name: round(calls) for name, calls in each.items() if round(calls)} == expected
