"""Goal: a confirmed order whose customer is not known waits for a mail, for a while and not for good.

Method: the Email Service alone, with a retention of seconds, and the records that others would write. What it waits for
is seen in the changelog of its state, that it does no more in its log and its metrics.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer

from services.orders.supervisor import Supervisor
from tests.services import shoppers
from tests.services.ecosystem import run_command, until_assigned, without_services
from tests.services.recording import Recording
from tests.support.patience import wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow]
RETENTION_MS = 3000
KNOWN: dict[str, Any] = shoppers.CUSTOMERS[0]


def pay(bootstrap: str, order_id: str, customer_id: str) -> None:
    """An order is confirmed, with its payment."""
    order = {
        "id": order_id,
        "customerId": customer_id,
        "state": "CONFIRMED",
        "product": "pen",
        "quantity": 2,
        "price": 1.5,
        "createdAt": 0,
        "version": 3,
    }
    payment = {"id": f"pay-{order_id}", "orderId": order_id, "ccy": "EUR", "amount": 3}
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 3})
    producer.produce("orders", json.dumps(order).encode(), order_id.encode())
    producer.produce("orders-payments-by-order", json.dumps(payment).encode(), order_id.encode())
    assert producer.flush(30) == 0


def until_given_up(services: Supervisor, order_id: str) -> None:
    """It says so, once the commit is done that is seen before."""

    def has_said_so() -> bool:
        lines = services.lines("email", "1")
        return order_id in [line["order"] for line in lines if line["event"] == "mail given up"]

    wait_until(has_said_so)
    with urlopen(f"{services.url('email')}/metrics", timeout=30) as answer:
        assert b'orders_events_total{kind="mail_given_up"}' in answer.read()


@pytest.mark.timeout(120)
def test_an_unknown_customer(tmp_path: Path) -> None:
    with without_services(tmp_path, unjoined_retention_ms=str(RETENTION_MS)) as (broker, services):
        recording = Recording(broker.bootstrap, ["email-changelog", "outbox-emails"])

        def waited(order_id: str) -> bool:
            """And does so no more: what was said of that, one after the other."""
            key = f"waiting|{order_id}".encode()
            changes = [change for change in recording.all("email-changelog") if change.key == key]
            return [change.value is not None for change in changes] == [True, False]

        def mailed() -> list[str]:
            return [record.json["orderId"] for record in recording.all("outbox-emails")]

        services.start("email")
        until_assigned(services, "email")
        orders = [f"forgotten-{number}" for number in range(100)]
        unpaid = iter(orders)

        def one_waited() -> str:
            """If not, because a busy machine was too late for it, the next one may."""
            if any(map(waited, orders)):
                return ""
            order_id = next(unpaid)
            pay(broker.bootstrap, order_id, f"customer-of-{order_id}")
            return "an order that waited"

        recording.read_until(one_waited, 60)
        forgotten = next(filter(waited, orders))
        until_given_up(services, forgotten)
        path = tmp_path / "customers.jsonl"
        customers = [KNOWN, {**KNOWN, "id": f"customer-of-{forgotten}"}]
        path.write_text("".join(f"{json.dumps(one)}\n" for one in customers))
        run_command("feeds", {"bootstrap": broker.bootstrap}, "customers", str(path))
        known = (f"known-{number}" for number in range(100))

        def one_was_mailed() -> str:
            """As above."""
            if not mailed():
                pay(broker.bootstrap, next(known), KNOWN["id"])
            return "" if mailed() else "a mail"

        recording.read_until(one_was_mailed, 60)
        assert forgotten not in mailed()
        recording.close()
