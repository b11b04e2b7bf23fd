"""S9: resident memory after 10 GB went in and came out again.

    python -m bench run S9

A raw client produces 128 KB batches and fetches them back, in slices of 256 MB; the topic keeps 1 GB, so that
segments roll and are deleted all the time. The process is the same for all rounds: before the first that counts 8 GB
go through it, in each another 2 GB.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from bench.clients.wire import (
    FETCH_VERSION,
    Connection,
    check_produced,
    create_topic,
    fetch_request,
    frame,
    produce_frame,
)
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.scenarios.consume import BATCH_RECORDS, RECORD_BYTES
from bench.targets.registry import Running
from bench.usage import memory_mb
from logd.load.batches import batch_of

_SLICE = 256 << 20
_KEEP: Mapping[str, str] = {
    "segment.bytes": str(256 << 20),
    "retention.bytes": str(1 << 30),
    "file.delete.delay.ms": "1000",
}


class Memory(OneByOne):
    name = "S9"
    title = "memory after 10 GB through it"
    targets = ("kafka", "logd")
    is_quick = False
    writes = False
    warms_up_by_producing = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "rss_mb": Metric("resident afterwards", "MB", 0),
        "rss_peak_mb": Metric("highest", "MB", 0),
    }

    def settings(self) -> Mapping[str, object]:
        before, each = self._total(0), self._total(1)
        return {"bytes_before": before, "bytes_per_round": each, "slice": _SLICE, "topic": dict(_KEEP)}

    def start(self, name: str) -> Running:
        return self._targets.start(name, {"log.retention.check.interval.ms": "2000"})

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        topic = f"s9-{round_number}"
        connection = Connection(target.bootstrap)
        create_topic(connection, topic, dict(_KEEP))
        batch = batch_of(BATCH_RECORDS, RECORD_BYTES).encoded
        produce = produce_frame(topic, batch)
        per_slice = _SLICE // len(batch)
        # A fetch of 1 MB returns whole batches only up to its limit; each frame asks where the last one ended.
        per_fetch = (1 << 20) // len(batch)
        offset = 0
        for done in range(0, self._total(round_number), _SLICE):
            for _ in range(per_slice):
                size = connection.exchange(produce)
            check_produced(connection, size, topic)
            for _ in range(0, per_slice, per_fetch):
                connection.exchange(frame(fetch_request(topic, offset, max_wait_ms=0), FETCH_VERSION))
                offset += per_fetch * BATCH_RECORDS
            offset = (done // _SLICE + 1) * per_slice * BATCH_RECORDS
        time.sleep(2)
        connection.close()
        return memory_mb(target.pid)

    def _total(self, round_number: int) -> int:
        if self.options.quick:
            return 1 << 30
        return (2 if round_number > 0 else 8) << 30
