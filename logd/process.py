"""The broker as a process: its event loop, its signals, how the interpreter is tuned, and its exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from typing import TYPE_CHECKING, Final

from logd.announce import announce_ready
from logd.broker import Broker
from logd.console import warn
from storage.fs.real import RealFileSystem

if TYPE_CHECKING:
    from logd.config import BrokerConfig

#: A tenth of Python's default; shorter only slows the pool down.
_SWITCH_INTERVAL_S: Final = 0.0005


def run(config: BrokerConfig, *, started: float) -> int:
    """Serve until SIGTERM or SIGINT, or until it cannot go on; returns the exit code.

    `started`: time.perf_counter() at process start. Raises: StartupError.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    loop = _new_event_loop()
    try:
        return loop.run_until_complete(_serve(config, loop, started))
    finally:
        loop.close()


async def _serve(config: BrokerConfig, loop: asyncio.AbstractEventLoop, started: float) -> int:
    broker = Broker(config, loop, RealFileSystem())
    endpoints = await broker.start()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, broker.stopped.set)
    announce_ready(broker.config, endpoints, started=started)
    _tune_interpreter()
    await broker.stopped.wait()
    await broker.stop()
    if broker.failure:
        warn(broker.failure)
        return 1
    return 0


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - not to be had everywhere
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _tune_interpreter() -> None:
    """For the sake of the loop's thread.

    A pool thread that walks batches holds the interpreter for up to one switch interval while the loop waits for it.
    What is loaded stays for good, and the hot path makes no cycles: let the collector look rarely.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
