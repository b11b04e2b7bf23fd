"""The ecosystem under test, or a part: a broker, topics, customers, stock, and services as processes of their own."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

import pytest

from services.orders.settings import Settings
from services.orders.supervisor import ROOT, Supervisor
from tests.services import brokers
from tests.services.brokers import Broker
from tests.services.recording import Recording
from tests.support.patience import wait_until

PYTHON = ROOT / ".venv-services" / "bin" / "python"


def run_command(module: str, settings: Mapping[str, str], *arguments: str) -> str:
    """A command of the services, to its end. Its standard output."""
    words = [*arguments, *(f"{name}={value}" for name, value in settings.items())]
    done = subprocess.run(
        [str(PYTHON), "-m", f"services.orders.{module}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def without_services(directory: Path, **settings: str) -> Iterator[tuple[Broker, Supervisor]]:
    """A broker with the topics, and a supervisor to start some services with."""
    if not PYTHON.exists():
        pytest.skip("no .venv-services: make services")
    broker = brokers.start(directory / "broker")
    try:
        everywhere = {"bootstrap": broker.bootstrap, **settings}
        run_command("create_topics", everywhere)
        with Supervisor(directory, everywhere, python=str(PYTHON)) as services:
            yield broker, services
    finally:
        broker.stop()


def until_assigned(services: Supervisor, *names: str) -> None:
    """Until the only instance of each has all partitions, of which there are as many as by default."""

    def is_assigned(name: str) -> bool:
        health = _health(f"{services.url(name)}/health")
        return len(health.get("partitions", ())) >= Settings().partitions

    for name in names:
        wait_until(partial(is_assigned, name), lambda: f"not all have all partitions: {names}")


def until_stocked(ecosystem: Ecosystem) -> None:
    """Until there are goods to sell: an order that comes before them is of an unknown product."""
    recording = Recording(ecosystem.broker.bootstrap, ["warehouse-inventory"])
    recording.read_until(lambda: "" if any(recording.all("warehouse-inventory")) else "no stock", 60)


def _health(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


class Ecosystem:
    """Stops everything at its end, and prints the logs of services if that end is an error."""

    def __init__(
        self,
        directory: Path,
        *,
        stock: Mapping[str, int],
        customers: Iterable[Mapping[str, Any]],
        instances: int = 3,
        **settings: str,
    ) -> None:
        if not PYTHON.exists():
            pytest.skip("no .venv-services: make services")
        self._directory = directory
        self.broker = brokers.start(directory / "broker")
        self.settings = {"bootstrap": self.broker.bootstrap, **settings}
        self._numbers = itertools.count()
        self.run("create_topics")
        goods = [{"id": f"first-{name}", "product": name, "quantity": n} for name, n in stock.items()]
        with ThreadPoolExecutor() as both:
            feeds = both.map(self.feed, ("goods", "customers"), (goods, customers))
            assert list(feeds) == [None, None]
        self.services = Supervisor(directory, self.settings, python=str(PYTHON))
        self.services.start_all(instances)
        self.instances = [str(number) for number in range(1, instances + 1)]
        self._turns = itertools.count()

    def run(self, module: str, *arguments: str) -> str:
        """A command of the services, to its end. Its standard output."""
        return run_command(module, self.settings, *arguments)

    def feed(self, what: str, values: Iterable[Mapping[str, Any]]) -> None:
        path = self._directory / f"feed-{next(self._numbers)}.jsonl"
        path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
        self.run("feeds", what, str(path))

    def url(self, instance: str | None = None) -> str:
        """Of that instance of the Orders Service, or of each in turn."""
        chosen = instance or self.instances[next(self._turns) % len(self.instances)]
        return self.services.url("orders", chosen)

    def add_instance(self) -> str:
        name = str(len(self.instances) + 1)
        self.services.start("orders", name)
        self.instances.append(name)
        return name

    def logs(self) -> str:
        parts = []
        for path in sorted((self._directory / "logs").glob("*.log")):
            written = path.read_text(errors="replace").splitlines()
            lines = [
                line
                for line in written
                if chr(34) + "INFO" + chr(34) not in line and "client error" not in line
            ]
            parts.append(f"== {path.name}\n" + "\n".join(lines[-15:]))
        return "\n".join(parts)

    def __enter__(self) -> Ecosystem:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.services.stop()
        self.broker.stop()
        if error is not None:
            print(self.logs())
