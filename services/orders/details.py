"""Order Details Service: is the order itself sensible? A consumer-producer pair without state, exactly once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.orders import topics
from services.orders.handling import publish, topology
from services.orders.process import main
from services.orders.rules import details
from services.orders.rules.transitions import is_new
from services.orders.schemas import Order
from services.orders.settings import Settings
from services.runtime.records import Record
from services.runtime.topology import Context, Topology


def build(_settings: Settings) -> Topology:
    return topology("details", {topics.ORDERS: _check})


def _check(order: Order, _record: Record, context: Context) -> None:
    if is_new(order):
        publish(context, topics.ORDER_VALIDATIONS, order.id, details.check(order))


def run(arguments: Sequence[str]) -> int:
    return main("details", build, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
