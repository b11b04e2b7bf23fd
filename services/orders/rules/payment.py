"""Payments: one per order, with an id that follows from the order's: so a provider can tell a retry."""

from __future__ import annotations

from services.orders.rules.transitions import is_transition
from services.orders.schemas import Order, OrderState, Payment


def is_due(order: Order) -> bool:
    return is_transition(order, OrderState.VALIDATED)


def payment_for(order: Order, ccy: str) -> Payment:
    return Payment(id=f"pay-{order.id}", order_id=order.id, ccy=ccy, amount=order.amount)
