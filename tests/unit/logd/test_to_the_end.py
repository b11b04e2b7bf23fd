"""What is under way is waited for, however often who waits is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from logd.to_the_end import to_the_end


async def work(gate: asyncio.Event, error: Exception | None = None) -> int:
    await gate.wait()
    if error is not None:
        raise error
    return 7


async def cancelled_twice(waiting: Coroutine[Any, Any, int], gate: asyncio.Event) -> asyncio.Task[int]:
    """The task that waits, once it has ended."""
    task = asyncio.ensure_future(waiting)
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    await asyncio.wait((task,))
    return task


def test_who_is_not_cancelled_has_what_the_work_returns_or_raises() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        gate.set()
        assert await to_the_end(work(gate)) == 7
        with pytest.raises(ZeroDivisionError):
            await to_the_end(work(gate, ZeroDivisionError()))

    asyncio.run(main())


def test_who_is_cancelled_waits_and_is_cancelled_then() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        assert (await cancelled_twice(to_the_end(work(gate)), gate)).cancelled()

    asyncio.run(main())


def test_a_failure_is_told_to_who_is_cancelled_too(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        task = await cancelled_twice(to_the_end(work(gate, ZeroDivisionError())), gate)
        assert isinstance(task.exception(), ZeroDivisionError)

    asyncio.run(main())
    assert not caplog.records


def test_work_that_is_cancelled_itself_ends_the_wait() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(work(asyncio.Event()))
        waiting = asyncio.ensure_future(to_the_end(task))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((waiting,))
        assert waiting.cancelled()

    asyncio.run(main())
