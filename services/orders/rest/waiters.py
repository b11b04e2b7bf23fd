"""Requests that wait for an order: an entry in a table each, no thread, gone when the request is.

Used on the event loop alone. A waiter looks at the view and enters the table without a pause in between, and what the
view has taken in is announced on the same loop afterwards, so nothing can fall between looking and waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from services.orders.schemas import Order


class Moved(Exception):
    """The partition is not here any more: ask its new owner."""


class _Waiter(NamedTuple):
    partition: int
    is_satisfied: Callable[[Order], bool]
    answer: asyncio.Future[Order]


class Waiters:
    def __init__(self) -> None:
        self._by_order: dict[str, list[_Waiter]] = {}

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._by_order.values())

    async def wait(
        self, order_id: str, partition: int, is_satisfied: Callable[[Order], bool], timeout_s: float
    ) -> Order:
        """The first state of the order from now on that satisfies. Raises TimeoutError, Moved."""
        waiter = _Waiter(partition, is_satisfied, asyncio.get_running_loop().create_future())
        self._by_order.setdefault(order_id, []).append(waiter)
        try:
            return await asyncio.wait_for(waiter.answer, max(timeout_s, 0))
        finally:
            waiting = self._by_order[order_id]
            waiting.remove(waiter)
            if not waiting:
                del self._by_order[order_id]

    def announce(self, orders: Iterable[Order]) -> None:
        for order in orders:
            for waiter in self._by_order.get(order.id, ()):
                if waiter.is_satisfied(order) and not waiter.answer.done():
                    waiter.answer.set_result(order)

    def moved(self, partitions: frozenset[int] | None) -> None:
        """None: all."""
        for waiting in self._by_order.values():
            for waiter in waiting:
                if (partitions is None or waiter.partition in partitions) and not waiter.answer.done():
                    waiter.answer.set_exception(Moved())
