"""The check of an order's own fields. Whether the product exists is for Inventory to say."""

from __future__ import annotations

from services.orders.schemas import CheckType, Order, OrderValidation, Result


def check(order: Order) -> OrderValidation:
    faults = []
    if order.quantity < 1:
        faults.append("quantity is less than 1")
    if order.price < 0:
        faults.append("price is negative")
    if not order.product:
        faults.append("no product")
    if not order.customer_id:
        faults.append("no customer")
    result = Result.FAIL if faults else Result.PASS
    return OrderValidation(order.id, CheckType.ORDER_DETAILS_CHECK, result, ", ".join(faults))
