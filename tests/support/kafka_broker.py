"""Apache Kafka itself, as one KRaft process: the oracle of the compatibility tests and the peer in bench/.

It runs from the class path that tests/compat/java/pom.xml pins, with the JVM flags of Kafka's own start
scripts (kafka-server-start.sh, kafka-run-class.sh), broker and controller in one process, loopback only,
internal topics with one replica. Settings that are not named here are Kafka's defaults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support import java
from tests.support.ports import free_port

CLUSTER_ID = "bG9nZC1jb21wYXQtdGVzdA"
SCRIPT_HEAP = "1G"
_SCRIPT_FLAGS = (
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)
_READY_LINE = "Kafka Server started"
_HOST = "127.0.0.1"


class KafkaInstallation:
    """A formatted directory with its configuration, and the command that starts a broker on it.

    `directory` must be empty or a stopped broker's. The ports are its own for good.
    """

    def __init__(
        self, directory: Path, *, heap: str = SCRIPT_HEAP, properties: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self._heap = heap
        self._properties = directory / "server.properties"
        port, controller_port = free_port(), free_port()
        self.bootstrap = f"{_HOST}:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        settings = _settings(port, controller_port, self.data_dir) | dict(properties or {})
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        if not (self.data_dir / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        return [
            "java",
            f"-Xmx{self._heap}",
            f"-Xms{self._heap}",
            *_SCRIPT_FLAGS,
            f"-Xlog:gc*:file={self.directory / 'gc.log'}:time,tags:filecount=10,filesize=100M",
            f"-Dkafka.logs.dir={self.directory}",
            f"-Dlog4j2.configurationFile={java.HOME / 'conf' / 'log4j2-broker.properties'}",
            "-cp",
            java.KAFKA.class_path(),
            "kafka.Kafka",
            str(self._properties),
        ]

    def _format(self) -> None:
        config = ["--config", str(self._properties)]
        java.KAFKA.run("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, *config)


class KafkaBroker:
    """A running broker. `directory` must be empty or a stopped broker's; it is not removed."""

    def __init__(
        self,
        directory: Path,
        *,
        heap: str = SCRIPT_HEAP,
        properties: Mapping[str, str] | None = None,
        start_timeout_s: float = 110,
    ) -> None:
        installation = KafkaInstallation(directory, heap=heap, properties=properties)
        self.directory = directory
        self.data_dir = installation.data_dir
        self.bootstrap = installation.bootstrap
        self.log_path = directory / "broker.out"
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                installation.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory
            )
        try:
            self._wait_until_ready(start_timeout_s)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def output(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stop(self, timeout_s: float = 110) -> None:
        """Stop in an orderly way; kill if that takes longer than the timeout."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> KafkaBroker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while _READY_LINE not in self.output():
            if self._process.poll() is not None:
                raise RuntimeError(f"Kafka ended with {self._process.returncode}\n{self.output()[-4000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kafka did not start in {timeout_s} s\n{self.output()[-4000:]}")
            time.sleep(0.05)


def _settings(port: int, controller_port: int, data_dir: Path) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://{_HOST}:{port},CONTROLLER://{_HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{_HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
        "log.dirs": os.fspath(data_dir),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
    }
