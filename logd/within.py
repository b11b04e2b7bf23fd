"""Waiting for something no longer than a client does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_under_way: set[asyncio.Future[Any]] = set()
"""What goes on although nobody waits for it any more; the event loop itself keeps no task alive."""


async def within(timeout_ms: int, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns, if that comes within `timeout_ms`. Work that takes longer goes on to its end.

    Raises: TimeoutError; and whatever `work` raises.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait((task,), timeout=max(timeout_ms, 0) / 1000)
    if task.done():
        try:
            return task.result()
        finally:
            del task  # what it raised would keep, by its traceback, this frame, and that the task
    _under_way.add(task)
    task.add_done_callback(_forget)
    raise TimeoutError


def _forget(task: asyncio.Future[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # seen, so that asyncio does not complain that nobody looked
