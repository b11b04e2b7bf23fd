"""Stock and reservations of one product.

A reservation lasts until the order ships, when stock and reservation fall together, or until the order ends FAILED,
when it is released. The caller sees the events of a product in one order and keeps what it is answered with the
results in one transaction; then 0 ≤ reserved ≤ count always holds, because nobody else writes stock.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from services.orders.schemas import CheckType, Order, OrderState, OrderValidation, Result


class Stock(Struct, frozen=True):
    count: int  # in the warehouse, reserved ones included
    reserved: int = 0

    @property
    def free(self) -> int:
        return self.count - self.reserved


class Decision(NamedTuple):
    """What is to be kept: `stock` as None is an unknown product; `reservation` of the order, 0 for none."""

    stock: Stock | None
    reservation: int
    validation: OrderValidation | None = None


def on_order(order: Order, stock: Stock | None, reservation: int) -> Decision:
    """`reservation`: what this order holds now."""
    if order.corrects is not None:
        return Decision(stock, reservation)
    match order.state:
        case OrderState.CREATED:
            return _reserve(order, stock, reservation)
        case OrderState.FAILED if stock is not None and reservation:
            return Decision(Stock(stock.count, stock.reserved - reservation), 0)
        case OrderState.COMPLETED if stock is not None and reservation:
            return Decision(Stock(stock.count - reservation, stock.reserved - reservation), 0)
        case _:
            return Decision(stock, reservation)


def on_goods(quantity: int, stock: Stock | None) -> Stock:
    return Stock(quantity) if stock is None else Stock(stock.count + quantity, stock.reserved)


def _reserve(order: Order, stock: Stock | None, reservation: int) -> Decision:
    if stock is None:
        return Decision(None, reservation, _result(order, f"unknown product {order.product!r}"))
    if order.quantity < 1:
        return Decision(stock, reservation, _result(order, "nothing to reserve"))
    if order.quantity > stock.free:
        return Decision(stock, reservation, _result(order, f"{order.quantity} wanted, {stock.free} left"))
    reserved = Stock(stock.count, stock.reserved + order.quantity)
    return Decision(reserved, order.quantity, _result(order))


def _result(order: Order, failure: str = "") -> OrderValidation:
    result = Result.FAIL if failure else Result.PASS
    return OrderValidation(order.id, CheckType.INVENTORY_CHECK, result, failure)
