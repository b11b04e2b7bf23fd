"""A consumer that is far behind reads a topic from its start while a producer goes on writing to its end.

    python -m bench run catch-up

1 GB lies in the partition, in batches of 128 KB and in the page cache (S16 reads from the disk). A consumer in its own
process reads it four times over, fetches of 1 MB; meanwhile 200 batches of 16 KB a second are due, acks=all. Latency
counts from when a batch was due. GB are those read.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from typing import ClassVar

from bench.latencies import LATENCY, latencies
from bench.processes import cpu_seconds
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets import ROOT, Running, address_of
from bench.wire import Connection, batch_of, check_produced, create_topic, produce_frame
from logd.load import batches
from logd.load.conversation import Tally
from logd.load.pace import FixedRate
from logd.load.produce import ProduceConversation
from logd.load.run import Figures, Run

_TOPIC = "catch-up"
_RECORD_BYTES = 1024
_OLD_BATCH_RECORDS = 120
_NEW_BATCH_RECORDS = 15
_BATCHES_PER_S = 200
_IN_FLIGHT = 200
_PASSES = 4


class CatchUp(OneByOne):
    name = "catch-up"
    title = "a consumer catches up 1 GB while the topic is written"
    targets = ("kafka", "tansu", "logd")
    writes = False  # and what was written must stay in memory
    metrics: ClassVar[Mapping[str, Metric]] = {
        "read_mb_per_s": Metric("read", "MB/s", 0),
        "cpu_s_per_gb": Metric("broker CPU", "s/GB", 3),
        **{name: each._replace(title=f"produce {each.title} meanwhile") for name, each in LATENCY.items()},
    }

    def settings(self) -> Mapping[str, object]:
        return {
            "bytes": self._batches() * len(_old_batch()),
            "passes": _PASSES,
            "batches_per_s": _BATCHES_PER_S,
        }

    def prepare(self, name: str, target: Running) -> None:
        connection = Connection(target.bootstrap)
        create_topic(connection, _TOPIC)
        produce = produce_frame(_TOPIC, _old_batch())
        for _ in range(self._batches()):
            size = connection.exchange(produce)
        check_produced(connection, size, _TOPIC)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        words = [sys.executable, "-m", "bench.topic_reader", target.bootstrap, _TOPIC, str(_PASSES)]
        cpu, began = cpu_seconds(target.pid), time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as reader:
            figures = _produce_beside(target, reader)
            seconds, cpu = time.perf_counter() - began, cpu_seconds(target.pid) - cpu
            assert reader.stdout is not None
            read = int(reader.stdout.read() or 0)
        if reader.returncode or read < self._batches() * len(_old_batch()) * _PASSES:
            raise RuntimeError(f"the consumer read {read} bytes and ended with {reader.returncode}")
        return {
            "read_mb_per_s": read / 1e6 / seconds,
            "cpu_s_per_gb": cpu / (read / 1e9),
            **latencies(figures.latency),
        }

    def _batches(self) -> int:
        return 500 if self.options.quick else 8_000


def _old_batch() -> bytes:
    return batch_of(_OLD_BATCH_RECORDS, _RECORD_BYTES)


def _produce_beside(target: Running, reader: subprocess.Popen[str]) -> Figures:
    """Produce until the reader has ended."""
    tally = Tally()
    batch = batches.batch_of(_NEW_BATCH_RECORDS, _RECORD_BYTES)
    conversation = ProduceConversation(_TOPIC, [0], batch, tally, room=_IN_FLIGHT)
    run = Run([(address_of(target), conversation)], FixedRate(_BATCHES_PER_S), tally)

    def look(run: Run) -> None:
        run.stopped = reader.poll() is not None

    try:
        return run.go(None, progress=look)
    finally:
        run.close()
