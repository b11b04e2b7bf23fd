"""tansu, a broker in Rust, as a peer where it is installed: `tansu` on the path or, since 2026, `nisshi`.

It keeps records in memory here, since its other storages are a database or an object store: nothing is durable. Options
as in its README of July 2026.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from bench.targets.ending import end
from tests.support.ports import free_port

_NAMES = ("tansu", "nisshi")
_START_S = 30


def missing() -> str | None:
    """Why it cannot be measured here."""
    return None if _program() else f"not found: {' or '.join(_NAMES)}"


class Tansu:
    """A running broker. What it writes goes to a file in `directory`."""

    def __init__(self, directory: Path) -> None:
        program = _program()
        assert program is not None
        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        with (directory / "broker.out").open("wb") as output:
            self._process = subprocess.Popen(
                _command(program, port), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory
            )
        try:
            self._wait_until_open(port)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        end(self._process)

    def _wait_until_open(self, port: int) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("tansu did not start") from None
                time.sleep(0.01)


def _command(program: str, port: int) -> list[str]:
    return [
        program,
        f"--kafka-listener-url=tcp://127.0.0.1:{port}",
        f"--kafka-advertised-listener-url=tcp://127.0.0.1:{port}",
        f"--prometheus-listener-url=tcp://127.0.0.1:{free_port()}",
        "--storage-engine=memory://bench/",
    ]


def _program() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)
