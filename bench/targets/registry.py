"""What is measured side by side: logd, its peers, and the baselines that show what the machine allows.

kafka      Apache Kafka 4.3.1, KRaft, JVM flags of its own scripts (tests/support/kafka_broker.py)
tansu      where it is installed (bench/targets/tansu.py)
logd       `logd serve` with default settings, from this checkout or by --logd-command from an installed wheel
logd-full  the same with log.record.validation=full: every record is walked, as Kafka does
compiled   logd from a wheel with compiled modules (hatch_build.py)
null       answers and stores nothing: the client's own ceiling
floor      receive, CRC-32C, write, answer: the kernel's share in a broker's work
echo       answers with a fixed frame
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from bench.targets import tansu
from bench.targets.ending import end
from bench.targets.promise import FULL_VALIDATION, VALIDATION, Promise, promise_of
from tests.support import java
from tests.support.broker import LogdBroker
from tests.support.kafka_broker import KafkaBroker
from tests.support.wheel import build_wheel, missing_compiler, unpacked_command

ROOT = Path(__file__).resolve().parents[2]
OURS = ("logd", "logd-full", "compiled")
"""Targets that are logd."""
BROKERS = ("kafka", "tansu", *OURS)
"""Targets that have topics."""
PEERS_THAT_MAY_FAIL = ("tansu",)
"""Targets that are not pinned here and whose next version may do anything: a scenario goes on without them."""


class Running(Protocol):
    @property
    def bootstrap(self) -> str: ...

    @property
    def pid(self) -> int: ...

    def stop(self) -> object: ...


def address_of(target: Running) -> tuple[str, int]:
    host, _, port = target.bootstrap.rpartition(":")
    return host, int(port)


def missing(name: str) -> str | None:
    """Why this target cannot be made here; None when it can."""
    reasons = {"kafka": java.missing_tools, "tansu": tansu.missing, "compiled": missing_compiler}
    return reasons[name]() if name in reasons else None


class Baseline:
    """A running bench.targets.baseline_server."""

    def __init__(self, mode: str, file: Path | None = None) -> None:
        command = [sys.executable, "-m", "bench.targets.baseline_server", "--mode", mode]
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
        end(self._process)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Targets:
    """Starts targets by name, below one directory, and stops them."""

    def __init__(
        self,
        directory: Path,
        logd_command: Sequence[str],
        logd_properties: Mapping[str, str],
        *,
        shared: bool = False,
    ) -> None:
        """`shared`: who asks for the same target again gets the same process, which is kept until `close`."""
        self._directory = directory
        self._logd_command = logd_command
        self._logd_properties = logd_properties
        self._started = 0
        self._shared = shared
        self._kept: dict[tuple[str, frozenset[tuple[str, str]]], Running] = {}
        self._directories: dict[Running, Path] = {}

    def start(self, name: str, properties: Mapping[str, str] | None = None) -> Running:
        """`properties` are for the brokers only."""
        if not self._shared:
            return self._start(name, properties or {})
        key = name, frozenset((properties or {}).items())
        if key not in self._kept:
            self._kept[key] = self._start(name, properties or {})
        return self._kept[key]

    def release(self, target: Running) -> None:
        """Nobody needs it any more who has started it: it is stopped, and what it has stored is removed."""
        if target not in self._kept.values():
            self._stop(target)

    def close(self) -> None:
        while self._kept:
            self._stop(self._kept.popitem()[1])

    def promise(self, name: str, target: Running) -> Promise:
        return promise_of(name, target, self._logd_properties)

    def directory_for(self, name: str) -> Path:
        path = self._directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _start(self, name: str, properties: Mapping[str, str]) -> Running:
        self._started += 1
        directory = self.directory_for(f"{name}-{self._started}")
        starters: dict[str, Callable[[], Running]] = {
            "kafka": lambda: KafkaBroker(directory, properties=properties),
            "tansu": lambda: tansu.Tansu(directory),
            "logd": lambda: self._logd(directory, properties),
            "logd-full": lambda: self._logd(directory, {**properties, VALIDATION: FULL_VALIDATION}),
            "compiled": lambda: self._logd(directory, properties, self._compiled_command),
            "null": lambda: Baseline("null"),
            "echo": lambda: Baseline("echo"),
            "floor": lambda: Baseline("floor", directory / "written"),
        }
        target = starters[name]()
        self._directories[target] = directory
        return target

    def _stop(self, target: Running) -> None:
        target.stop()
        directory = self._directories.pop(target, None)
        if directory is not None:  # else a scenario has made the target itself
            shutil.rmtree(directory, ignore_errors=True)

    def _logd(
        self, directory: Path, properties: Mapping[str, str], command: Sequence[str] | None = None
    ) -> LogdBroker:
        settings = {**self._logd_properties, **properties}
        return LogdBroker(directory, properties=settings, command=command or self._logd_command)

    @cached_property
    def _compiled_command(self) -> list[str]:
        wheel = build_wheel(self.directory_for("wheel"), compiled=True)
        return unpacked_command(wheel, self.directory_for("unpacked"))
