"""A broker under test: `logd serve` as a process of its own, on a free port, stopped or killed by the test.

The same calls as tests/support/kafka_broker.py, so that a test can run against either.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
_READY = re.compile(r"bootstrap\.servers=(\S+)")


class StartFailed(Exception):
    """The process ended, or did not answer in time. Holds what it wrote."""


class LogdBroker:
    """A running broker. `directory` must be empty or a stopped broker's; it is not removed."""

    def __init__(
        self,
        directory: Path,
        *,
        properties: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        config_file: Path | None = None,
        command: Sequence[str] = (sys.executable, "-m", "logd"),
        working_directory: Path = ROOT,
        start_timeout_s: float = 90,
    ) -> None:
        """`arguments` follow `serve --data-dir … --port 0`; `command` starts the program itself; a `config_file` names
        the data directories in place of --data-dir.
        """
        self.directory = directory
        self.data_dir = directory / "data"
        self.log_path = directory / "broker.out"
        self.bootstrap = ""
        directory.mkdir(parents=True, exist_ok=True)
        settings = [f"-X{name}={value}" for name, value in (properties or {}).items()]
        where = ["--data-dir", str(self.data_dir)] if config_file is None else ["--config", str(config_file)]
        self._command = [*command, "serve", *where, "--port", "0", *settings, *arguments]
        self._working_directory = working_directory
        self._start_timeout_s = start_timeout_s
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.bootstrap.rpartition(":")[2])

    @property
    def return_code(self) -> int | None:
        return self._process.poll()

    def output(self) -> str:
        """Everything that the process wrote since it was first started."""
        return self.log_path.read_text(errors="replace")

    def stop(self, timeout_s: float = 60) -> int:
        """Stop in an orderly way; kill if that takes longer than the timeout. Returns the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.wait()

    def kill(self) -> None:
        """kill -9: nothing is flushed or closed."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start again on the same data, after stop or kill. The port is a new one."""
        assert self._process.poll() is not None, "stop it first"
        self._process = self._spawn()

    def __enter__(self) -> LogdBroker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.bootstrap = ""
        with self.log_path.open("ab") as output:
            already_written = output.tell()
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._working_directory,
                env=clean_environment(),
            )
        try:
            self._wait_until_ready(process, already_written)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes], already_written: int) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            written = self.log_path.read_bytes()[already_written:].decode(errors="replace")
            ready = _READY.search(written)
            if ready and "\n" in written[ready.end() :]:
                self.bootstrap = ready.group(1)
                return
            if process.poll() is not None:
                raise StartFailed(f"ended with {process.returncode}\n{written[-4000:]}")
            if time.monotonic() > deadline:
                raise StartFailed(f"did not start in {self._start_timeout_s} s\n{written[-4000:]}")
            time.sleep(0.005)


def clean_environment() -> dict[str, str]:
    """This process's environment without settings for the broker, and with byte code written as for a user."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LOGD_") and name != "PYTHONDONTWRITEBYTECODE"
    }
