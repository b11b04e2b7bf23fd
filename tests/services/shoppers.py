"""Seeded shoppers: orders of all kinds, some of them faulty, posted to any instance until the outcome is known.

Faults: products that nobody has, too many of too few, nothing at all, negative prices, no customer, sums over the
limit, late orders, bodies that are no orders, the same order again, and another order under the same id, at the same
time, elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from services.orders.supervisor import NotReady
from tests.services import http_client as http

HOUR_MS = 3_600_000
CUSTOMERS = [
    {
        "id": f"customer-{number}",
        "source": "tests",
        "version": 1,
        "firstName": f"First{number}",
        "lastName": f"Last{number}",
        "email": f"customer-{number}@example.org",
        "address": f"{number} Main Street",
        "level": ("PLATINUM", "GOLD", "SILVER", "BRONZE")[number % 4],
    }
    for number in range(40)
]


def stock_for(orders: int) -> dict[str, int]:
    """Three products that last, three that run out."""
    plenty = {f"product-{number}": orders * 10 for number in range(3)}
    return plenty | {f"scarce-{number}": max(orders // 20, 1) for number in range(3)}


@dataclass
class Purchase:
    """One body that was posted, with its last answer; 0 for none."""

    order_id: str
    body: dict[str, Any] | bytes
    status: int = 0
    attempts: int = 0

    @property
    def is_malformed(self) -> bool:
        return isinstance(self.body, bytes)

    @property
    def content(self) -> str:
        assert isinstance(self.body, dict)
        return json.dumps(self.body, sort_keys=True)

    def is_of(self, order: dict[str, Any]) -> bool:
        """Would this body have made the order?"""
        assert isinstance(self.body, dict)
        return all(
            float(order[name]) == value if name == "price" else order[name] == value
            for name, value in self.body.items()
        )


def purchases(seed: int, count: int) -> Iterator[list[Purchase]]:
    """What belongs together is posted at the same time. `count` ids that are accepted."""
    chosen = random.Random(seed)
    for number in range(count):
        order_id = f"order-{seed}-{number}"
        body = _order(order_id, chosen)
        together = [Purchase(order_id, body)]
        dice = chosen.random()
        if dice < 0.06:
            together.append(Purchase(order_id, dict(body)))
        elif dice < 0.12:
            together.append(Purchase(order_id, {**body, "quantity": body["quantity"] + 1}))
        elif dice < 0.15:
            together.append(Purchase(order_id, chosen.choice(_MALFORMED)))
        yield together


def _order(order_id: str, chosen: random.Random) -> dict[str, Any]:
    now = int(time.time() * 1000)
    body: dict[str, Any] = {
        "id": order_id,
        "customerId": chosen.choice(CUSTOMERS)["id"],
        "product": chosen.choice(["product-0", "product-1", "product-2", "scarce-0", "scarce-1", "scarce-2"]),
        "quantity": chosen.randint(1, 3),
        "price": chosen.choice([1.99, 5, 12.5, 99.95]),
    }
    dice = chosen.random()
    if dice < 0.03:
        body["product"] = f"nowhere-{chosen.randint(0, 5)}"
    elif dice < 0.06:
        body["quantity"] = chosen.choice([0, -1])
    elif dice < 0.08:
        body["price"] = -0.01
    elif dice < 0.10:
        body[chosen.choice(["customerId", "product"])] = ""
    elif dice < 0.14:
        body["price"] = chosen.choice([1999.99, 2000, 700])
        body["quantity"] = 1
    elif dice < 0.24:
        body["createdAt"] = now - chosen.randint(1, 5) * HOUR_MS
    elif dice < 0.30:  # just before and just after a window begins
        body["createdAt"] = now - now % HOUR_MS - chosen.choice([1, 0])
    return body


_MALFORMED = [
    b"",
    b"not json",
    b"[]",
    b'{"id":"x"}',
    b'{"id":"x","customerId":"c","product":"p","quantity":"two","price":1}',
    b'{"id":"x","customerId":"c","product":"p","quantity":1,"price":1.999}',
    b'{"id":"a b","customerId":"c","product":"p","quantity":1,"price":1}',
]


async def shop(
    urls: Callable[[], str], groups: Iterator[list[Purchase]], *, at_once: int, give_up_s: float = 90
) -> list[Purchase]:
    """Post all, so many at a time, each until its outcome is known."""
    done: list[Purchase] = []

    async def shopper() -> None:
        for group in groups:
            await asyncio.gather(*(post(urls, purchase, give_up_s) for purchase in group))
            done.extend(group)

    await asyncio.gather(*(shopper() for _ in range(at_once)))
    return done


async def post(urls: Callable[[], str], purchase: Purchase, give_up_s: float = 90) -> None:
    """Again and again, to whichever instance, until the outcome is known."""
    body = purchase.body if isinstance(purchase.body, bytes) else json.dumps(purchase.body).encode()
    deadline = time.monotonic() + give_up_s
    while time.monotonic() < deadline:
        purchase.attempts += 1
        try:
            url = await asyncio.to_thread(urls)
            answer = await http.request("POST", f"{url}/orders", body, timeout_s=20)
        except (OSError, TimeoutError, ValueError, NotReady):
            await asyncio.sleep(0.2)
            continue
        purchase.status = answer.status
        if answer.status not in (503, 504):
            return
        await asyncio.sleep(0.1)
