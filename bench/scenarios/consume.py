"""S6: consume from the page cache, and end-to-end latency at a tenth of the load.

    python -m bench run S6 S6L

S6: a raw client sends prebuilt Fetch requests of 1 MB on four connections and throws the bytes away; the floor is a
loop of epoll wait, recv, send and sendfile over a file of the same size. With one connection the figure is bimodal
by a factor of six: either both ends share a core, or each send wakes a sleeping client on the other. With four the
client always has something to do. S6L: while the perf client produces
15,000 records of 1 KB a second to another topic (a tenth of what Kafka takes here in S1), a probe sends a record on
one connection and waits for it on another that is already parked in Fetch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bench.clients import perf_client
from bench.clients.perf_client import Load
from bench.clients.wire import (
    FETCH_VERSION,
    Connection,
    check_produced,
    create_topic,
    end_offset,
    fetch_all,
    fetch_request,
    frame,
    next_offset,
    produce_frame,
)
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.spread import percentile
from bench.targets.baseline_server import FETCH_TOPIC, SENDFILE_BYTES
from bench.targets.registry import Baseline, Running
from logd.load.batches import batch_of
from logd.load.process_cost import cpu_seconds

RECORD_BYTES = 1024
BATCH_RECORDS = 120  # a batch of 128 KB
TOPIC = "s6"
CONNECTIONS = 4


class FetchFromCache(OneByOne):
    name = "S6"
    title = "consume from the page cache, 1 MB fetches"
    targets = ("kafka", "logd", "floor")
    warm_ups = 3
    warms_up_by_producing = False  # filling the topic does
    writes = False  # and what was written must stay in memory
    metrics: ClassVar[Mapping[str, Metric]] = {
        "cpu_s_per_gb": Metric("broker CPU", "s/GB", 3, ("kafka", "floor")),
        "gb_per_s": Metric("rate", "GB/s", 2, ("kafka", "floor")),
    }

    _frames: dict[str, list[bytes]]

    def settings(self) -> Mapping[str, object]:
        return {"topic_bytes": self._topic_bytes(), "passes": self._passes(), "fetch_bytes": SENDFILE_BYTES}

    def start(self, name: str) -> Running:
        if name != "floor":
            return super().start(name)
        file = self._targets.directory_for("s6-floor") / "region"
        _fill(file, self._topic_bytes())
        return Baseline("sendfile", file)

    def prepare(self, name: str, target: Running) -> None:
        self._frames = getattr(self, "_frames", {})
        if name == "floor":
            positions = range(0, self._topic_bytes(), SENDFILE_BYTES)
            self._frames[name] = [_fetch_frame(FETCH_TOPIC, position) for position in positions]
            return
        connection = Connection(target.bootstrap)
        create_topic(connection, TOPIC)
        batch = batch_of(BATCH_RECORDS, RECORD_BYTES).encoded
        produce = produce_frame(TOPIC, batch)
        check_produced(connection, connection.exchange(produce), TOPIC)
        for _ in range(self._topic_bytes() // len(batch)):
            connection.exchange(produce)
        self._frames[name] = _frames_that_cover(connection, TOPIC)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        connections = [Connection(target.bootstrap) for _ in range(CONNECTIONS)]
        before = cpu_seconds(target.pid)
        started = time.perf_counter()
        received = fetch_all(connections, self._frames[name] * self._passes())
        elapsed = time.perf_counter() - started
        used = cpu_seconds(target.pid) - before
        for connection in connections:
            connection.close()
        return {"cpu_s_per_gb": used / (received / 1e9), "gb_per_s": received / 1e9 / elapsed}

    def _topic_bytes(self) -> int:
        return (256 if self.options.quick else 1024) * SENDFILE_BYTES

    def _passes(self) -> int:
        return 4 if self.options.quick else 8


class EndToEnd(OneByOne):
    name = "S6L"
    title = "end-to-end latency of a 1 KB record at 10 % load"
    targets = ("kafka", "logd")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "p50_us": Metric("p50", "µs", 0),
        "p99_us": Metric("p99", "µs", 0),
    }
    load = Load(records=10_000_000, record_bytes=RECORD_BYTES, settings={}, per_second=15_000)
    _PACE_S = 0.004

    @classmethod
    def missing(cls) -> str | None:
        return perf_client.missing()

    def settings(self) -> Mapping[str, object]:
        return {"probes_per_round": self._probes(), "load": self.load._asdict()}

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        writer, reader = Connection(target.bootstrap), Connection(target.bootstrap)
        topic = f"s6l-{round_number}"
        create_topic(writer, topic)
        create_topic(writer, f"{topic}-load")
        background = perf_client.start(target.bootstrap, f"{topic}-load", self.load)
        try:
            assert background.stdout is not None
            for _ in range(
                2 if self.options.quick else 4
            ):  # the notice about warm-up, then a report each second
                background.stdout.readline()
            return self._probe(writer, reader, topic)
        finally:
            background.kill()
            background.communicate()
            writer.close()
            reader.close()

    def _probe(self, writer: Connection, reader: Connection, topic: str) -> Metrics:
        produce = produce_frame(topic, batch_of(1, RECORD_BYTES).encoded)
        clock = time.perf_counter_ns
        taken = []
        first = end_offset(writer, topic)
        for offset in range(first, first + self._probes()):
            reader.socket.sendall(_fetch_frame(topic, offset, max_wait_ms=10_000))
            time.sleep(self._PACE_S)  # the fetch is parked by now
            start = clock()
            writer.socket.sendall(produce)
            size = reader.read_answer()
            taken.append(clock() - start)
            writer.read_answer()
            assert size > RECORD_BYTES, "the fetch came back empty"
        return {"p50_us": percentile(taken, 0.5) / 1000, "p99_us": percentile(taken, 0.99) / 1000}

    def _probes(self) -> int:
        return 200 if self.options.quick else 1_500


def _fetch_frame(topic: str, offset: int, *, max_wait_ms: int = 500) -> bytes:
    return frame(fetch_request(topic, offset, max_wait_ms=max_wait_ms), FETCH_VERSION)


def _frames_that_cover(connection: Connection, topic: str) -> list[bytes]:
    """Read a topic through once; the requests that did it."""
    frames = []
    offset, end = 0, end_offset(connection, topic)
    while offset < end:
        request = fetch_request(topic, offset)
        frames.append(frame(request, FETCH_VERSION))
        records = connection.call(request, FETCH_VERSION).responses[0].partitions[0].records
        offset = next_offset(records)
    return frames


def _fill(path: Path, size: int) -> None:
    block = batch_of(BATCH_RECORDS, RECORD_BYTES).encoded
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)
