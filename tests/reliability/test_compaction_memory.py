"""Goal: compacting takes as much memory as log.cleaner.dedupe.buffer.size allows, however many keys there are.

Method: a broker whose topic has many more distinct keys than fit; `logd topic compact`; the largest size that any of
its workers ever had, as the kernel counts it, and the broker's own. Afterwards every key is there once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.clients.wire import Connection, check_produced, create_topic, produce_frame
from protocol.record_builder import RecordBatchBuilder
from protocol.records import iter_batches, read_header
from tests.support.broker import ROOT, LogdBroker

TOPIC = "keys"
PER_BATCH = 2000
INTERPRETER_BYTES = 48 << 20
"""A worker without a map: the interpreter, a batch, what is written next, and what the allocator keeps back."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="asks /proc"),
]


class Size(NamedTuple):
    keys: int
    buffer_bytes: int


class Peaks(threading.Thread):
    """The largest resident size of each child of a process, for as long as the block runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.children: dict[int, int] = {}
        self._pid = pid
        self._ended = threading.Event()

    def __enter__(self) -> Peaks:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            for child in Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split():
                peak = peak_bytes(int(child))
                self.children[int(child)] = max(self.children.get(int(child), 0), peak)


def peak_bytes(pid: int) -> int:
    """The largest resident size that a process ever had; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM"))
    return next((int(line[1]) * 1024 for line in lines), 0)


def write(bootstrap: str, keys: range) -> None:
    connection = Connection(bootstrap)
    now_ms = int(time.time() * 1000)
    for first in range(keys.start, keys.stop, PER_BATCH):
        names = [b"customer-%09d" % number for number in range(first, min(first + PER_BATCH, keys.stop))]
        builder = RecordBatchBuilder()
        builder.extend(names, [b"value"] * len(names), timestamp_ms=now_ms)
        size = connection.exchange(produce_frame(TOPIC, bytes(builder.build())))
    check_produced(connection, size, TOPIC)
    connection.close()


@pytest.mark.parametrize(
    "size",
    [
        Size(300_000, 4 << 20),
        pytest.param(
            Size(10_000_000, 128 << 20), marks=[pytest.mark.full, pytest.mark.timeout(1800)], id="acceptance"
        ),
    ],
)
def test_memory_is_bounded(tmp_path: Path, size: Size) -> None:
    properties = {"log.cleaner.dedupe.buffer.size": str(size.buffer_bytes)}
    with LogdBroker(tmp_path, properties=properties) as broker:
        connection = Connection(broker.bootstrap)
        configs = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1", "file.delete.delay.ms": "0"}
        create_topic(connection, TOPIC, configs)
        connection.close()
        write(broker.bootstrap, range(size.keys))
        write(broker.bootstrap, range(size.keys // 10))
        before = peak_bytes(broker.pid)
        with Peaks(broker.pid) as peaks:
            command = [sys.executable, "-m", "logd", "topic", "compact", TOPIC, "-J", "-b", broker.bootstrap]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        [row] = json.loads(done.stdout)
        grown = peak_bytes(broker.pid) - before
        passes = broker.output().count("compacted topic=keys")
        largest = max(peaks.children.values())
        print(f"{passes} passes, worker {largest >> 20} MiB, broker grew by {grown >> 20} MiB")
        assert row["error"] is None and row["cleaned_to"] == size.keys + size.keys // 10
        assert passes > 1
        assert largest < size.buffer_bytes + INTERPRETER_BYTES
        assert grown < 32 << 20
        logs = sorted((broker.data_dir / f"{TOPIC}-0").glob("*.log"))
        counts = [read_header(batch).record_count for log in logs for batch in iter_batches(log.read_bytes())]
        assert sum(counts) == size.keys
