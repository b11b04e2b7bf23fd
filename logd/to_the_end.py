"""Not leaving behind what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Awaitable[T]) -> T:
    """Return what `work` returns. Who is cancelled meanwhile is so once `work` has ended, and not before.

    Raises: whatever `work` raises, to who is cancelled, too.
    """
    future = asyncio.ensure_future(work)
    cancelled = False
    try:
        while not future.done():
            try:
                await asyncio.wait((future,))
            except asyncio.CancelledError:
                cancelled = True
        result = future.result()
        if cancelled:
            raise asyncio.CancelledError
        return result
    finally:
        del future  # what it raised would keep, by its traceback, this frame, and that the future
