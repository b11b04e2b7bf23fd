"""Finds the instance that can answer for an order, and waits there: here, or through a request to another instance.

A request that meets a move of partitions is tried again, at whoever is the owner by then, until its time is over.
Nothing that may be told twice is decided here: what is routed are reads. Whether an order is accepted is decided in
the log.
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from urllib.parse import quote

import aiohttp
from yarl import URL

from services.orders import serde, topics
from services.orders.rest.owners import Owners
from services.orders.rest.view import OrdersView
from services.orders.rest.waiters import Moved, Waiters
from services.orders.schemas import Order, OrderState
from services.runtime.murmur2 import partition_of

TIMEOUT_MOST_MS = 600_000
_RETRY_S = 0.02
_GRACE_S = 0.5  # for another instance to say itself that the time is over


class Until(Enum):
    """What a GET waits for."""

    EXISTS = "exists"
    DECIDED = "decided"  # VALIDATED, FAILED or beyond
    COMPLETED = "completed"

    def is_met_by(self, order: Order) -> bool:
        match self:
            case Until.EXISTS:
                return True
            case Until.DECIDED:
                return order.state is not OrderState.CREATED
            case Until.COMPLETED:
                return order.state is OrderState.COMPLETED


class NotOwner(Exception):
    """This instance does not serve that partition, at least now."""


class Stopping(Exception):
    """This instance is about to end: ask another."""


class Router:
    def __init__(
        self, view: OrdersView, waiters: Waiters, owners: Owners, partitions: int, own_url: str
    ) -> None:
        self._view = view
        self._waiters = waiters
        self._owners = owners
        self._partitions = partitions
        self._own_url = own_url
        self.is_stopping = False
        self._session: aiohttp.ClientSession | None = None

    def stop(self) -> None:
        """Who waits here is sent away."""
        self.is_stopping = True
        self._waiters.moved(None)

    async def get(self, order_id: str, until: Until, timeout_s: float) -> bytes:
        """The order as JSON, from whichever instance has it. Raises TimeoutError, Stopping."""
        deadline = time.monotonic() + timeout_s
        number = partition_of(order_id.encode(), self._partitions)
        while True:
            for url in [self._own_url, *self._owners.candidates(number)]:
                left_s = deadline - time.monotonic()
                try:
                    if url == self._own_url:
                        return await self.get_here(order_id, until, left_s)
                    return await self._get_there(url, order_id, until, left_s)
                except (NotOwner, aiohttp.ClientError):
                    continue
            await self._pause(deadline)

    async def get_here(self, order_id: str, until: Until, timeout_s: float) -> bytes:
        """Raises TimeoutError, NotOwner."""
        number = partition_of(order_id.encode(), self._partitions)
        if number not in self._view.serving:
            raise NotOwner
        found = self._view.table.get(order_id)
        if found is not None and until.is_met_by(serde.decode(topics.ORDERS, found)):
            return found
        if self.is_stopping:
            raise NotOwner
        try:
            order = await self._waiters.wait(order_id, number, until.is_met_by, timeout_s)
        except Moved:
            raise NotOwner from None
        return serde.encode(topics.ORDERS, order)

    async def scan(self, customer: str | None, limit: int, timeout_s: float) -> list[bytes]:
        """The latest orders, of all partitions. Raises TimeoutError while some have no owner, Stopping."""
        deadline = time.monotonic() + timeout_s
        while True:
            here = self._view.serving
            values = self._view.table.of_customer(customer, here, limit)
            urls = self._owners.urls() - {self._own_url}
            left_s = deadline - time.monotonic()
            questions = (self._scan_there(url, customer, limit, left_s) for url in urls)
            answers = await asyncio.gather(*questions)
            served = [*here, *(number for partitions, _ in answers for number in partitions)]
            # Twice served is as bad as not at all: a partition is on its way.
            if sorted(served) == list(range(self._partitions)):
                return _latest([*values, *(value for _, found in answers for value in found)], limit)
            await self._pause(deadline)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _pause(self, deadline: float) -> None:
        if self.is_stopping:
            raise Stopping
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        await asyncio.sleep(min(_RETRY_S, left_s))

    async def _get_there(self, url: str, order_id: str, until: Until, timeout_s: float) -> bytes:
        timeout_s = max(timeout_s, 0)  # without any time to wait: as it is there now
        parameters = {"until": until.value, "timeout": str(int(timeout_s * 1000))}
        # What comes in a path may be no order's id. It must not be read as another path.
        there = URL(f"{url}/internal/orders/{quote(order_id, safe='')}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=timeout_s + _GRACE_S, sock_connect=2)
        request = self._client().get(there, params=parameters, timeout=timeout)
        async with request as answer:
            if answer.status == 504:
                raise TimeoutError
            if answer.status != 200:
                raise NotOwner
            return await answer.read()

    async def _scan_there(
        self, url: str, customer: str | None, limit: int, timeout_s: float
    ) -> tuple[list[int], list[bytes]]:
        parameters = {"limit": str(limit)} | ({} if customer is None else {"customer": customer})
        timeout = aiohttp.ClientTimeout(total=max(timeout_s, 0) + _GRACE_S, sock_connect=2)
        try:
            request = self._client().get(f"{url}/internal/orders", params=parameters, timeout=timeout)
            async with request as answer:
                if answer.status != 200:
                    return [], []
                lines = (await answer.read()).split(b"\n")
        except (aiohttp.ClientError, TimeoutError):
            return [], []
        return [int(number) for number in lines[0].split()], [line for line in lines[1:] if line]

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session


def _latest(values: list[bytes], limit: int) -> list[bytes]:
    orders: list[tuple[Order, bytes]] = [(serde.decode(topics.ORDERS, value), value) for value in values]
    orders.sort(key=lambda pair: (-pair[0].created_at, pair[0].id))
    return [value for _, value in orders[:limit]]
