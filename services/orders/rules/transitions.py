"""Which of an order's events is the one that a service waits for. A correction is none: the step was taken before."""

from __future__ import annotations

from services.orders.schemas import Order, OrderState


def is_transition(order: Order, state: OrderState) -> bool:
    """Has the order just come into this state?"""
    return order.state is state and order.corrects is None


def is_new(order: Order) -> bool:
    return is_transition(order, OrderState.CREATED)
