"""Too much money in too little time: what a customer's orders add up to within a tumbling window.

By the orders' own time, so that an order which arrives late counts where it belongs. Every order counts, failed ones
too, and this one is included. At the limit is over it.
"""

from __future__ import annotations

from decimal import Decimal

from services.orders.schemas import CheckType, Order, OrderValidation, Result


def check(order: Order, total_before: Decimal, limit: Decimal) -> tuple[Decimal, OrderValidation]:
    """The window's total with this order, and the result. Orders that are worth nothing or less do not lower it."""
    total = total_before + max(order.amount, Decimal(0))
    if total >= limit:
        reason = f"orders of {total} within the window, the limit is {limit}"
        return total, OrderValidation(order.id, CheckType.FRAUD_CHECK, Result.FAIL, reason)
    return total, OrderValidation(order.id, CheckType.FRAUD_CHECK, Result.PASS)
