"""Goal: `make run` shows a working ecosystem and leaves nothing behind. Method: what it runs; Ctrl-C at any time."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.orders.supervisor import ROOT
from tests.services import brokers
from tests.services.ecosystem import PYTHON, without_services
from tests.support.patience import wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow]
ON_LOGD = pytest.mark.skipif(brokers.AGAINST_KAFKA, reason="it starts logd")
WITH_LOGD = ("--broker", f"{sys.executable} -m logd serve")
_MAILS = re.compile(r"confirmed=(\d+).* mails=(\d+)")


class Run:
    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    def until(self, is_so: Callable[[str], bool]) -> None:
        """Of what it has written."""

        def is_so_now() -> bool:
            ended = self._process.poll()
            found = is_so(self.written())
            assert found or ended is None, self.written()
            return found

        wait_until(is_so_now, self.written, 120)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        self._process.send_signal(number)

    def ends_well(self, timeout_s: float = 60) -> bool:
        return self._process.wait(timeout_s) == 0

    def written(self) -> str:
        return self._output.read_text()


@contextmanager
def running(directory: Path, *where: str) -> Iterator[Run]:
    if not PYTHON.exists():
        pytest.skip("no .venv-services: make services")
    output = directory / "output"
    with output.open("wb") as written:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "services.orders.run", *where, "--rate", "10"],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(directory)},
        )
    try:
        yield Run(process, output)
    finally:
        process.kill()
        process.wait()
    assert not processes_below(directory)
    assert [path.name for path in directory.iterdir()] == ["output"]


@pytest.mark.timeout(180)
@ON_LOGD
def test_run(tmp_path: Path) -> None:
    with running(tmp_path, *WITH_LOGD) as run:
        run.until(lambda written: any(int(mails) for _, mails in _MAILS.findall(written)))
        assert len(processes_below(tmp_path)) >= 11  # the broker, three instances, six services, shoppers
        run.interrupt()
        assert run.ends_well()


@pytest.mark.timeout(180)
@ON_LOGD
def test_an_impatient_stop(tmp_path: Path) -> None:
    """Ctrl-C while services are still starting, and again: they are stopped all the same."""
    with running(tmp_path, *WITH_LOGD) as run:
        run.until(lambda _written: bool(processes_below(tmp_path, "services.orders.fraud")))
        for _ in range(3):
            run.interrupt()
            time.sleep(0.1)
        assert run.ends_well()


@pytest.mark.timeout(180)
@ON_LOGD
def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    with running(tmp_path, *WITH_LOGD) as run:
        run.until(lambda written: "services started" in written)
        run.interrupt(signal.SIGHUP)
        assert run.ends_well()


@pytest.mark.timeout(180)
@ON_LOGD
def test_a_broker_that_ends(tmp_path: Path) -> None:
    """Nothing goes on without it, and why is said."""
    with running(tmp_path, *WITH_LOGD) as run:
        run.until(lambda written: "services started" in written)
        (broker,) = processes_below(tmp_path, "--data-dir")
        os.kill(broker, signal.SIGKILL)
        assert not run.ends_well()
        assert "failed: the broker ended" in run.written()


@pytest.mark.timeout(180)
def test_a_broker_with_topics_and_nothing_in_them(tmp_path: Path) -> None:
    """As a run leaves it that ended halfway: customers and stock are brought."""
    directory = tmp_path / "run"
    directory.mkdir()
    with (
        without_services(tmp_path) as (broker, _services),
        running(directory, "--bootstrap", broker.bootstrap) as run,
    ):
        run.until(lambda written: any(int(mails) for _, mails in _MAILS.findall(written)))
        run.interrupt()
        assert run.ends_well()


@pytest.mark.timeout(120)
def test_a_stop_before_there_are_topics(tmp_path: Path) -> None:
    """The broker takes the connection and does not answer, for which it has half a minute."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        running(tmp_path, "--bootstrap", f"127.0.0.1:{silent.getsockname()[1]}") as run,
    ):
        silent.settimeout(60)
        connection, _address = silent.accept()
        run.interrupt()
        assert run.ends_well(15)
        connection.close()


def processes_below(directory: Path, what: str = "") -> list[int]:
    """Those that have the directory in their command line, and `what`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(directory / "orders-") in words and what.encode() in words:
                found.append(int(entry.name))
    return found
