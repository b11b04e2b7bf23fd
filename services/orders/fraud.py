"""Fraud Service: a customer's orders within an hour must stay below a limit.

orders → rekeyed to the customer → total of the window in the state → order-validations, back on the order's id.
Totals are kept for good: an order may arrive however late and is measured by its own window.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal

from services.orders import topics
from services.orders.handling import publish, topology
from services.orders.process import main
from services.orders.rules import fraud
from services.orders.rules.transitions import is_new
from services.orders.rules.windows import window_start
from services.orders.schemas import Order
from services.orders.settings import Settings
from services.runtime.records import Record
from services.runtime.topology import Context, Topology


def build(settings: Settings) -> Topology:
    def check(order: Order, _record: Record, context: Context) -> None:
        start = window_start(order.created_at, settings.fraud_window_ms)
        key = f"{start}|{order.customer_id}".encode()
        before = Decimal((context.store.get(key) or b"0").decode())
        total, validation = fraud.check(order, before, settings.fraud_limit)
        context.store.put(key, str(total).encode())
        publish(context, topics.ORDER_VALIDATIONS, order.id, validation)

    return topology("fraud", {topics.ORDERS: _rekey, topics.ORDERS_BY_CUSTOMER: check})


def _rekey(order: Order, record: Record, context: Context) -> None:
    if is_new(order):
        publish(
            context, topics.ORDERS_BY_CUSTOMER, order.customer_id, order, timestamp_ms=record.timestamp_ms
        )


def run(arguments: Sequence[str]) -> int:
    return main("fraud", build, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
