"""The broker that the services run against: logd, or Apache Kafka with `LOGD_TEST_TARGET=kafka`.

Both keep their address over kill -9 and a restart, as services that were given it expect.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Protocol

from tests.support.broker import LogdBroker
from tests.support.kafka_broker import KafkaInstallation
from tests.support.ports import free_port

AGAINST_KAFKA = os.environ.get("LOGD_TEST_TARGET", "logd") == "kafka"
_KAFKA_PROPERTIES = {
    "group.initial.rebalance.delay.ms": "0",
    "transaction.state.log.num.partitions": "4",
    "offsets.topic.num.partitions": "4",
}


class Broker(Protocol):
    bootstrap: str
    data_dir: Path

    @property
    def pid(self) -> int: ...

    def kill_and_restart(self) -> None: ...

    def stop(self) -> object: ...


def start(directory: Path) -> Broker:
    return Kafka(directory) if AGAINST_KAFKA else Logd(directory)


class Logd(LogdBroker):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, arguments=["--port", str(free_port())])

    def kill_and_restart(self) -> None:
        self.kill()
        self.restart()


class Kafka:
    def __init__(self, directory: Path) -> None:
        self._installation = KafkaInstallation(directory, heap="512m", properties=_KAFKA_PROPERTIES)
        self.bootstrap = self._installation.bootstrap
        self.data_dir = self._installation.data_dir
        self._directory = directory
        self._starts = 0
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill_and_restart(self) -> None:
        self._process.kill()
        self._process.wait()
        self._start()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        """Each start writes into a file of its own."""
        self._starts += 1
        written = self._directory / f"broker-{self._starts}.out"
        with written.open("wb") as output:
            self._process = subprocess.Popen(
                self._installation.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 240
        while "Kafka Server started" not in written.read_text(errors="replace"):
            assert self._process.poll() is None and time.monotonic() < deadline, written.read_text()
            time.sleep(0.1)
