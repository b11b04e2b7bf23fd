"""S11: 5,000 connections that have said hello and are silent: what each keeps in memory, what one beside them feels.

    python -m bench run S11

Each connection asks for the broker's versions, as every client does, and stays silent. The active one sends 200 produce
requests of one 1 KB record a second, at a fixed rate, first alone and then beside them. Memory is resident memory of
the broker with the connections less that before the first of them, a share for each: what a broker
keeps from one round to the next counts, and so does a heap that grows meanwhile. The silent ones belong to another
process (`bench.clients.silent_clients`). That and the brokers need a descriptor for each: the soft limit, which they
inherit, is raised here.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from bench.clients.silent_clients import allow_descriptors
from bench.clients.wire import Connection, create_topic
from bench.scenarios.base import Metric, Metrics, OneByOne, Sample
from bench.targets.registry import ROOT, Running, address_of
from bench.usage import memory_mb
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.pace import FixedRate
from logd.load.produce import ProduceConversation
from logd.load.run import Run

_TOPIC = "s11"
_RATE = 200
_RECORD_BYTES = 1024


class IdleConnections(OneByOne):
    name = "S11"
    title = "5,000 idle connections"
    targets = ("kafka", "logd")
    writes = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "kb_each": Metric("broker memory for each", "KB", 1),
        "p99_us": Metric("p99 of an active one beside them", "µs", 0),
        "p99_alone_us": Metric("alone", "µs", 0),
        "p99_ratio": Metric("beside them, times alone", "×", 2),
    }

    _before: dict[str, float]

    def settings(self) -> Mapping[str, object]:
        return {"connections": self._connections(), "requests_per_s": _RATE, "seconds": self._seconds()}

    def run(self) -> list[Sample]:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        allow_descriptors(self._connections())
        try:
            return super().run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    def prepare(self, name: str, target: Running) -> None:
        self._before = getattr(self, "_before", {})
        connection = Connection(target.bootstrap)
        create_topic(connection, _TOPIC)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        alone = self._p99_us(self._probe(target))
        if name not in self._before:
            self._before[name] = memory_mb(target.pid)["rss_mb"]
        with self._silent_clients(target):
            used = memory_mb(target.pid)["rss_mb"] - self._before[name]
            beside = self._p99_us(self._probe(target))
        return {
            "kb_each": used * 1000 / self._connections(),
            "p99_us": beside,
            "p99_alone_us": alone,
            "p99_ratio": beside / alone,
        }

    @contextmanager
    def _silent_clients(self, target: Running) -> Iterator[None]:
        command = [
            sys.executable,
            "-m",
            "bench.clients.silent_clients",
            target.bootstrap,
            str(self._connections()),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as clients:
            assert clients.stdout is not None
            if clients.stdout.readline() != "ready\n":
                raise RuntimeError("the silent clients could not connect")
            yield

    @staticmethod
    def _probe(target: Running) -> Run:
        tally = Tally()
        conversation = ProduceConversation(_TOPIC, [0], batch_of(1, _RECORD_BYTES), tally, room=_RATE)
        return Run([(address_of(target), conversation)], FixedRate(_RATE), tally)

    def _p99_us(self, run: Run) -> float:
        try:
            return (
                run.go(self._seconds(), warm_up_s=0.2 if self.options.quick else 1.0).latency.percentile(99)
                / 1000
            )
        finally:
            run.close()

    def _connections(self) -> int:
        return 500 if self.options.quick else 5_000

    def _seconds(self) -> float:
        return 0.5 if self.options.quick else 6.0
