"""The one writer of `customers`: knows what stands there, and refuses a change that was made on an older version.

Whoever opens the register fences whoever had it before (they share a transactional id): of two that are open at once
only one can write. What stands there is read from the topic, to its end, before each answer. So an answer holds
whatever anybody wrote before it was asked for, also one of a register that was taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from services.orders import serde, topics
from services.orders.atomic_write import write_atomically
from services.orders.rules.customers import conflict
from services.orders.schemas import Customer
from services.orders.settings import Settings
from services.runtime.clients import insist, transactional_producer
from services.runtime.global_table import GlobalTable

_APPLICATION = "customers"
_CALL_S = 10
_AT_ONCE = 1000
# The end of the topic is met by a fetch that brings nothing; what waits for it is a request.
_FETCH_WAIT_MS = 5


class Stale(Exception):
    """The change was made on another version than the one that stands. Says which comes next."""


class CustomerRegister:
    """Used by one thread. Every method raises KafkaException; it cannot be used after that: open it anew."""

    def __init__(self, settings: Settings) -> None:
        self._producer = transactional_producer(replace(settings, instance="register"), _APPLICATION)
        insist(lambda: self._producer.init_transactions(_CALL_S))
        self._table = GlobalTable(settings, topics.CUSTOMERS, _read, **{"fetch.wait.max.ms": _FETCH_WAIT_MS})
        self._table.load()

    def __len__(self) -> int:
        """As of the last question. Any thread."""
        return len(self._table.values)

    def get(self, customer_id: str) -> Customer | None:
        self._table.catch_up()
        return self._table.values.get(customer_id.encode())

    def write(self, updates: Sequence[Customer]) -> None:
        """All of them or, when one is stale, none. A failure of the log may come after some of them.

        Raises Stale, and NotWritten as of those that were tried last.
        """
        self._table.catch_up()
        current = dict(self._table.values)
        for update in updates:
            problem = conflict(update, current.get(update.id.encode()))
            if problem:
                raise Stale(f"customer {update.id}: {problem}")
            current[update.id.encode()] = update
        records = [(update.id.encode(), serde.encode(topics.CUSTOMERS, update)) for update in updates]
        for start in range(0, len(records), _AT_ONCE):
            write_atomically(self._producer, topics.CUSTOMERS, records[start : start + _AT_ONCE])

    def forget(self, customer_id: str) -> bool:
        """Leave a tombstone: compaction removes what was written of the customer. False: there was none.

        Raises NotWritten.
        """
        if self.get(customer_id) is None:
            return False
        write_atomically(self._producer, topics.CUSTOMERS, [(customer_id.encode(), None)])
        return True

    def close(self) -> None:
        self._table.close()


def _read(data: bytes) -> Customer | None:
    try:
        return cast(Customer, serde.decode(topics.CUSTOMERS, data))
    except serde.Unreadable:
        return None
