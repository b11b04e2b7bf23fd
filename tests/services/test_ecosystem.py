"""Goal: the whole ecosystem does what its rules say. Method: every service as a process, seeded faults, then the judge.

`LOGD_TEST_TARGET=kafka` runs the same against Apache Kafka.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.services import http_client as http
from tests.services import shoppers
from tests.services.ecosystem import Ecosystem
from tests.services.judge import Judge

pytestmark = [pytest.mark.services, pytest.mark.slow]

FIVE_MINUTES_MS = 300_000
GARBAGE = [
    ("order-commands", b"not json"),
    ("order-commands", b'{"type":"CREATE"}'),
    ("order-commands", b"\xff\xfe"),
    ("goods-received", b'{"id":"d","product":"pen","quantity":-1}'),
    ("authorization-attempts", b""),
    ("authorization-attempts", b'{"card":"1"'),
]


def write_garbage(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 3})
    for topic, value in GARBAGE:
        producer.produce(topic, value, b"key")
    assert producer.flush(30) == 0


def write_attempts(bootstrap: str) -> None:
    """Cards with three and with four attempts in a window, and with four on both sides of its end."""
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 3})
    end = 20 * FIVE_MINUTES_MS
    times = {
        "three": [end - 1] * 3,
        "four": [end - FIVE_MINUTES_MS, end - 2, end - 1, end - 1],
        "across": [end - 1, end - 1, end - 1, end],
        "six": [end] * 6,
    }
    for card, moments in times.items():
        for at in moments:
            value = f'{{"card":"{card}","at":{at},"amount":1}}'.encode()
            producer.produce("authorization-attempts", value, card.encode())
    assert producer.flush(30) == 0


async def ship(ecosystem: Ecosystem, order_ids: list[str]) -> None:
    for order_id in order_ids:
        answer = await http.request("POST", f"{ecosystem.url()}/orders/{order_id}/shipment")
        assert answer.status in (200, 409), answer


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "count", [200, pytest.param(2000, marks=pytest.mark.full)], ids=["everyday", "acceptance"]
)
def test_the_ecosystem(tmp_path: Path, count: int) -> None:
    stock = shoppers.stock_for(count)
    with Ecosystem(tmp_path, stock=stock, customers=shoppers.CUSTOMERS) as ecosystem:
        bootstrap = ecosystem.broker.bootstrap
        write_garbage(bootstrap)
        write_attempts(bootstrap)
        done = asyncio.run(shoppers.shop(ecosystem.url, shoppers.purchases(1, count), at_once=32))
        judge = Judge(bootstrap)
        accepted = {purchase.order_id for purchase in done if purchase.status == 201}
        judge.wait(accepted, 200)
        confirmed = [
            name for name, history in judge.histories().items() if history[-1]["state"] == "CONFIRMED"
        ]
        asyncio.run(ship(ecosystem, sorted(confirmed)[:20]))
        judge.wait(accepted, 100)
        judge.check(done, GARBAGE)
        alerts = {
            (record.json["card"], record.json["attempts"]) for record in judge.recording.all("possible-fraud")
        }
        assert alerts == {("four", 4), ("six", 4), ("six", 5), ("six", 6)}
        asyncio.run(check_views(ecosystem, judge))
        assert max(ecosystem.services.restarts().values()) <= 1


async def check_views(ecosystem: Ecosystem, judge: Judge) -> None:
    """Every instance shows the latest state of every order, also after its state was deleted."""
    latest = {name: history[-1] for name, history in judge.histories().items()}
    for instance in ecosystem.instances:
        for name in sorted(latest)[:20]:
            answer = await http.request("GET", f"{ecosystem.url(instance)}/orders/{name}")
            assert answer.status == 200
            assert (answer.value["state"], answer.value["version"]) == (
                latest[name]["state"],
                latest[name]["version"],
            )
        customer = shoppers.CUSTOMERS[0]["id"]
        answer = await http.request("GET", f"{ecosystem.url(instance)}/orders?customer={customer}&limit=1000")
        expected = {name for name, order in latest.items() if order["customerId"] == customer}
        assert {order["id"] for order in answer.value} == expected
