"""Orders Service: one instance of it. Writes orders (aggregator.py), shows them (rest/), both for its partitions.

Threads: the loop of the aggregator, the view's, and the event loop with the HTTP interface. If the aggregator
cannot go on, the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Protocol

import uvloop
from confluent_kafka import KafkaException

from services.orders import aggregator, topics
from services.orders.process import collect_rarely, listen, settings_for, stop_on_signals
from services.orders.rest.api import Api
from services.orders.rest.commands import CommandWriter
from services.orders.rest.direct import InternalFirst
from services.orders.rest.owners import Owners
from services.orders.rest.router import Router
from services.orders.rest.serving import serve
from services.orders.rest.view import OrdersView
from services.orders.rest.waiters import Waiters
from services.orders.schemas import Order
from services.orders.settings import Settings
from services.runtime.application import Application, CannotGoOn
from services.runtime.clients import admin
from services.runtime.describe import partition_count
from services.runtime.logs import log


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("orders", arguments)
    if settings is None:
        return 2
    stop = stop_on_signals()
    _raise_descriptor_limit()
    listener = listen(settings)
    if listener is None:
        return 1
    url = settings.advertised_url or f"http://{settings.http_host}:{listener.getsockname()[1]}"
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, stop, listener, url))
    except (CannotGoOn, KafkaException) as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return 1


async def _serve(settings: Settings, stop: threading.Event, listener: socket.socket, url: str) -> int:
    loop = asyncio.get_running_loop()
    waiters = Waiters()

    def announce(orders: list[Order]) -> None:
        loop.call_soon_threadsafe(waiters.announce, orders)

    view = OrdersView(settings, announce)

    partitions = partition_count(admin(settings), topics.ORDER_COMMANDS)
    commands = CommandWriter(settings, partitions)
    owners = Owners(settings)
    router = Router(view, waiters, owners, partitions, url)

    def on_owned(numbers: frozenset[int]) -> None:
        lost = view.serving - numbers
        view.want(numbers)
        commands.claim(settings.instance, url, numbers)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(waiters.moved, lost)

    application = Application(aggregator.build(settings), settings, url=url, on_owned=on_owned)
    api = Api(settings, view, waiters, router, commands, application.health)
    collect_rarely()
    workers = _Workers(stop, aggregator=application, view=view, owners=owners)
    log(__name__, "ready", url=url)
    try:
        await serve(InternalFirst(router, api.application()), listener, stop, router.stop)
    finally:
        stop.set()
        await router.close()
        await asyncio.to_thread(workers.join)
        commands.close()
    return workers.exit_code


class _Part(Protocol):
    def run(self, stop: threading.Event) -> None: ...


class _Workers:
    """The threads beside the event loop. One that fails stops everything."""

    def __init__(self, stop: threading.Event, **parts: _Part) -> None:
        self._stop = stop
        self.exit_code = 0
        self._threads = [
            threading.Thread(target=self._run, args=(part,), name=name, daemon=True)
            for name, part in parts.items()
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)

    def _run(self, part: _Part) -> None:
        try:
            part.run(self._stop)
        except Exception as error:
            self.exit_code = 1
            log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
            if not isinstance(error, CannotGoOn | KafkaException):
                raise
        finally:
            self._stop.set()


def _raise_descriptor_limit() -> None:
    """Each request that waits holds one, and one more if it waits at another instance."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
