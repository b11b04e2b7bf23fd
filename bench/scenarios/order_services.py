"""S17: the order services on a broker: how many orders a second, and how long one takes.

    python -m bench run S17 --rounds 5

Each round, for each target: all services are started (three instances of the Orders Service), warmed up, and measured
twice: 256 shoppers at once, each with the next order when the last has its verdict; then 50 orders a second. An
order's time is from its POST to the answer of the GET that waits for its verdict. Services, shoppers and broker share
the machine; the other target's broker idles. The services are those of services/orders, unchanged, with their
default settings.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench.clients.kept_connections import KeptConnections
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import Running
from logd.load.process_cost import cpu_seconds
from services.orders.supervisor import ROOT, Supervisor

_PYTHON = ROOT / ".venv-services" / "bin" / "python"
_INSTANCES = 3
_AT_ONCE = 256  # enough to wait for the machine, not for each other's commits
_STEADY_PER_S = 50
_CUSTOMERS = 500
_PRODUCTS = 20


class OrderServices(OneByOne):
    name = "S17"
    title = "the order services: from POST to verdict"
    targets = ("kafka", "logd")
    warm_ups = 4
    is_quick = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "orders_per_s": Metric("as fast as accepted", "orders/s", 0),
        "p50_ms": Metric("p50 at 50 orders/s", "ms", 0),
        "p99_ms": Metric("p99 at 50 orders/s", "ms", 0),
        "broker_cpu_ms_per_order": Metric("broker CPU of an order", "ms", 2),
    }
    writes = False

    @classmethod
    def missing(cls) -> str | None:
        return None if _PYTHON.exists() else "no .venv-services: make services"

    def settings(self) -> Mapping[str, object]:
        return {"orders": self._orders(), "at_once": _AT_ONCE, "steady_s": self._steady_s()}

    def prepare(self, name: str, target: Running) -> None:
        self._run(target, "create_topics")
        goods = [{"id": f"d{n}", "product": f"p{n}", "quantity": 10**8} for n in range(_PRODUCTS)]
        self._run(target, "feeds", "goods", str(self._write(f"{name}-goods", goods)))
        self._run(target, "feeds", "customers", str(self._write(f"{name}-customers", _customers())))

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        directory = self.options.directory / f"services-{name}"
        settings = {"bootstrap": target.bootstrap, "fraud_limit": str(10**9)}
        with Supervisor(directory, settings, python=str(_PYTHON)) as services:
            services.start_all(_INSTANCES)
            urls = [services.url("orders", str(number + 1)) for number in range(_INSTANCES)]
            steady_s = self._steady_s() if round_number > 0 else 1
            return asyncio.run(self._measure(target, _Shop(urls, f"{name}-{round_number}"), steady_s))

    async def _measure(self, target: Running, shop: _Shop, steady_s: int) -> Metrics:
        await shop.as_fast_as_accepted(200)
        before = cpu_seconds(target.pid)
        rate = await shop.as_fast_as_accepted(self._orders())
        used = cpu_seconds(target.pid) - before
        times = sorted(await shop.steadily(_STEADY_PER_S, steady_s))
        await shop.close()
        return {
            "orders_per_s": rate,
            "p50_ms": 1000 * times[len(times) // 2],
            "p99_ms": 1000 * times[len(times) * 99 // 100],
            "broker_cpu_ms_per_order": 1000 * used / self._orders(),
        }

    def _write(self, name: str, values: Sequence[Mapping[str, object]]) -> Path:
        path = self.options.directory / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
        return path

    @staticmethod
    def _run(target: Running, module: str, *arguments: str) -> None:
        words = [str(_PYTHON), "-m", f"services.orders.{module}", *arguments, f"bootstrap={target.bootstrap}"]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=120)

    def _orders(self) -> int:
        return 300 if self.options.quick else 3000

    def _steady_s(self) -> int:
        return 2 if self.options.quick else 12


class _Shop:
    """Shoppers of one round: their orders have ids that no other round has."""

    def __init__(self, urls: Sequence[str], prefix: str) -> None:
        self._urls = itertools.cycle(urls)
        self._prefix = prefix
        self._numbers = itertools.count()
        self._connections = KeptConnections()

    async def as_fast_as_accepted(self, count: int) -> float:
        """Orders a second, up to the last verdict."""
        left = iter(range(count))
        started = time.monotonic()
        await _at_once(_AT_ONCE, lambda: self._buy_each(left))
        return count / (time.monotonic() - started)

    async def steadily(self, per_s: int, seconds: int) -> list[float]:
        """Seconds from POST to verdict."""
        started = time.monotonic()
        buying = []
        for number in range(per_s * seconds):
            await asyncio.sleep(max(started + number / per_s - time.monotonic(), 0))
            buying.append(asyncio.create_task(self._buy()))
        return await asyncio.gather(*buying)

    async def close(self) -> None:
        await self._connections.close()

    async def _buy_each(self, left: Iterator[int]) -> None:
        for _ in left:
            await self._buy()

    async def _buy(self) -> float:
        number = next(self._numbers)
        order_id = f"{self._prefix}-{number}"
        body = {
            "id": order_id,
            "customerId": f"c{number % _CUSTOMERS}",
            "product": f"p{number % _PRODUCTS}",
            "quantity": 1,
            "price": 9.5,
        }
        started = time.monotonic()
        await self._ask("POST", "/orders?timeout=60000", 201, json.dumps(body).encode())
        await self._ask("GET", f"/orders/validated/{order_id}?timeout=60000", 200)
        return time.monotonic() - started

    async def _ask(self, method: str, path: str, expected: int, body: bytes = b"") -> None:
        host, _, port = next(self._urls).removeprefix("http://").partition(":")
        answer = await self._connections.request(method, host, int(port), path, body)
        if answer.status != expected:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:200]!r}")


async def _at_once(count: int, work: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(work() for _ in range(count)))


def _customers() -> list[Mapping[str, object]]:
    return [
        {
            "id": f"c{number}",
            "source": "bench",
            "version": 1,
            "firstName": "F",
            "lastName": "L",
            "email": f"c{number}@example.org",
            "address": "here",
            "level": "GOLD",
        }
        for number in range(_CUSTOMERS)
    ]
