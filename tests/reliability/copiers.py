"""Copiers (tests/reliability/copier.py) as processes; one that ends is started again, as a supervisor would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.support.broker import ROOT


class Job(NamedTuple):
    bootstrap: str
    group: str
    source: str
    target: str
    per_transaction: int
    protocol: str


class Copiers:
    """So many copiers of one job, each with a transactional id that it keeps over restarts."""

    def __init__(self, job: Job, count: int, log: Path) -> None:
        self._job = job
        self._log = log
        self._lock = threading.Lock()
        self._stopped = False
        self.committed = 0
        """Records in transactions that copiers know to be committed; a kill may hide one from this count."""
        self.transactions = 0
        self.aborted: list[str] = []
        self.failed: list[str] = []
        self._processes = [self._start(slot) for slot in range(count)]

    def __enter__(self) -> Copiers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        if error is not None:
            print(f"committed {self.committed} aborted {self.aborted} failed {self.failed}")
            print(self._log.read_text(errors="replace")[-4000:])

    def __len__(self) -> int:
        return len(self._processes)

    def kill(self, slot: int) -> None:
        """kill -9; another takes its place at once."""
        process = self._processes[slot]
        process.kill()
        process.wait()
        self._processes[slot] = self._start(slot)

    def pause(self, slot: int) -> None:
        """Let it hang, as a long garbage collection would, until `resume`."""
        self._processes[slot].send_signal(signal.SIGSTOP)

    def resume(self, slot: int) -> None:
        self._processes[slot].send_signal(signal.SIGCONT)

    def revive(self) -> None:
        """Start again those that gave up."""
        for slot, process in enumerate(self._processes):
            if process.poll() is not None:
                self._processes[slot] = self._start(slot)

    def _start(self, slot: int) -> subprocess.Popen[str]:
        job = self._job
        words = [job.bootstrap, job.group, job.source, job.target, f"{job.group}-{slot}"]
        with self._log.open("a") as errors:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.reliability.copier",
                    *words,
                    str(job.per_transaction),
                    job.protocol,
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):  # one who is killed may leave half a line
                    self._take(*line.strip().partition(" "))

    def _take(self, kind: str, _space: str, rest: str) -> None:
        with self._lock:
            if kind == "committed":
                self.committed += int(rest)
                self.transactions += 1
            elif kind == "aborted":
                self.aborted.append(rest)
            elif kind == "failed" and not self._stopped:
                self.failed.append(rest)
