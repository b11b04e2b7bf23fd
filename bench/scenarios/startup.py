"""S8: from starting the process to the first acknowledged record on a topic that was just created; idle memory.

    python -m bench run S8
    python -m bench run S8 --logd-command "/path/to/venv/bin/logd"     an installed wheel instead of this checkout

Formatting Kafka's directory is not counted. The clock runs from spawning the process until a raw client, which
tries to connect every millisecond, has created a topic and holds the acknowledgement of one record. So that
nobody waits for what a broker writes, all know their port beforehand.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from typing import ClassVar

from bench.clients.wire import Connection, connect_when_up, create_topic, produce_error, produce_frame
from bench.cost import cost_since
from bench.scenarios.base import Metric, Metrics, OneByOne, Sample
from bench.targets.registry import ROOT, Running
from bench.usage import Usage, memory_mb
from logd.load.batches import batch_of
from protocol.errors import ErrorCode
from tests.support.kafka_broker import KafkaInstallation
from tests.support.ports import free_port

_IDLE_S = 3.0
_IDLE_QUICK_S = 1.0
_TIMEOUT_S = 60


class Startup(OneByOne):
    name = "S8"
    title = "start to first acknowledged produce; idle memory"
    targets = ("kafka", "logd")
    writes = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "first_ack_s": Metric("start to first acknowledgement", "s", 3),
        "rss_mb": Metric("resident, idle", "MB", 0),
    }

    def run(self) -> list[Sample]:
        """Every measurement starts a process of its own, so nothing is kept running."""
        names = self.names(self.options)
        return self.rounds(names, dict.fromkeys(names, _NOTHING))

    def _measure_with_cost(self, name: str, target: Running, round_number: int) -> Metrics:
        return self.measure(name, target, round_number)

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        directory = self._targets.directory_for(f"s8-{name}-{round_number}")
        if name == "kafka":
            installation = KafkaInstallation(directory)
            command, bootstrap = installation.command(), installation.bootstrap
        else:
            port = free_port()
            bootstrap = f"127.0.0.1:{port}"
            where = ["--data-dir", str(directory / "data"), "--port", str(port)]
            command = [*self.options.logd_command, "serve", *where]
        with (directory / "broker.out").open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, env=_environment()
            )
        try:
            _acknowledged_produce(connect_when_up(bootstrap, time.monotonic() + _TIMEOUT_S))
            elapsed = time.perf_counter() - started
            time.sleep(_IDLE_QUICK_S if self.options.quick else _IDLE_S)
            return {"first_ack_s": elapsed, **memory_mb(process.pid), **cost_since(process.pid, Usage())}
        finally:
            process.terminate()
            process.wait(_TIMEOUT_S)


class _Nothing:
    bootstrap = ""
    pid = 0

    def stop(self) -> None:
        pass


_NOTHING = _Nothing()


def _acknowledged_produce(connection: Connection) -> None:
    """Create a topic and produce to it. A broker may refuse both for a moment after it listens."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            create_topic(connection, "first")
            break
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
    frame = produce_frame("first", batch_of(1, 100).encoded)
    while produce_error(connection, connection.exchange(frame), "first") != ErrorCode.NONE:
        if time.monotonic() > deadline:
            raise TimeoutError("produce is still refused")
        time.sleep(0.002)
    connection.close()


def _environment() -> dict[str, str]:
    """As for a user: byte code is cached, nothing configures the broker from outside."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LOGD_") and name != "PYTHONDONTWRITEBYTECODE"
    }
