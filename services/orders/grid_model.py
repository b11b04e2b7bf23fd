"""What the live grid shows, kept from the log: orders joined with their payments and customers, and counts of
everything.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from services.orders import topics
from services.orders.schemas import (
    Customer,
    Order,
    OrderState,
    OrderValidation,
    Payment,
    Result,
    StockCount,
)

_RATE_S = 10
_LATENCIES = 1000
_RECENT = 12


class Line(NamedTuple):
    """One order as the grid shows it."""

    order: Order
    customer: Customer | None
    payment: Payment | None


class GridModel:
    def __init__(self) -> None:
        self.states: Counter[OrderState] = Counter()
        self.failures: Counter[str] = Counter()  # by check
        self.alerts = 0
        self.dead_letters = 0
        self.mails = 0
        self.stock: dict[str, int] = {}
        self._orders: dict[str, Order] = {}
        self._created_at: dict[str, int] = {}  # log's time, of orders that are not decided
        self._payments: dict[str, Payment] = {}
        self._customers: dict[str, Customer] = {}
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._created: deque[int] = deque()
        self._latencies: deque[int] = deque(maxlen=_LATENCIES)

    def apply(self, topic: str, value: Any, timestamp_ms: int) -> None:
        match value:
            case Order():
                self._on_order(value, timestamp_ms)
            case OrderValidation() if value.result is Result.FAIL:
                self.failures[value.check_type.value] += 1
            case Payment():
                self._payments[value.order_id] = value
            case Customer():
                self._customers[value.id] = value
            case StockCount():
                self.stock[value.product] = value.count
            case _ if topic == topics.POSSIBLE_FRAUD:
                self.alerts += 1
            case _ if topic == topics.DEAD_LETTERS:
                self.dead_letters += 1
            case _ if topic == topics.OUTBOX_EMAILS:
                self.mails += 1

    def rate(self, now_ms: int) -> float:
        """Orders a second, of late."""
        while self._created and self._created[0] < now_ms - _RATE_S * 1000:
            self._created.popleft()
        return len(self._created) / _RATE_S

    def latency_ms(self, share: float) -> int | None:
        """From CREATED to the decision, of the last ones: `share` of them took at most this."""
        ordered = sorted(self._latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None

    def recent(self) -> Iterator[Line]:
        """The latest first."""
        for order_id in reversed(self._recent):
            order = self._orders[order_id]
            yield Line(order, self._customers.get(order.customer_id), self._payments.get(order_id))

    def _on_order(self, order: Order, timestamp_ms: int) -> None:
        before = self._orders.get(order.id)
        if before is None:
            self._recent.append(order.id)
            self._created.append(timestamp_ms)
            self._created_at[order.id] = timestamp_ms
        elif order.version <= before.version:
            return
        else:
            self.states[before.state] -= 1
        self.states[order.state] += 1
        self._orders[order.id] = order
        if order.state is not OrderState.CREATED:
            created_at = self._created_at.pop(order.id, None)
            if created_at is not None:
                self._latencies.append(timestamp_ms - created_at)
