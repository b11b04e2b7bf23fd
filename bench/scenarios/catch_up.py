"""A consumer that is far behind reads a topic from its start while a producer goes on writing to its end.

    python -m bench run catch-up

1 GB lies in the partition, in batches of 128 KB and in the page cache (S16 reads from the disk). A consumer in its own
process reads it eight times over, fetches of 1 MB; meanwhile 200 batches of 16 KB a second are due, acks=all. The
consumer tells how long it took; latency and CPU are counted from when it begins until it has ended. Latency is the
producer's, from when a batch was due. GB are those read.

A target that gets no core for a tenth of a second keeps twenty batches waiting, more than the hundredth part of the 700
or so of a round: one such stop is its p99. So it takes a machine that has nothing else to do. What the target's threads
waited for a core is among the costs of the round; how late batches left is what the client waited.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar

from bench.clients.topic_reader import Reading, TopicReader
from bench.clients.wire import Connection, check_produced, create_topic, produce_frame
from bench.latencies import LATENCY, LATENESS, latencies, lateness
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import Running, address_of
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.pace import FixedRate
from logd.load.process_cost import cpu_seconds
from logd.load.produce import ProduceConversation
from logd.load.run import Figures, Run

_TOPIC = "catch-up"
_RECORD_BYTES = 1024
_OLD_BATCH_RECORDS = 120
_NEW_BATCH_RECORDS = 15
_BATCHES_PER_S = 200
_IN_FLIGHT = 200
_PASSES = 8
_WARM_UP_S = 0.5


class CatchUp(OneByOne):
    name = "catch-up"
    title = "a consumer catches up 1 GB while the topic is written"
    targets = ("kafka", "tansu", "logd")
    writes = False  # and what was written must stay in memory
    metrics: ClassVar[Mapping[str, Metric]] = {
        "read_mb_per_s": Metric("read", "MB/s", 0),
        "cpu_s_per_gb": Metric("broker CPU", "s/GB", 3),
        **{
            name: each._replace(title=f"produce {each.title} meanwhile")
            for name, each in LATENCY.items()
            if name != "p999_us"  # of a thousand batches
        },
        **LATENESS,
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
        with ThreadPoolExecutor(1) as waiting, TopicReader(target.bootstrap, _TOPIC, _PASSES) as reader:
            figures, reading = _produce_beside(target, reader, waiting)
        if reading.size_bytes < self._batches() * len(_old_batch()) * _PASSES:
            raise RuntimeError(f"the consumer read {reading.size_bytes} bytes")
        assert figures.cpu_s is not None
        return {
            "read_mb_per_s": reading.size_bytes / 1e6 / reading.seconds,
            "cpu_s_per_gb": figures.cpu_s / (reading.size_bytes / 1e9),
            **latencies(figures.latency),
            **lateness(figures),
        }

    def _batches(self) -> int:
        return 500 if self.options.quick else 8_000


def _old_batch() -> bytes:
    return batch_of(_OLD_BATCH_RECORDS, _RECORD_BYTES).encoded


def _produce_beside(
    target: Running, reader: TopicReader, waiting: ThreadPoolExecutor
) -> tuple[Figures, Reading]:
    """Let the reader begin when the producer is warm, and produce until it has ended, which a thread waits for."""
    tally = Tally()
    batch = batch_of(_NEW_BATCH_RECORDS, _RECORD_BYTES)
    conversation = ProduceConversation(_TOPIC, [0], batch, tally, room=_IN_FLIGHT)
    run = Run(
        [(address_of(target), conversation)],
        FixedRate(_BATCHES_PER_S),
        tally,
        cpu=lambda: cpu_seconds(target.pid),
    )
    readings: list[Future[Reading]] = []

    def stop(_reading: Future[Reading]) -> None:
        run.stopped = True

    def look(run: Run) -> None:
        if not readings and not run.is_warming_up:
            reader.go()
            readings.append(waiting.submit(reader.result))
            readings[0].add_done_callback(stop)

    try:
        figures = run.go(None, warm_up_s=_WARM_UP_S, progress=look)
    finally:
        run.close()
    return figures, readings[0].result()
