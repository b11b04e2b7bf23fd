"""Serves an application on a listener until it is time to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

_DRAIN_S = 2  # for requests that wait when the process is to stop


async def serve(
    application: Any,
    listener: socket.socket,
    stop: threading.Event,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Until `stop` is set. `on_stop`: before what still waits is given its last time."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_DRAIN_S,
        backlog=4096,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not stop.is_set() and not serving.done():
        await asyncio.sleep(0.05)
    on_stop()
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are ours."""
        yield
