"""Runs services as processes of their own and starts those anew that end, as an init system or an orchestrator would.

Each writes its log to a file of its own. Processes are in a session of their own, so that Ctrl-C reaches the
supervisor alone, which then stops them in an orderly way. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("details", "fraud", "inventory", "payment", "email", "card_fraud")
_POLL_S = 0.05
_PAUSE_FIRST_S = 0.2
_PAUSE_MOST_S = 5.0
_STOP_S = 10.0
_STEADY_S = 10.0  # a process that ran for so long is not in a crash loop


class NotReady(Exception):
    """A service did not become ready in time, or was removed meanwhile. Holds the end of its log."""


class Supervisor:
    def __init__(self, directory: Path, settings: Mapping[str, str], *, python: str = sys.executable) -> None:
        """Logs and state go below `directory`."""
        self.directory = directory
        self._python = python
        self._settings = {"state_dir": str(directory / "state"), **settings}
        self._services: dict[tuple[str, str], _Service] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def start(
        self, name: str, instance: str = "1", *, command: Sequence[str] | None = None, **settings: str
    ) -> None:
        """`command`: what to run in place of `python -m services.orders.NAME`; settings are added to it."""
        chosen = {**self._settings, "instance": instance, **settings}
        base = command or (self._python, "-m", f"services.orders.{name}")
        words = [*base, *(f"{key}={value}" for key, value in chosen.items())]
        with self._lock:
            service = _Service(words, self.directory / "logs" / f"{name}-{instance}.log")
            self._services[name, instance] = service
            service.spawn()

    def start_all(self, instances_of_orders: int = 3, *, first_port: int = 0) -> None:
        """`first_port`: of the first instance of the Orders Service, where it is free; else, or for 0, any."""
        for number in range(instances_of_orders):
            port = first_port + number if first_port and _is_free(first_port + number) else 0
            self.start("orders", str(number + 1), http_port=str(port))
        for name in SERVICES:
            self.start(name)

    def names(self) -> list[tuple[str, str]]:
        return list(self._services)

    def kill(self, name: str, instance: str = "1") -> None:
        """kill -9; it is started anew by itself."""
        self._services[name, instance].process.kill()

    def pid(self, name: str, instance: str = "1") -> int:
        return self._services[name, instance].process.pid

    def has_logged(self, name: str, instance: str, event: str) -> bool:
        """Since its last start."""
        return any(line.get("event") == event for line in self.lines(name, instance))

    def lines(self, name: str, instance: str = "1") -> Iterator[dict[str, Any]]:
        """What it has logged since its last start."""
        return self._services[name, instance].lines()

    def pause(self, name: str, instance: str, seconds: float) -> None:
        """Stop its clock for a while, as a machine that is suspended would. Blocks."""
        process = self._services[name, instance].process
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def remove(self, name: str, instance: str = "1", *, kill: bool = False) -> None:
        """Stop it for good."""
        with self._lock:
            service = self._services.pop((name, instance))
        if not kill:
            service.ask_to_stop()
        service.wait(0 if kill else _STOP_S)

    def url(self, name: str, instance: str = "1", timeout_s: float = 30) -> str:
        """Where the running process listens. Raises NotReady."""
        deadline = time.monotonic() + timeout_s
        while True:
            service = self._services.get((name, instance))
            if service is None:
                raise NotReady(f"{name}-{instance} was removed")
            found = service.url()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise NotReady(f"{name}-{instance}\n{service.log.read_text(errors='replace')[-3000:]}")
            time.sleep(_POLL_S)

    def restarts(self) -> dict[str, int]:
        return {f"{name}-{instance}": service.starts - 1 for (name, instance), service in self._all()}

    def stop(self) -> None:
        """All of them at once, in an orderly way; what does not end within 10 s is killed."""
        self._stopping.set()
        self._thread.join()
        services = [service for _, service in self._all()]
        for service in services:
            service.ask_to_stop()
        deadline = time.monotonic() + _STOP_S
        for service in services:
            service.wait(deadline - time.monotonic())

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _all(self) -> list[tuple[tuple[str, str], _Service]]:
        return list(self._services.items())

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_S):
            with self._lock:
                for _, service in self._all():
                    service.restart_if_ended()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


class _Service:
    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = list(command)
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.starts = 0
        self._was_ready = False
        self._pause_s = _PAUSE_FIRST_S
        self._ended_at: float | None = None

    def spawn(self) -> None:
        self.starts += 1
        self._started_at = time.monotonic()
        self._ended_at = None
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )

    def restart_if_ended(self) -> None:
        if self.process.poll() is None:
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
            self._was_ready = self._was_ready or self.url() is not None
            was_steady = now - self._started_at > _STEADY_S
            self._pause_s = _PAUSE_FIRST_S if was_steady else min(self._pause_s * 2, _PAUSE_MOST_S)
        if now - self._ended_at >= self._pause_s:
            if not self._was_ready:
                self._take_any_port()
            self.spawn()

    def _take_any_port(self) -> None:
        """Somebody else may have taken the one that was free. Nobody knows the address before the service is ready."""
        self._command = ["http_port=0" if word.startswith("http_port=") else word for word in self._command]

    def url(self) -> str | None:
        return next((str(line["url"]) for line in self.lines() if line.get("event") == "ready"), None)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it has logged since its last start; what is not of its making is passed over."""
        with self.log.open("rb") as written:
            written.seek(self._log_start)
            for line in written:
                if line.startswith(b"{") and line.endswith(b"}\n"):
                    yield json.loads(line)

    def ask_to_stop(self) -> None:
        """Once: a service that is asked again ends at once."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)  # a stopped process hears nothing else
            self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> None:
        """Until it has ended; after that time it is killed."""
        try:
            self.process.wait(max(timeout_s, 0.001))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
