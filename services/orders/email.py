"""Email Service: a mail for each confirmed order, joined with its payment and its customer.

orders, payments by order → the two halves meet in the state, within the window → the customers table → outbox-emails.
Each mail is in the outbox once; platinum-emails holds those of platinum customers as well. A pair whose customer is
not known yet waits, as a half does for the other, for a while: then the mail is given up, with a warning. A customer
who was forgotten gets no mail. mailer.py takes the outbox to SMTP.

How many mails went out, by customer level, is kept in the state and served as /stats.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import cast

from msgspec.structs import replace

from services.orders import serde, topics
from services.orders.handling import publish, topology
from services.orders.process import main
from services.orders.rules import email_join
from services.orders.rules.email_join import Half
from services.orders.schemas import Customer, Order, Payment
from services.orders.settings import Settings
from services.runtime import metrics
from services.runtime.global_table import GlobalTable
from services.runtime.logs import log
from services.runtime.records import Record
from services.runtime.topology import Context, Topology

_HALF = "half|"
_WAITING = "waiting|"  # for the customer
_SENT = "sent|"


class EmailService:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._customers = GlobalTable(settings, topics.CUSTOMERS, _read_customer)
        self._statistics: dict[int, dict[str, int]] = {}  # by partition, then level

    def topology(self) -> Topology:
        return topology(
            "email",
            {topics.ORDERS: self._on_order, topics.PAYMENTS_BY_ORDER: self._on_payment},
            on_start=self._customers.load,
            on_turn=self._customers.follow,
            on_tick=self._on_tick,
            on_stop=self._customers.close,
        )

    def statistics(self) -> dict[str, int]:
        """Mails sent so far, by level: of the partitions that this instance holds."""
        total: dict[str, int] = {}
        for levels in list(self._statistics.values()):
            for level, count in levels.items():
                total[level] = total.get(level, 0) + count
        return total

    def _on_order(self, order: Order, record: Record, context: Context) -> None:
        if email_join.is_wanted(order):
            half = _half(context, order.id)
            window = self._settings.join_window_ms
            self._join(email_join.with_order(half, order, record.timestamp_ms, window), order.id, context)

    def _on_payment(self, payment: Payment, record: Record, context: Context) -> None:
        half = _half(context, payment.order_id)
        window = self._settings.join_window_ms
        joined = email_join.with_payment(half, payment, record.timestamp_ms, window)
        self._join(joined, payment.order_id, context)

    def _join(self, half: Half, order_id: str, context: Context) -> None:
        half = replace(half, waits_since=context.now_ms)
        whole = half.is_whole
        context.store.put(f"{_HALF}{order_id}".encode(), None if whole else serde.encode_state(half))
        if whole and not self._send(half, context):
            context.store.put(f"{_WAITING}{order_id}".encode(), serde.encode_state(half))

    def _send(self, pair: Half, context: Context) -> bool:
        """False: the customer is not known."""
        assert pair.order is not None and pair.payment is not None
        customer = self._customers.values.get(pair.order.customer_id.encode())
        if customer is None:
            return False
        mail = email_join.mail_for(pair.order, pair.payment, customer)
        publish(context, topics.OUTBOX_EMAILS, mail.order_id, mail)
        if mail.level == email_join.PLATINUM:
            publish(context, topics.PLATINUM_EMAILS, mail.order_id, mail)
        key = f"{_SENT}{mail.level}".encode()
        context.store.put(key, str(int(context.store.get(key) or 0) + 1).encode())
        return True

    def _on_tick(self, context: Context) -> None:
        now_ms, most_ms = context.now_ms, self._settings.unjoined_retention_ms
        for key, data in context.store.scan(_WAITING.encode()):
            pair = serde.decode_state(data, Half)
            if self._send(pair, context):
                context.store.put(key, None)
            elif pair.has_waited(now_ms, most_ms):
                _give_up(key, "customer", context)
        for key, data in context.store.scan(_HALF.encode()):
            half = serde.decode_state(data, Half)
            if half.has_waited(now_ms, most_ms):
                _give_up(key, "payment" if half.payment is None else "order", context)
        sent = context.store.scan(_SENT.encode())
        self._statistics[context.partition] = {
            key.decode().removeprefix(_SENT): int(value) for key, value in sent
        }


def _give_up(key: bytes, missing: str, context: Context) -> None:
    context.store.put(key, None)
    fields = {"order": key.decode().partition("|")[2], "missing": missing}
    context.after_commit(lambda: log(__name__, "mail given up", level=logging.WARNING, **fields))
    context.after_commit(metrics.EVENTS.labels("mail_given_up").inc)


def _half(context: Context, order_id: str) -> Half | None:
    data = context.store.get(f"{_HALF}{order_id}".encode())
    return None if data is None else serde.decode_state(data, Half)


def _read_customer(data: bytes) -> Customer | None:
    try:
        return cast(Customer, serde.decode(topics.CUSTOMERS, data))
    except serde.Unreadable:
        return None


def run(arguments: Sequence[str]) -> int:
    statistics: list[Callable[[], dict[str, int]]] = []

    def build(settings: Settings) -> Topology:
        service = EmailService(settings)
        statistics.append(service.statistics)
        return service.topology()

    def stats() -> dict[str, int]:
        return statistics[0]() if statistics else {}

    return main("email", build, arguments, pages={"/stats": stats})


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
