"""Asking a coordinator what it has: one that still loads is waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from logd.clients.cluster_client import RETRY_PAUSE_S, broker_error
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Answer(Protocol):
    error_code: int


A = TypeVar("A", bound=Answer)


async def ask_when_loaded(ask: Callable[[], Awaitable[A]], timeout_s: float) -> A:
    """The answer of a coordinator that has loaded. Raises: BrokerError, that of one which still loads included."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        response = await ask()
        if response.error_code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS or loop.time() >= deadline:
            break
        await asyncio.sleep(RETRY_PAUSE_S)
    if response.error_code != ErrorCode.NONE:
        raise broker_error(response.error_code, None)
    return response
