"""Payment Service: takes the money for validated orders and says so in `payments`.

The provider stands outside of the log's transactions: after a crash it is asked again for the same payment, under the
same id, and must charge once. That is what payment providers offer; the one here is a stub.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

from services.orders import topics
from services.orders.handling import publish, topology
from services.orders.process import main
from services.orders.rules import payment
from services.orders.schemas import Order, Payment
from services.orders.settings import Settings
from services.runtime.records import Record
from services.runtime.topology import Context, Topology


class Provider(Protocol):
    def charge(self, payment: Payment) -> None:
        """Charge once for each payment id, however often this is called."""


class GenerousProvider:
    """Accepts everything: for demonstrations."""

    def charge(self, payment: Payment) -> None:
        pass


def build(settings: Settings, provider: Provider | None = None) -> Topology:
    chosen = GenerousProvider() if provider is None else provider

    def pay(order: Order, _record: Record, context: Context) -> None:
        if payment.is_due(order):
            paid = payment.payment_for(order, settings.ccy)
            chosen.charge(paid)
            publish(context, topics.PAYMENTS, paid.id, paid)

    return topology("payment", {topics.ORDERS: pay})


def run(arguments: Sequence[str]) -> int:
    return main("payment", build, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
