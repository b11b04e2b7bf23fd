"""The latest state of orders in one SQLite file, with the positions in `orders` up to which it holds.

Rows and positions are written in one SQLite transaction, by one thread; another thread may read at the same time.
What it holds can always be read again from the topic, so nothing is synced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from services.orders.schemas import Order

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, partition INTEGER, customer TEXT, created_at INTEGER, value BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_customer ON orders (customer, created_at);
CREATE TABLE IF NOT EXISTS positions (partition INTEGER PRIMARY KEY, next_offset INTEGER);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT);
"""
_MOST = 1000


class Row(NamedTuple):
    partition: int
    order: Order
    value: bytes


class OrdersTable:
    def __init__(self, path: Path, identity: str) -> None:
        """A file made from another topic (`identity`, its id) is begun anew."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._open()
        self._writer.executescript(_SCHEMA)
        self._reader = self._open()
        found = self._writer.execute("SELECT value FROM about WHERE name = 'identity'").fetchone()
        if found != (identity,):
            self._writer.executescript("DELETE FROM orders; DELETE FROM positions;")
            self._writer.execute("INSERT OR REPLACE INTO about VALUES ('identity', ?)", (identity,))

    def positions(self) -> dict[int, int]:
        """Next offset to be read, by partition."""
        return dict(self._writer.execute("SELECT partition, next_offset FROM positions").fetchall())

    def apply(self, rows: Iterable[Row], positions: Mapping[int, int]) -> None:
        entries = [
            (row.order.id, row.partition, row.order.customer_id, row.order.created_at, row.value)
            for row in rows
        ]
        self._writer.execute("BEGIN")
        self._writer.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)", entries)
        self._writer.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions.items())
        self._writer.execute("COMMIT")

    def forget(self, partition: int) -> None:
        self._writer.execute("BEGIN")
        self._writer.execute("DELETE FROM orders WHERE partition = ?", (partition,))
        self._writer.execute("DELETE FROM positions WHERE partition = ?", (partition,))
        self._writer.execute("COMMIT")

    def get(self, order_id: str) -> bytes | None:
        row = self._reader.execute("SELECT value FROM orders WHERE id = ?", (order_id,)).fetchone()
        return None if row is None else row[0]

    def of_customer(self, customer: str | None, partitions: Iterable[int], limit: int) -> list[bytes]:
        """The latest first. None: of all customers."""
        held = list(partitions)
        marks = ", ".join("?" * len(held))
        where = "" if customer is None else "customer = ? AND "
        found = self._reader.execute(
            f"SELECT value FROM orders WHERE {where}partition IN ({marks})"
            " ORDER BY created_at DESC, id LIMIT ?",
            (*([] if customer is None else [customer]), *held, min(limit, _MOST)),
        )
        return [value for (value,) in found.fetchall()]

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        return connection
