"""Plausible shoppers for the demonstration: `python -m services.orders.traffic url=URL[,URL] [rate=5] [name=value …]`.

Most want one or two of what sells well and wait for the verdict; a few buy too much within the hour, want what does
not exist, or send nonsense. Confirmed orders are shipped after a while, the warehouse is restocked when little is
left, and cards are tried, some of them too often.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from decimal import Decimal

import aiohttp
import msgspec
from confluent_kafka import Producer

from services.orders import demo, serde, topics
from services.orders.process import settings_for
from services.orders.schemas import AuthorizationAttempt, Event, GoodsReceived, OrderRequest
from services.orders.settings import Settings
from services.runtime.clients import plain_producer
from services.runtime.logs import log

_VERDICT_MS = 20_000
_SHIP_AFTER_S = (5, 30)
_RESTOCK_S = 15
_AT_ONCE = 500


class Traffic:
    def __init__(self, settings: Settings, urls: Sequence[str], rate: float) -> None:
        self._urls = urls
        self._rate = rate
        self._chosen = random.Random()
        self._customers = [customer.id for customer in demo.customers()]
        self._producer: Producer = plain_producer(settings, "demo-traffic")
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            self._start(self._restock())
            while True:
                if len(self._tasks) < _AT_ONCE:
                    self._start(self._shop())
                if self._chosen.random() < 0.2:
                    self._try_card()
                self._producer.poll(0)
                await asyncio.sleep(self._chosen.expovariate(self._rate))

    def _start(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shop(self) -> None:
        order = self._order()
        body = serde.encode_state(order) if self._chosen.random() > 0.01 else b'{"quantity": "two"}'
        try:
            async with self._session.post(f"{self._url()}/orders", data=body) as answer:
                if answer.status != 201:
                    return
            path = f"/orders/validated/{order.id}?timeout={_VERDICT_MS}"
            async with self._session.get(f"{self._url()}{path}") as answer:
                if answer.status != 200 or msgspec.json.decode(await answer.read())["state"] == "FAILED":
                    return
            await asyncio.sleep(self._chosen.uniform(*_SHIP_AFTER_S))
            async with self._session.post(f"{self._url()}/orders/{order.id}/shipment") as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            log(__name__, "shopper gave up", level=logging.WARNING, order=order.id, error=str(error))

    def _order(self) -> OrderRequest:
        dice = self._chosen.random()
        product = self._chosen.choices(list(demo.PRICES), weights=(30, 20, 15, 10, 4, 1))[0]
        quantity = self._chosen.choices((1, 2, 3, 8), weights=(60, 25, 12, 3))[0]
        if dice < 0.01:
            product = "perpetuum-mobile"
        elif dice < 0.02:
            quantity = 0
        price = demo.PRICES.get(product, Decimal(1))
        customer = self._chosen.choice(self._customers)
        return OrderRequest(str(uuid.uuid4()), customer, product, quantity, price)

    def _try_card(self) -> None:
        times = 1 if self._chosen.random() < 0.97 else self._chosen.randint(4, 6)
        card = f"4000-{self._chosen.randint(0, 9999):04}"
        for _ in range(times):
            attempt = AuthorizationAttempt(
                card, int(time.time() * 1000), Decimal(self._chosen.randint(1, 200))
            )
            self._write(topics.AUTHORIZATION_ATTEMPTS, card, attempt)

    async def _restock(self) -> None:
        while True:
            await asyncio.sleep(_RESTOCK_S)
            for product, count in demo.FIRST_STOCK.items():
                quantity = max(round(self._rate * _RESTOCK_S * count / 1500), 1)
                delivery = GoodsReceived(str(uuid.uuid4()), product, quantity)
                self._write(topics.GOODS_RECEIVED, product, delivery)

    def _write(self, topic: str, key: str, value: Event) -> None:
        self._producer.produce(topic, serde.encode(topic, value), key.encode())

    def _url(self) -> str:
        return self._chosen.choice(self._urls)


def main(arguments: Sequence[str]) -> int:
    own = dict(word.split("=", 1) for word in arguments if word.startswith(("url=", "rate=")))
    settings = settings_for("traffic", [word for word in arguments if not word.startswith(("url=", "rate="))])
    if settings is None or "url" not in own:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    traffic = Traffic(settings, own["url"].split(","), float(own.get("rate", "5")))
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_until_stopped(traffic))
    return 0


async def _until_stopped(traffic: Traffic) -> None:
    """By SIGTERM; SIGINT has its way of its own."""
    running = asyncio.ensure_future(traffic.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await running


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
