"""Who has which partition: asked of the group itself, whose members carry their address in the client id.

So there is no second record of ownership that could disagree with the first. What is known may be out of date by the
time a request arrives: then the instance asked says so (421), and the router asks the group again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from confluent_kafka import KafkaException

from services.orders import topics
from services.orders.settings import Settings
from services.runtime.describe import admin
from services.runtime.logs import log

_GROUP = "orders"
_PAUSE_S = 0.1  # between questions, however many requests are looking for an owner


class Owners:
    """Used on the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._admin = admin(settings)
        self._urls: Mapping[int, str] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    def url_of(self, partition: int) -> str | None:
        return self._urls.get(partition)

    @property
    def urls(self) -> Mapping[int, str]:
        """By partition; during a rebalance partitions may be missing."""
        return self._urls

    async def refresh(self) -> None:
        """Ask again. All who call this while a question is on its way share its answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.shield(self._asking)

    async def _ask(self) -> None:
        await asyncio.sleep(max(self._asked_at + _PAUSE_S - time.monotonic(), 0))
        self._asked_at = time.monotonic()
        try:
            future = self._admin.describe_consumer_groups([_GROUP], request_timeout=5)[_GROUP]
            group = await asyncio.wrap_future(future)
        except KafkaException as error:
            log(__name__, "owners unknown", level=logging.WARNING, error=str(error))
            return
        urls: dict[int, str] = {}
        for member in group.members:
            url = member.client_id.partition("@")[2]
            for partition in member.assignment.topic_partitions if member.assignment else ():
                if partition.topic == topics.ORDER_COMMANDS:
                    urls[partition.partition] = url
        self._urls = urls
