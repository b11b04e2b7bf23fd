"""Writes commands and claims: a producer for the event loop, its deliveries reported by a thread of its own."""

from __future__ import annotations

import asyncio
import threading

from confluent_kafka import KafkaError, KafkaException, Message

from services.orders import serde, topics
from services.orders.schemas import CreateOrder, InstanceClaim, OrderCommand
from services.orders.settings import Settings
from services.runtime.clients import plain_producer
from services.runtime.murmur2 import partition_of


class CommandWriter:
    def __init__(self, settings: Settings, partitions: int) -> None:
        self._producer = plain_producer(settings, f"orders-commands-{settings.instance}")
        self._partitions = partitions
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._report, name="deliveries", daemon=True)
        self._thread.start()

    async def write(self, command: OrderCommand) -> None:
        """Returns once the command is in the log. Raises KafkaException; the command may be in the log all the same."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            loop.call_soon_threadsafe(_settle, written, error)

        order_id = command.order.id if isinstance(command, CreateOrder) else command.id
        key, value = order_id.encode(), serde.encode(topics.ORDER_COMMANDS, command)
        partition = partition_of(key, self._partitions)
        self._producer.produce(topics.ORDER_COMMANDS, value, key, partition, on_delivery=on_delivery)
        await written

    def claim(self, instance: str, url: str, partitions: frozenset[int]) -> None:
        """Tell the other instances. Any thread; does not wait."""
        claim = InstanceClaim(url, tuple(sorted(partitions)))
        value = serde.encode(topics.ORDERS_INSTANCES, claim)
        self._producer.produce(topics.ORDERS_INSTANCES, value, instance.encode(), 0)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.flush(5)

    def _report(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)


def _settle(written: asyncio.Future[None], error: KafkaError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(KafkaException(error))
