"""Goal: `make run` shows a working ecosystem and leaves nothing behind. Method: its command, then Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from services.orders.supervisor import ROOT
from tests.services import brokers
from tests.services.ecosystem import PYTHON

pytestmark = [pytest.mark.services, pytest.mark.slow]
_MAILS = re.compile(r"confirmed=(\d+).* mails=(\d+)")


@pytest.mark.timeout(180)
@pytest.mark.skipif(brokers.AGAINST_KAFKA, reason="it starts logd")
def test_run(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("no .venv-services: make services")
    output = tmp_path / "output"
    with output.open("wb") as written:
        process = start(written, tmp_path)
    try:
        deadline = time.monotonic() + 120
        while not any(int(mails) for _, mails in _MAILS.findall(output.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        running = processes_below(tmp_path)
        assert len(running) >= 11  # the broker, three instances, six services, shoppers
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()
    assert not processes_below(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


@pytest.mark.timeout(120)
@pytest.mark.skipif(brokers.AGAINST_KAFKA, reason="it starts logd")
def test_an_impatient_stop(tmp_path: Path) -> None:
    """Ctrl-C while services are still starting, and again: they are stopped all the same."""
    if not PYTHON.exists():
        pytest.skip("no .venv-services: make services")
    output = tmp_path / "output"
    with output.open("wb") as written:
        process = start(written, tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not processes_below(tmp_path, "services.orders.fraud"):
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.02)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert process.wait(60) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()
    assert not processes_below(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def start(output: IO[bytes], directory: Path) -> subprocess.Popen[bytes]:
    command = [str(PYTHON), "-m", "services.orders.run", "--broker", f"{sys.executable} -m logd serve"]
    return subprocess.Popen(
        [*command, "--rate", "10"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(directory)},
    )


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
