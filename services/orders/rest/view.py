"""The Orders View: follows `orders` in the partitions that this instance owns, into a local table.

One thread reads the topic and writes the table; the event loop reads the table. A partition is served once the view
has read what was in it when it was taken on. What was read stays in the file, also of partitions that were given up:
if they come back, reading goes on from there.

Rebuilding reads the topic from offset 0 into a second file while the first goes on serving, brings it to where the
first is, and puts it in its place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from confluent_kafka import Consumer, Message, TopicPartition

from services.orders import serde, topics
from services.orders.rest.orders_table import OrdersTable, Row
from services.orders.schemas import Order
from services.orders.settings import Settings
from services.runtime.catch_up import ends_met, log_ends, read_to
from services.runtime.clients import admin, read_batch, reader
from services.runtime.describe import topic_id
from services.runtime.logs import log

_WAIT_S = 0.05  # how soon partitions that come and go are seen
_FILES = ("view.sqlite", "view-rebuilt.sqlite")


class OrdersView:
    """`announce` is called in the view's thread with orders that the table has taken in."""

    def __init__(self, settings: Settings, announce: Callable[[list[Order]], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._wish = _Wish(frozenset())
        self._caught_up: tuple[_Wish, frozenset[int]] = (
            self._wish,
            frozenset(),
        )  # what of a wish is fulfilled
        self._ends: dict[int, int] = {}  # of partitions that are still being caught up with
        self._rebuild_asked = threading.Event()
        self.rebuilt = 0  # how often
        directory = Path(settings.state_dir) / f"orders-{settings.instance}"
        self._identity = topic_id(admin(settings), topics.ORDERS)
        self._paths = [directory / name for name in _FILES]
        self.table = OrdersTable(_newest(self._paths), self._identity)
        self._positions = self.table.positions()

    @property
    def serving(self) -> frozenset[int]:
        """Any thread."""
        wish, numbers = self._caught_up
        return numbers if wish is self._wish else frozenset()

    def want(self, partitions: frozenset[int]) -> None:
        """Serve these and no others. Any thread. From this call on nothing is served until it was caught up with anew,
        what is wanted again included: somebody else may have had it in between.
        """
        self._wish = _Wish(partitions)

    def ask_rebuild(self) -> None:
        self._rebuild_asked.set()

    def run(self, stop: Event) -> None:
        consumer = self._reader()
        assigned: frozenset[int] = frozenset()
        fulfilled: _Wish | None = None
        builder: _Builder | None = None
        while not stop.is_set():
            wish = self._wish
            if wish is not fulfilled:
                assigned = wish.partitions
                self._assign(consumer, assigned)
                fulfilled = wish
            self._take_in(read_batch(consumer, 1000, _WAIT_S) if assigned else _pause())
            self._caught_up = (wish, assigned - set(self._ends))
            if self._rebuild_asked.is_set() and builder is None:
                self._rebuild_asked.clear()
                builder = _Builder(self, assigned)
            if builder is not None and not builder.is_alive():
                self._switch(builder, assigned)
                builder = None
                fulfilled = None  # to be read on in the other table
        consumer.close()

    def _assign(self, consumer: Consumer, wanted: frozenset[int]) -> None:
        ends = log_ends(self._settings, topics.ORDERS, sorted(wanted))
        for number, end in ends.items():
            if self._positions.get(number, 0) > end:
                self.table.forget(number)
                del self._positions[number]
        self._ends = {number: end for number, end in ends.items() if self._positions.get(number, 0) < end}
        consumer.assign(
            [TopicPartition(topics.ORDERS, number, self._positions.get(number, 0)) for number in wanted]
        )
        log(__name__, "view partitions", numbers=sorted(wanted), behind=self._ends)

    def _take_in(self, messages: list[Message]) -> None:
        records = [message for message in messages if message.error() is None]
        if records:
            orders = store(self.table, records, self._positions)
            self._announce(orders)
        for number, offset in ends_met(messages):
            self._positions[number] = max(offset, self._positions.get(number, 0))
        reached = [number for number, end in self._ends.items() if self._positions.get(number, 0) >= end]
        for number in reached:
            del self._ends[number]

    def _switch(self, builder: _Builder, assigned: frozenset[int]) -> None:
        """Put the rebuilt table in place, once it is where the old one is."""
        if builder.error is not None:
            log(__name__, "rebuild failed", level=logging.ERROR, error=str(builder.error))
            return
        ends = {number: self._positions.get(number, 0) for number in assigned}
        positions = builder.positions
        read_into(self._reader(), builder.table, positions, ends)
        old, self.table, self._positions = self.table, builder.table, positions
        self.rebuilt += 1
        log(__name__, "view rebuilt", path=str(self.table.path), positions=positions)
        time.sleep(0.05)  # longer than any look into a table takes
        old.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{old.path}{suffix}").unlink(missing_ok=True)

    def _reader(self) -> Consumer:
        return reader(self._settings, f"orders-view-{self._settings.instance}")

    def start_table(self) -> OrdersTable:
        """An empty one, beside the one in use."""
        path = next(path for path in self._paths if path != self.table.path)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return OrdersTable(path, self._identity)

    def build(self, partitions: frozenset[int]) -> tuple[OrdersTable, dict[int, int]]:
        table = self.start_table()
        positions: dict[int, int] = {}
        ends = log_ends(self._settings, topics.ORDERS, sorted(partitions))
        read_into(self._reader(), table, positions, ends)
        return table, positions


class _Wish:
    """What is to be served, once. The same partitions wanted again are another wish."""

    def __init__(self, partitions: frozenset[int]) -> None:
        self.partitions = partitions


class _Builder(threading.Thread):
    """Reads everything anew, in the background."""

    def __init__(self, view: OrdersView, partitions: frozenset[int]) -> None:
        super().__init__(name="rebuild", daemon=True)
        self._view = view
        self._partitions = partitions
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.table, self.positions = self._view.build(self._partitions)
        except Exception as error:
            self.error = error


def read_into(
    consumer: Consumer, table: OrdersTable, positions: dict[int, int], ends: Mapping[int, int]
) -> None:
    """Bring the table from its positions to the ends. Closes the consumer."""

    def reached(number: int, end: int) -> None:
        positions[number] = max(end, positions.get(number, 0))
        table.apply((), {number: positions[number]})

    starts = {number: positions.get(number, 0) for number in ends}
    try:
        read_to(
            consumer,
            ends,
            starts,
            topics.ORDERS,
            lambda found: _ignore(store(table, found, positions)),
            reached,
        )
    finally:
        consumer.close()


def store(table: OrdersTable, records: list[Message], positions: dict[int, int]) -> list[Order]:
    """Into the table. Moves the positions on, and answers the orders."""
    rows: list[Row] = []
    for message in records:
        number, offset, value = message.partition(), message.offset(), message.value()
        assert number is not None and offset is not None
        positions[number] = offset + 1
        try:
            order: Order = serde.decode(topics.ORDERS, value)
        except serde.Unreadable as error:
            log(__name__, "not an order", level=logging.WARNING, offset=offset, reason=str(error))
            continue
        rows.append(Row(number, order, value))  # type: ignore[arg-type]
    moved = {message.partition() or 0: 0 for message in records}
    table.apply(rows, {number: positions[number] for number in moved})
    return [row.order for row in rows]


def _newest(paths: list[Path]) -> Path:
    """After a crash in the middle of a rebuild there are two. Either will do: each knows how far it has read."""
    return max(paths, key=lambda path: path.stat().st_mtime if path.exists() else 0)


def _pause() -> list[Message]:
    time.sleep(_WAIT_S)
    return []


def _ignore(_value: object) -> None:
    pass
