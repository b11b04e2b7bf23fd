"""The customer feed and the warehouse's deliveries, as files of one JSON object a line.

    python -m services.orders.feeds customers FILE [name=value …]
    python -m services.orders.feeds goods FILE [name=value …]

Customers go through the register (customer_register.py): all of the file, or, when one is made on another version than
the one that stands, nothing. Goods go to a command topic, into which anybody may write; a delivery note counts once.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.orders import serde, topics
from services.orders.customer_register import CustomerRegister, Stale
from services.orders.process import settings_for
from services.orders.schemas import Customer, Event, GoodsReceived
from services.orders.settings import Settings
from services.runtime.clients import plain_producer


def feed_customers(settings: Settings, updates: Iterable[Customer]) -> int:
    """How many were written: all. Raises Stale, and then none was."""
    changes = list(updates)
    with contextlib.closing(CustomerRegister(settings)) as register:
        register.write(changes)
    return len(changes)


def feed_goods(settings: Settings, deliveries: Iterable[GoodsReceived]) -> int:
    producer = plain_producer(settings, "goods-feed")
    count = 0
    for goods in deliveries:
        _write(producer, topics.GOODS_RECEIVED, goods.product, goods)
        count += 1
    _flush(producer)
    return count


def _write(producer: Producer, topic: str, key: str, value: Event) -> None:
    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            raise KafkaException(error)

    producer.produce(topic, serde.encode(topic, value), key.encode(), on_delivery=on_delivery)
    producer.poll(0)


def _flush(producer: Producer) -> None:
    if producer.flush(60):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records were not written"))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) < 2 or arguments[0] not in {"customers", "goods"}:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    what, path, *rest = arguments
    settings = settings_for("feeds", rest)
    if settings is None:
        return 2
    topic = topics.CUSTOMERS if what == "customers" else topics.GOODS_RECEIVED
    try:
        lines = Path(path).read_bytes().splitlines()
        values = [serde.decode(topic, line) for line in lines if line.strip()]
        count = feed_customers(settings, values) if what == "customers" else feed_goods(settings, values)
    except (OSError, serde.Unreadable, Stale, KafkaException) as error:
        sys.stderr.write(f"feeds: {error}\n")
        return 1
    sys.stdout.write(f"{count} written to {topic}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
