"""What is measured side by side: logd, Apache Kafka, and the baselines that show what the machine allows.

kafka     Apache Kafka 4.3.1, KRaft, JVM flags of its own scripts (tests/support/kafka_broker.py)
logd      `logd serve` with default settings, from this checkout or by --logd-command from an installed wheel
compiled  the same from a wheel with compiled modules (hatch_build.py)
null      answers and stores nothing: the client's own ceiling
floor     receive, CRC-32C, write, answer: the kernel's share in a broker's work
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tests.support.broker import LogdBroker
from tests.support.kafka_broker import KafkaBroker
from tests.support.wheel import build_wheel, missing_compiler, unpacked_command

ROOT = Path(__file__).resolve().parents[1]
OURS = ("logd", "compiled")
"""Targets that are logd."""


class Running(Protocol):
    @property
    def bootstrap(self) -> str: ...

    @property
    def pid(self) -> int: ...

    def stop(self) -> object: ...


def address_of(target: Running) -> tuple[str, int]:
    host, _, port = target.bootstrap.rpartition(":")
    return host, int(port)


class Baseline:
    """A running bench.baseline_server."""

    def __init__(self, mode: str, file: Path | None = None) -> None:
        command = [sys.executable, "-m", "bench.baseline_server", "--mode", mode]
        if file is not None:
            command += ["--file", str(file)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("port="):
            raise RuntimeError(f"the {mode} server did not start")
        self.bootstrap = f"127.0.0.1:{line.strip().removeprefix('port=')}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Targets:
    """Starts targets by name, below one directory."""

    def __init__(
        self, directory: Path, logd_command: Sequence[str], logd_properties: Mapping[str, str]
    ) -> None:
        self._directory = directory
        self._logd_command = logd_command
        self._logd_properties = logd_properties
        self._started = 0

    @staticmethod
    def missing(name: str) -> str | None:
        """Why this target cannot be made here; None when it can, or will tell by itself."""
        return missing_compiler() if name == "compiled" else None

    def start(self, name: str, properties: Mapping[str, str] | None = None) -> Running:
        """A fresh one each time. `properties` are for the brokers only."""
        self._started += 1
        directory = self._directory / f"{name}-{self._started}"
        directory.mkdir(parents=True)
        for_logd = {**self._logd_properties, **(properties or {})}
        starters: dict[str, Callable[[], Running]] = {
            "kafka": lambda: KafkaBroker(directory, properties=properties),
            "logd": lambda: LogdBroker(directory, properties=for_logd, command=self._logd_command),
            "compiled": lambda: LogdBroker(directory, properties=for_logd, command=self._compiled_command),
            "null": lambda: Baseline("null"),
            "echo": lambda: Baseline("echo"),
            "floor": lambda: Baseline("floor", directory / "written"),
        }
        return starters[name]()

    @cached_property
    def _compiled_command(self) -> list[str]:
        wheel = build_wheel(self.directory_for("wheel"), compiled=True)
        return unpacked_command(wheel, self.directory_for("unpacked"))

    def directory_for(self, name: str) -> Path:
        path = self._directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path
