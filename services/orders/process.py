"""A service as a process: settings, logs, health, signals, and an exit code.

    python -m services.orders.fraud bootstrap=127.0.0.1:9092 instance=1 state_dir=/tmp/orders

0: stopped by SIGTERM or SIGINT. 1: cannot go on; start it again. 2: the settings are wrong.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Event

from confluent_kafka import KafkaException

from services.orders.settings import Settings
from services.runtime import logs
from services.runtime.application import Application, CannotGoOn
from services.runtime.health import HealthServer, Page
from services.runtime.logs import log
from services.runtime.settings import BadSettings, load
from services.runtime.topology import Topology


def main(
    name: str,
    build: Callable[[Settings], Topology],
    arguments: Sequence[str],
    pages: Mapping[str, Page] | None = None,
) -> int:
    settings = settings_for(name, arguments)
    if settings is None:
        return 2
    stop = stop_on_signals()
    applications: list[Application] = []

    def health() -> tuple[bool, object]:
        return applications[0].health() if applications else (True, {"starting": True})

    try:
        server = HealthServer(settings.http_host, settings.http_port, health, pages or {})
    except OSError as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return 1
    collect_rarely()
    try:
        applications.append(Application(build(settings), settings, url=server.url))
        log(__name__, "ready", url=server.url)
        applications[0].run(stop)
        return 0
    except (CannotGoOn, KafkaException) as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return 1
    finally:
        server.close()


def collect_rarely() -> None:
    """What is loaded by now stays for good, and what a request or a batch leaves behind in cycles is little."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def listen(settings: Settings) -> socket.socket | None:
    """For HTTP. None, and a line in the log, when the address is not to be had."""
    try:
        return socket.create_server((settings.http_host, settings.http_port), backlog=4096)
    except OSError as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return None


def settings_for(name: str, arguments: Sequence[str]) -> Settings | None:
    """None, and a line on standard error, when they are wrong. Sets up logging."""
    try:
        settings = load(Settings, arguments)
        logs.set_up(settings.log_level, service=name, instance=settings.instance)
    except (BadSettings, ValueError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return None
    return settings


def stop_on_signals() -> Event:
    """Set by SIGTERM and SIGINT; a second one ends the process at once. SIGUSR1 writes where each thread is."""
    faulthandler.register(signal.SIGUSR1)
    stop = Event()

    def on_signal(_number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
