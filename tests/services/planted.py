"""Runs a service with a bug planted in one of its rules: `-m tests.services.planted BUG [name=value …]`."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from services.orders import details, orders
from services.orders.rules import details as details_rules
from services.orders.rules import lifecycle
from services.orders.schemas import CreateOrder, Order, OrderValidation
from services.runtime.records import Unprocessable

HOUR_MS = 3_600_000
UNREADABLE_PRICE = "7.77"

_created_order = lifecycle.created_order
_check = details_rules.check


def wrong_time_zone(arguments: list[str]) -> int:
    """The Orders Service takes times for those of another time zone."""

    def created_order(command: CreateOrder) -> Order:
        order = _created_order(command)
        return replace(order, created_at=order.created_at + HOUR_MS)

    lifecycle.created_order = created_order
    return orders.main(arguments)


def unreadable_price(arguments: list[str]) -> int:
    """The Order Details Service stumbles over one price."""

    def check(order: Order) -> OrderValidation:
        if str(order.price) == UNREADABLE_PRICE:
            raise Unprocessable("what a price")
        return _check(order)

    details_rules.check = check
    return details.run(arguments)


BUGS = {"wrong-time-zone": wrong_time_zone, "unreadable-price": unreadable_price}

if __name__ == "__main__":
    sys.exit(BUGS[sys.argv[1]](sys.argv[2:]))
