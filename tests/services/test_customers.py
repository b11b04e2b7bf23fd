"""Goal: of changes to a customer that are made on the same version one is taken, the others are told so (409); what is
forgotten is gone; and whoever is asked answers what stands in the log. Method: the Customers Service on a broker, with
rivals, other writers, requests that are too much for it, a broker that is silent, and a look at the log.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from services.orders.supervisor import Supervisor
from tests.services import http_client as http
from tests.services.brokers import Broker
from tests.services.ecosystem import run_command, without_services
from tests.services.recording import Recording, Written
from tests.support.patience import wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow]
NOT_TEXT = b"\xff\xfe"
ENDLESS = 64 * 1024 * 1024


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


@pytest.mark.timeout(180)
def test_customers(tmp_path: Path) -> None:
    with without_services(tmp_path) as (broker, services):
        write_with_a_key_that_is_not_text(broker.bootstrap)
        services.start("customers")
        asyncio.run(conditional_updates(url(services)))
        asyncio.run(too_large(url(services)))
        feed_beside(tmp_path, broker, services)
        instance_beside(services)
        fail_when_nobody_waits(tmp_path, broker, services)
        stop_while_the_broker_is_silent(broker, services)
        assert asyncio.run(put(url(services), customer(7))) == 409
        check_log(broker.bootstrap)


def url(services: Supervisor, instance: str = "1") -> str:
    return f"{services.url('customers', instance)}/customers/ann"


async def put(url: str, body: dict[str, Any]) -> int:
    return (await http.request("PUT", url, json.dumps(body).encode())).status


def write_with_a_key_that_is_not_text(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 3})
    producer.produce("customers", json.dumps(customer(1)).encode(), NOT_TEXT)
    assert producer.flush(30) == 0


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


async def too_large(url: str) -> None:
    """Refused, before it is refused by the log: the service lives on."""
    for size in (100_000, 900_000):
        assert await put(url, customer(4, address="x" * size)) == 413
    assert await http.send_without_end("PUT", url, ENDLESS) < ENDLESS
    assert await put(url, customer(4, address="x" * 50_000)) == 400
    assert await put(url, customer(4, address="x" * 16_000)) == 200


def feed_beside(directory: Path, broker: Broker, services: Supervisor) -> None:
    """A feed takes the register: the service that had it answers what the feed wrote, until it is to write itself."""
    path = directory / "feed.jsonl"
    path.write_text(json.dumps(customer(5, source="feed")))
    run_command("feeds", {"bootstrap": broker.bootstrap}, "customers", str(path))
    old = services.pid("customers")
    assert asyncio.run(http.request("GET", url(services))).value == customer(5, source="feed")
    assert asyncio.run(put(url(services), customer(5, level="BRONZE"))) == 409
    assert services.pid("customers") == old
    assert asyncio.run(put(url(services), customer(6))) == 503
    until_started_anew(services, old)
    assert asyncio.run(put(url(services), customer(6))) == 200


def instance_beside(services: Supervisor) -> None:
    """So does a second instance, which forgets the customer."""
    services.start("customers", "2")
    assert asyncio.run(put(url(services, "2"), customer(7))) == 200
    assert asyncio.run(http.request("GET", url(services))).value == customer(7)
    assert asyncio.run(http.request("DELETE", url(services, "2"))).status == 204
    assert asyncio.run(http.request("GET", url(services))).status == 404
    for instance in ("1", "2"):
        assert asyncio.run(http.request("DELETE", url(services, instance))).status == 404
        assert asyncio.run(put(url(services, instance), customer(8))) == 409
    services.remove("customers", "2")


def fail_when_nobody_waits(directory: Path, broker: Broker, services: Supervisor) -> None:
    """A change whose patience is over before the log refuses it: the process ends all the same."""
    services.start("customers", "hasty", get_timeout_ms="500")
    hasty = url(services, "hasty")
    old = services.pid("customers", "hasty")
    nothing = directory / "nothing.jsonl"
    nothing.write_text("")
    run_command("feeds", {"bootstrap": broker.bootstrap}, "customers", str(nothing))  # has the register now
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        assert asyncio.run(put(hasty, customer(1))) == 504
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    until_started_anew(services, old, "hasty")
    services.remove("customers", "hasty")


def stop_while_the_broker_is_silent(broker: Broker, services: Supervisor) -> None:
    """Who waits is told that the outcome is not known, and the process ends all the same."""
    old = services.pid("customers")
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        assert asyncio.run(_put_and_stop(services)) == 504
        until_started_anew(services, old)
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def _put_and_stop(services: Supervisor) -> int:
    waiting = asyncio.create_task(put(url(services), customer(1)))
    while "orders_customers_waiting_requests 1.0" not in await metrics(services):
        await asyncio.sleep(0.01)
    os.kill(services.pid("customers"), signal.SIGTERM)
    return await waiting


async def metrics(services: Supervisor) -> str:
    return (await http.request("GET", f"{services.url('customers')}/metrics")).body.decode()


def until_started_anew(services: Supervisor, old: int, instance: str = "1") -> None:
    wait_until(lambda: services.pid("customers", instance) != old)


def check_log(bootstrap: str) -> None:
    """Committed versions follow each other, and a tombstone is last."""
    recording = Recording(bootstrap, ["customers"])

    def written() -> list[Written]:
        return [record for record in recording.all("customers") if record.key == b"ann"]

    recording.read_until(lambda: "the tombstone" if not written() or written()[-1].value else "", 30)
    recording.close()
    assert [record.json["version"] for record in written()[:-1]] == [1, 2, 3, 4, 5, 6, 7]
    assert written()[-1].value is None
