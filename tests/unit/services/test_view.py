"""Goal: a partition is served only once it was caught up with, each time that it comes. Method: the view between a log
that the test writes and a thread that it steps.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from services.orders.rest import view as view_module
from services.orders.rest.view import OrdersView
from services.orders.settings import Settings

P0 = frozenset({0})


class Log:
    """Of one partition, empty but for its end. Each reading waits for its turn and brings nothing."""

    def __init__(self) -> None:
        self.end = 0
        self.turns: queue.Queue[None] = queue.Queue()
        self.read = Event()

    def ends(self, _settings: Settings, _topic: str, numbers: list[int]) -> dict[int, int]:
        return dict.fromkeys(numbers, self.end)

    def nothing(self, *_arguments: Any) -> list[Any]:
        self.read.set()
        self.turns.get(timeout=30)
        return []

    def turn(self) -> None:
        """What was being read has come, and the next is being read."""
        self.read.clear()
        self.turns.put(None)
        assert self.read.wait(30)


class Reader:
    def assign(self, _partitions: object) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(view_module, "admin", lambda _settings: None)
    monkeypatch.setattr(view_module, "topic_id", lambda _client, _topic: "topic")
    monkeypatch.setattr(view_module, "reader", lambda *_arguments: Reader())
    monkeypatch.setattr(view_module, "log_ends", log.ends)
    monkeypatch.setattr(view_module, "read_batch", log.nothing)
    monkeypatch.setattr(view_module, "_pause", log.nothing)
    return log


@pytest.fixture
def view(log: Log, tmp_path: Path) -> Iterator[OrdersView]:
    view = OrdersView(Settings(state_dir=str(tmp_path)), lambda _orders: None)
    stop = Event()
    thread = Thread(target=view.run, args=(stop,))
    thread.start()
    assert log.read.wait(30)
    yield view
    stop.set()
    log.turns.put(None)
    thread.join()
    view.table.close()


def test_what_is_given_up_is_not_served(log: Log, view: OrdersView) -> None:
    view.want(P0)
    assert view.serving == frozenset()
    log.turn()
    log.turn()
    assert view.serving == P0
    view.want(frozenset())
    assert view.serving == frozenset()
    log.turn()
    assert view.serving == frozenset()


def test_what_comes_back_at_once_is_caught_up_with(log: Log, view: OrdersView) -> None:
    """Before the view has seen that it was gone. Another instance had it, and has written."""
    view.want(P0)
    log.turn()
    log.turn()
    log.end = 5
    view.want(frozenset())
    view.want(P0)
    for _ in range(3):
        assert view.serving == frozenset()
        log.turn()
