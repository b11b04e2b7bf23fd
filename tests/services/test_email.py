"""Goal: a confirmed order whose customer is not known waits for a mail, for a while and not for good.

Method: the Email Service alone, with a retention of seconds, and the records that others would write. What it waits for
is seen in the changelog of its state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.services import shoppers
from tests.services.ecosystem import run_command, until_assigned, without_services
from tests.services.recording import Recording

pytestmark = [pytest.mark.services, pytest.mark.slow]
RETENTION_MS = 6000  # enough for both halves of a pair, also on a busy machine
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


@pytest.mark.timeout(120)
def test_an_unknown_customer(tmp_path: Path) -> None:
    with without_services(tmp_path, unjoined_retention_ms=str(RETENTION_MS)) as (broker, services):
        recording = Recording(broker.bootstrap, ["email-changelog", "outbox-emails"])

        def waits_for_the_customer() -> list[bool]:
            """What was said of that, one after the other."""
            changes = list(recording.all("email-changelog"))
            return [change.value is not None for change in changes if change.key == b"waiting|forgotten"]

        def mailed() -> list[str]:
            return [record.json["orderId"] for record in recording.all("outbox-emails")]

        services.start("email")
        until_assigned(services, "email")
        pay(broker.bootstrap, "forgotten", "nobody")
        recording.read_until(lambda: "" if waits_for_the_customer() == [True, False] else "the end", 60)
        path = tmp_path / "customers.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in (KNOWN, {**KNOWN, "id": "nobody"})))
        run_command("feeds", {"bootstrap": broker.bootstrap}, "customers", str(path))
        pay(broker.bootstrap, "known", KNOWN["id"])
        recording.read_until(lambda: "" if mailed() else "the mail", 60)
        assert mailed() == ["known"]
        recording.close()
