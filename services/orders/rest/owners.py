"""Who has which partition: each instance says so in `orders-instances`, whenever that changes, and reads what the
others say.

A compacted topic of one partition, keyed by instance, so that all see the claims in one order. What it says may be
out of date: an instance that is asked in vain answers so (421), and the next best is asked. So the answer is a list,
the latest claim first, then everybody else, and a claim that came late costs a question, not an answer.
"""

from __future__ import annotations

import logging
from threading import Event
from typing import NamedTuple, cast

from confluent_kafka import TopicPartition

from services.orders import serde, topics
from services.orders.schemas import InstanceClaim
from services.orders.settings import Settings
from services.runtime.catch_up import ends_met
from services.runtime.clients import read_batch, reader
from services.runtime.logs import log


class _Claim(NamedTuple):
    offset: int
    url: str
    partitions: frozenset[int]


class Owners:
    """Read by the event loop, written by a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._claims: dict[str, _Claim] = {}  # by instance; replaced, never changed

    def candidates(self, partition: int) -> list[str]:
        """Where the partition may be served, the most likely first."""
        claims = sorted(self._claims.values(), key=lambda claim: claim.offset, reverse=True)
        likely = [claim.url for claim in claims if partition in claim.partitions]
        others = [claim.url for claim in claims if claim.url not in likely]
        return likely + others

    def urls(self) -> set[str]:
        return {claim.url for claim in self._claims.values()}

    def run(self, stop: Event) -> None:
        consumer = reader(self._settings, f"orders-owners-{self._settings.instance}")
        consumer.assign([TopicPartition(topics.ORDERS_INSTANCES, 0, 0)])
        while not stop.is_set():
            messages = read_batch(consumer, 100, 0.2)
            for _end in ends_met(messages):
                pass
            for message in messages:
                if message.error() is None:
                    self._take(message.offset() or 0, message.key(), message.value())
        consumer.close()

    def _take(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        try:
            name = serde.text_key(key)
            claim = cast(InstanceClaim, serde.decode(topics.ORDERS_INSTANCES, value))
        except serde.Unreadable as error:
            log(__name__, "not a claim", level=logging.WARNING, offset=offset, reason=str(error))
            return
        self._claims = self._claims | {name: _Claim(offset, claim.url, frozenset(claim.partitions))}
