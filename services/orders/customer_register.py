"""The one writer of `customers`: knows what stands there, and refuses a change that was made on an older version.

Whoever opens the register fences whoever had it before (they share a transactional id), and reads the topic after
that: so of two that are open at once only one can write, and what it checks against is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec.structs import replace

from services.orders import serde, topics
from services.orders.rules.customers import conflict
from services.orders.schemas import Customer
from services.orders.settings import Settings
from services.runtime.clients import insist, transactional_producer
from services.runtime.global_table import GlobalTable

_APPLICATION = "customers"
_CALL_S = 10
_AT_ONCE = 1000


class Stale(Exception):
    """The change was made on another version than the one that stands. Says which comes next."""


class CustomerRegister:
    """Used by one thread. Every method raises KafkaException; when it is fatal, somebody else has the register."""

    def __init__(self, settings: Settings) -> None:
        self._producer = transactional_producer(replace(settings, instance="register"), _APPLICATION)
        insist(lambda: self._producer.init_transactions(_CALL_S))
        table = GlobalTable(settings, topics.CUSTOMERS, _read)
        try:
            table.load()
            self._current = {key.decode(): customer for key, customer in table.values.items()}
        finally:
            table.close()

    @property
    def current(self) -> Mapping[str, Customer]:
        return self._current

    def write(self, updates: Sequence[Customer]) -> None:
        """All of them or, when one is stale, none. A failure of the log may come after some. Raises Stale."""
        current = dict(self._current)
        for update in updates:
            problem = conflict(update, current.get(update.id))
            if problem:
                raise Stale(f"customer {update.id}: {problem}")
            current[update.id] = update
        records = [(update.id, serde.encode(topics.CUSTOMERS, update)) for update in updates]
        for start in range(0, len(records), _AT_ONCE):
            self._commit(records[start : start + _AT_ONCE])
        self._current = current

    def forget(self, customer_id: str) -> bool:
        """Leave a tombstone: compaction removes what was written of the customer. False: there was none."""
        if customer_id not in self._current:
            return False
        self._commit([(customer_id, None)])
        del self._current[customer_id]
        return True

    def _commit(self, records: Sequence[tuple[str, bytes | None]]) -> None:
        self._producer.begin_transaction()
        try:
            for key, value in records:
                self._producer.produce(topics.CUSTOMERS, value, key.encode())
            insist(lambda: self._producer.commit_transaction(_CALL_S))
        except Exception:
            insist(lambda: self._producer.abort_transaction(_CALL_S))
            raise


def _read(data: bytes) -> Customer | None:
    try:
        return cast(Customer, serde.decode(topics.CUSTOMERS, data))
    except serde.Unreadable:
        return None
