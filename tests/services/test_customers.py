"""Goal: of changes to a customer that are made on the same version one is taken, the others are told so (409), and what
is forgotten is gone. Method: the Customers Service on a broker, with rivals, a second writer, and a look at the log.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from services.orders.supervisor import Supervisor
from tests.services import brokers
from tests.services import http_client as http
from tests.services.ecosystem import PYTHON, run_command
from tests.services.recording import Recording

pytestmark = [pytest.mark.services, pytest.mark.slow]


def customer(version: int, **more: str) -> dict[str, Any]:
    return {
        "id": "ann",
        "source": "test",
        "version": version,
        "firstName": "Ann",
        "lastName": "Secret",
        "email": "ann@example.org",
        "address": "1 Main Street",
        "level": "GOLD",
        **more,
    }


@pytest.mark.timeout(120)
def test_customers(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("no .venv-services: make services")
    broker = brokers.start(tmp_path / "broker")
    settings = {"bootstrap": broker.bootstrap}
    try:
        run_command("create_topics", settings)
        with Supervisor(tmp_path, settings, python=str(PYTHON)) as services:
            services.start("customers")
            url = f"{services.url('customers')}/customers/ann"
            asyncio.run(conditional_updates(url))
            take_over(tmp_path, settings, services)
            asyncio.run(forget(f"{services.url('customers')}/customers/ann"))
        check_log(broker.bootstrap)
    finally:
        broker.stop()


async def put(url: str, body: dict[str, Any]) -> int:
    return (await http.request("PUT", url, json.dumps(body).encode())).status


async def conditional_updates(url: str) -> None:
    assert (await http.request("GET", url)).status == 404
    assert await put(url, customer(2)) == 409
    assert await put(url, customer(1)) == 201
    assert await put(url, customer(1)) == 409
    assert await put(url, customer(1, id="bob")) == 400
    assert (await http.request("PUT", url, b'{"id":"ann"}')).status == 400
    for version in (2, 3):
        rivals = [customer(version, address=f"{number} Main Street") for number in range(10)]
        statuses = await asyncio.gather(*(put(url, rival) for rival in rivals))
        assert sorted(statuses) == [200] + [409] * 9
        answer = await http.request("GET", url)
        assert answer.value == rivals[statuses.index(200)]


def take_over(directory: Path, settings: dict[str, str], services: Supervisor) -> None:
    """A feed takes the register: the service that had it is refused, ends, and is started with what the feed wrote."""
    path = directory / "feed.jsonl"
    path.write_text(json.dumps(customer(4)))
    run_command("feeds", settings, "customers", str(path))
    old = services.pid("customers")
    url = f"{services.url('customers')}/customers/ann"
    assert asyncio.run(put(url, customer(4, level="BRONZE"))) == 504
    deadline = time.monotonic() + 30
    while services.pid("customers") == old:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    url = f"{services.url('customers')}/customers/ann"
    assert asyncio.run(put(url, customer(4, level="BRONZE"))) == 409
    assert asyncio.run(put(url, customer(5))) == 200


async def forget(url: str) -> None:
    assert (await http.request("DELETE", url)).status == 204
    assert (await http.request("GET", url)).status == 404
    assert (await http.request("DELETE", url)).status == 404
    assert await put(url, customer(6)) == 409


def check_log(bootstrap: str) -> None:
    """Committed versions follow each other, and a tombstone is last."""
    recording = Recording(bootstrap, ["customers"])
    recording.read_until(lambda: "", 30)
    written = list(recording.all("customers"))
    recording.close()
    assert [record.json["version"] for record in written[:-1]] == [1, 2, 3, 4, 5]
    assert written[-1].value is None
