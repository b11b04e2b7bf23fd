"""S16: what a producer feels while a consumer of another topic reads what is not in memory.

    python -m bench run S16

The old topic is written once, in batches of 128 KB. Before each round its pages are dropped from the page cache; about
the disk's own cache nothing can be done. One record goes into another topic, acks=all, 2 ms after the last was
acknowledged (so a long stall is one sample), first while nothing else happens, then while the consumer, a process of
its own, reads the old topic from the start to the end. Fewer than 10 GB are read where that would take more than a
quarter of the disk's room.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from bench.clients.topic_reader import TopicReader
from bench.clients.wire import Connection, check_produced, create_topic, produce_frame
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.spread import percentile
from bench.targets.registry import Running
from logd.load.batches import batch_of
from tests.reliability.page_cache import evict

_OLD, _NEW = "s16-old", "s16-new"
_RECORD_BYTES = 1024
_BATCH_RECORDS = 120
_PROBE_EVERY_S = 0.002
_IDLE_S = 5.0
_IDLE_QUICK_S = 0.5


class ColdReads(OneByOne):
    name = "S16"
    title = "produce p99 while another consumer reads 10 GB cold"
    targets = ("kafka", "logd")
    writes = False  # filling memory would push out what the producer's topic needs, too
    warms_up_by_producing = False  # the old topic does
    metrics: ClassVar[Mapping[str, Metric]] = {
        "p99_us": Metric("produce p99 meanwhile", "µs", 0),
        "p99_ratio": Metric("the same, times that when idle", "×", 2),
        "read_mb_per_s": Metric("read", "MB/s", 0),
    }

    def settings(self) -> Mapping[str, object]:
        return {"topic_bytes": self._topic_bytes, "record_bytes": _RECORD_BYTES, "idle_s": self._idle_s()}

    def prepare(self, name: str, target: Running) -> None:
        connection = Connection(target.bootstrap)
        create_topic(connection, _OLD, {"retention.ms": "-1"})
        create_topic(connection, _NEW)
        batch = batch_of(_BATCH_RECORDS, _RECORD_BYTES).encoded
        produce = produce_frame(_OLD, batch)
        check_produced(connection, connection.exchange(produce), _OLD)
        for _ in range(self._topic_bytes // len(batch)):
            connection.exchange(produce)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        data_dir: Path = target.data_dir  # type: ignore[attr-defined]
        connection = Connection(target.bootstrap)
        probe = produce_frame(_NEW, batch_of(1, _RECORD_BYTES).encoded)
        check_produced(connection, connection.exchange(probe), _NEW)
        ends = time.perf_counter() + self._idle_s()
        idle = _produce_until(connection, probe, lambda: time.perf_counter() > ends)
        with TopicReader(target.bootstrap, _OLD) as reader:
            evict(data_dir / f"{_OLD}-0")
            reader.go()
            busy = _produce_until(connection, probe, reader.is_done)
            read = reader.result()
        if read.size_bytes < self._topic_bytes:
            raise RuntimeError(f"the consumer read {read.size_bytes} bytes")
        check_produced(connection, connection.exchange(probe), _NEW)
        connection.close()
        p99 = percentile(busy, 0.99)
        return {
            "p99_us": p99 * 1e6,
            "p99_ratio": p99 / percentile(idle, 0.99),
            "read_mb_per_s": read.size_bytes / 1e6 / read.seconds,
        }

    @cached_property
    def _topic_bytes(self) -> int:
        if self.options.quick:
            return 128 << 20
        return min(10_000_000_000, shutil.disk_usage(self.options.directory).free // 4)

    def _idle_s(self) -> float:
        return _IDLE_QUICK_S if self.options.quick else _IDLE_S


def _produce_until(connection: Connection, frame: bytes, done: Callable[[], bool]) -> list[float]:
    """Latencies in seconds."""
    taken: list[float] = []
    clock = time.perf_counter
    while not done():
        began = clock()
        connection.exchange(frame)
        taken.append(clock() - began)
        time.sleep(_PROBE_EVERY_S)
    return taken
