"""S14: compacting a log of which a fifth survives, and what a producer of another topic feels of it.

    python -m bench run S14 S14S

Every broker gets the same records: keys drawn from a fixed number, batches of 16 KB, no compression. The topic may not
be compacted until all are in; then min.cleanable.dirty.ratio is lowered, and the clock runs until the cleaner's
checkpoint says that all but the active segment is clean. That includes starting logd's worker process, and the time
until a broker looks (100 ms at most). CPU is the broker's and that of its children, the producer's requests included.
Rate and CPU are per byte of dirty log. Meanwhile, and for as long afterwards but at most five seconds, one record goes
into another topic every 2 ms, acks=all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from bench.clients.wire import Connection, check_produced, create_topic, delete_topic, produce_frame
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.spread import percentile
from bench.targets.registry import Running
from logd.load.batches import batch_of
from logd.load.process_cost import cpu_seconds
from protocol.configs import ConfigResourceType
from protocol.errors import ErrorCode
from protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from protocol.record_builder import RecordBatchBuilder
from storage.checkpoint import CLEANER_OFFSETS, read_offsets
from storage.fs.real import RealFileSystem

_BATCH_BYTES = 16_000
_PROBE_EVERY_S = 0.002
_TIMEOUT_S = 600
_IDLE_MAX_S = 5.0
_RATIO = "min.cleanable.dirty.ratio"
_SURVIVES = 5
"""One record in so many, when each key is written that often."""


class Compaction(OneByOne):
    name = "S14"
    title = "compaction, 1 KB records"
    targets = ("kafka", "logd", "compiled")
    is_quick = False  # "compiled" has to be made first
    warms_up_by_producing = False  # every round produces a lot before it compacts
    metrics: ClassVar[Mapping[str, Metric]] = {
        "mb_per_s": Metric("dirty log cleaned", "MB/s", 0),
        "cpu_s_per_gb": Metric("CPU", "s/GB", 2),
        "p99_us": Metric("produce p99 meanwhile", "µs", 0),
        "p99_ratio": Metric("the same, times that when idle", "×", 2),
    }
    record_bytes: ClassVar[int] = 1024
    total_bytes: ClassVar[int] = 1 << 30

    def settings(self) -> Mapping[str, object]:
        return {"bytes": self._total(), "record_bytes": self.record_bytes, "topic": self._topic()}

    def start(self, name: str) -> Running:
        return self._targets.start(name, {"log.cleaner.backoff.ms": "100"})

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        table, other = f"s14-{round_number}", f"s14-{round_number}-other"
        connection = Connection(target.bootstrap)
        create_topic(connection, table, self._topic())
        create_topic(connection, other)
        probe = produce_frame(other, batch_of(1, self.record_bytes).encoded)
        for batch in self._batches:
            size = connection.exchange(produce_frame(table, batch))
        check_produced(connection, size, table)
        data_dir: Path = target.data_dir  # type: ignore[attr-defined]
        segments = sorted((data_dir / f"{table}-0").glob("*.log"))
        dirty = sum(segment.stat().st_size for segment in segments[:-1])
        cpu, began = cpu_seconds(target.pid), time.perf_counter()
        _lower_ratio(connection, table)
        busy = _produce_until(connection, probe, lambda: _is_clean(data_dir, table, int(segments[-1].stem)))
        seconds, cpu = time.perf_counter() - began, cpu_seconds(target.pid) - cpu
        ends = time.perf_counter() + min(seconds, _IDLE_MAX_S)
        idle = _produce_until(connection, probe, lambda: time.perf_counter() > ends)
        check_produced(connection, connection.exchange(probe), other)
        for topic in (table, other):
            delete_topic(connection, topic)
        connection.close()
        p99 = percentile(busy, 0.99)
        return {
            "mb_per_s": dirty / 1e6 / seconds,
            "cpu_s_per_gb": cpu / (dirty / 1e9),
            "p99_us": p99 * 1e6,
            "p99_ratio": p99 / percentile(idle, 0.99),
        }

    @cached_property
    def _batches(self) -> list[bytes]:
        """The same for every broker and round."""
        choose = random.Random(self.record_bytes)
        per_batch = max(_BATCH_BYTES // (self.record_bytes + 20), 1)
        records = self._total() // self.record_bytes
        keys = [b"customer-%08d" % number for number in range(records // _SURVIVES)]
        values = [choose.randbytes(self.record_bytes)] * per_batch
        now_ms = int(time.time() * 1000)
        batches = []
        for _ in range(records // per_batch):
            builder = RecordBatchBuilder()
            builder.extend(choose.choices(keys, k=per_batch), values, timestamp_ms=now_ms)
            batches.append(bytes(builder.build()))
        return batches

    def _topic(self) -> dict[str, str]:
        segment_bytes = (4 << 20) if self.options.quick else (64 << 20)
        return {"cleanup.policy": "compact", "segment.bytes": str(segment_bytes), _RATIO: "1"}

    def _total(self) -> int:
        return (32 << 20) if self.options.quick else self.total_bytes


class CompactionOfSmallRecords(Compaction):
    name = "S14S"
    title = "compaction, 100 B records"
    record_bytes = 100
    total_bytes = 320 << 20  # some 430 MB as they lie, six segments to clean


def _lower_ratio(connection: Connection, topic: str) -> None:
    config = IncrementalAlterConfigsRequest.AlterableConfig(name=_RATIO, config_operation=0, value="0.001")
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=ConfigResourceType.TOPIC, resource_name=topic, configs=[config]
    )
    response = connection.call(IncrementalAlterConfigsRequest(resources=[resource]))
    code = response.responses[0].error_code
    if code != ErrorCode.NONE:
        raise RuntimeError(f"cannot change {topic}: {ErrorCode(code).name}")


def _produce_until(connection: Connection, frame: bytes, done: Callable[[], bool]) -> list[float]:
    """Latencies in seconds; `done` is asked every tenth of a second."""
    taken: list[float] = []
    clock = time.perf_counter
    deadline, ask_at = clock() + _TIMEOUT_S, clock()
    while True:
        began = clock()
        if began > ask_at:
            if done():
                return taken
            if began > deadline:
                raise TimeoutError("the topic is not compacted")
            ask_at = began + 0.1
            began = clock()
        connection.exchange(frame)
        taken.append(clock() - began)
        time.sleep(_PROBE_EVERY_S)


def _is_clean(data_dir: Path, topic: str, offset: int) -> bool:
    fs = RealFileSystem()
    path = str(data_dir / CLEANER_OFFSETS)
    offsets = read_offsets(fs, path) if fs.exists(path) and fs.size(path) else {}
    return any(name == topic and at >= offset for (name, _), at in offsets.items())
