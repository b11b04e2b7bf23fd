"""The live grid: orders by state, rates, latency, fraud, stock, and the latest orders, kept by the log.

    python -m services.orders.grid [name=value …]

On a terminal it is drawn anew four times a second, elsewhere a line is written every five seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from threading import Event

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.orders import serde, topics
from services.orders.grid_model import GridModel
from services.orders.process import settings_for, stop_on_signals
from services.orders.schemas import OrderState
from services.orders.settings import Settings
from services.runtime.catch_up import ends_met
from services.runtime.clients import admin, reader
from services.runtime.describe import partition_count

_TOPICS = (
    topics.ORDERS,
    topics.ORDER_VALIDATIONS,
    topics.PAYMENTS,
    topics.CUSTOMERS,
    topics.WAREHOUSE_INVENTORY,
    topics.POSSIBLE_FRAUD,
    topics.DEAD_LETTERS,
    topics.OUTBOX_EMAILS,
)
_LINE_EVERY_S = 5.0


class Grid:
    def __init__(self, settings: Settings, title: str) -> None:
        self._title = title
        self._model = GridModel()
        self._consumer: Consumer = reader(settings, "orders-grid")
        client = admin(settings)
        counts = {topic: partition_count(client, topic) for topic in _TOPICS}
        self._consumer.assign(
            [
                TopicPartition(topic, number, OFFSET_BEGINNING)
                for topic, count in counts.items()
                for number in range(count)
            ]
        )

    def run(self, stop: Event) -> None:
        console = Console()
        if console.is_terminal:
            self._draw(console, stop)
        else:
            self._write_lines(stop)
        self._consumer.close()

    def _draw(self, console: Console, stop: Event) -> None:
        with Live(self._table(), console=console, refresh_per_second=4, screen=False) as live:
            while not stop.is_set():
                self._take(0.25)
                live.update(self._table())

    def _write_lines(self, stop: Event) -> None:
        next_at = time.monotonic()
        while not stop.is_set():
            self._take(0.25)
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + _LINE_EVERY_S
                sys.stdout.write(f"{self._summary()}\n")
                sys.stdout.flush()

    def _take(self, seconds: float) -> None:
        messages = self._consumer.consume(5000, seconds)
        for _end in ends_met(messages):
            pass
        for message in messages:
            topic = message.topic()
            if message.error() is not None or topic is None:
                continue
            try:
                value = serde.decode(topic, message.value())
            except serde.Unreadable:
                continue
            self._model.apply(topic, value, message.timestamp()[1])

    def _summary(self) -> str:
        model = self._model
        states = " ".join(f"{state.value.lower()}={model.states[state]}" for state in OrderState)
        return (
            f"{states} rate={model.rate(_now_ms()):.1f}/s validated_ms={model.latency_ms(0.5)}/"
            f"{model.latency_ms(0.99)} mails={model.mails} card_alerts={model.alerts} "
            f"dead_letters={model.dead_letters}"
        )

    def _table(self) -> Group:
        return Group(Text(self._title), self._figures(), self._latest())

    def _figures(self) -> Table:
        model = self._model
        table = Table(expand=True, show_edge=False)
        for heading in ("orders", "failed checks", "pace", "stock"):
            table.add_column(heading)
        pace = {
            "orders a second": f"{model.rate(_now_ms()):.1f}",
            "decided within, median": f"{model.latency_ms(0.5)} ms",
            "decided within, 99 %": f"{model.latency_ms(0.99)} ms",
            "mails": model.mails,
            "suspicious cards": model.alerts,
            "dead letters": model.dead_letters,
        }
        columns = (
            {state.value: model.states[state] for state in OrderState},
            model.failures,
            pace,
            model.stock,
        )
        table.add_row(*("\n".join(f"{name}: {count}" for name, count in shown.items()) for shown in columns))
        return table

    def _latest(self) -> Table:
        table = Table(expand=True, show_edge=False)
        for heading in ("order", "customer", "level", "product", "amount", "state", "payment"):
            table.add_column(heading)
        for order, customer, payment in self._model.recent():
            name = f"{customer.first_name} {customer.last_name}" if customer else order.customer_id
            reason = f" {order.reasons[0]}" if order.reasons else ""
            table.add_row(
                order.id[:8],
                name,
                customer.level if customer else "",
                f"{order.quantity} × {order.product}",
                str(order.amount),
                f"{order.state.value}{reason}"[:48],
                f"{payment.amount} {payment.ccy}" if payment else "",
            )
        return table


def _now_ms() -> int:
    return int(time.time() * 1000)


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("grid", arguments)
    if settings is None:
        return 2
    Grid(settings, settings.bootstrap).run(stop_on_signals())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
