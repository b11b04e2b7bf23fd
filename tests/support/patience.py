"""How long tests wait for what comes at once where the machine is not busy, and how they ask again meanwhile.

What it is not: a bound on what a broker may take; nobody waits longer than that takes. A test that is to notice what
comes too late has it that nothing else can bring it about, such as a time-out that is longer than this patience, or
goes by the times that the log holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from confluent_kafka import KafkaException

from protocol.errors import BrokerError, ErrorCode

PATIENCE_S = 100
"""What takes longest is a JVM that starts where others keep the CPUs busy."""

_PAUSE_S = 0.05

COMES_AGAIN = frozenset(
    {
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)
"""In an answer of a coordinator: clients ask again."""

T = TypeVar("T")

MayComeAgain = Callable[[Exception], bool]
"""Whether the same call may succeed later."""


def insist(call: Callable[[], T], may_come_again: MayComeAgain, patience_s: float = PATIENCE_S) -> T:
    """Call until it succeeds; raise what may not pass by itself at once, and anything when patience is at its end."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return call()
        except Exception as failure:
            if not may_come_again(failure) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


async def insist_async(call: Callable[[], Awaitable[T]], may_come_again: MayComeAgain) -> T:
    """As `insist`, on an event loop."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await call()
        except Exception as failure:
            if not may_come_again(failure) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE_S)


def refused_with(*codes: ErrorCode) -> MayComeAgain:
    """For `logd.clients.client`: whether the broker refused with one of these."""
    return lambda failure: isinstance(failure, BrokerError) and failure.code in codes


def is_retriable(failure: Exception) -> bool:
    """Whether librdkafka says of its failure that its caller may do the same again."""
    if not isinstance(failure, KafkaException):
        return False
    error = failure.args[0]
    return bool(error.retriable()) and not error.txn_requires_abort()


async def until_settled(ask: Callable[[], Awaitable[T]], code_of: Callable[[T], ErrorCode]) -> T:
    """Ask until the answer is none of `COMES_AGAIN`; return it."""
    async with asyncio.timeout(PATIENCE_S):
        while code_of(answer := await ask()) in COMES_AGAIN:
            await asyncio.sleep(_PAUSE_S)
    return answer


def wait_until(
    condition: Callable[[], bool],
    explain: Callable[[], object] = lambda: "it did not come about in time",
    patience_s: float = PATIENCE_S,
) -> None:
    """Look again and again until the condition holds."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(_PAUSE_S)


async def wait_until_async(
    condition: Callable[[], Awaitable[bool]],
    explain: Callable[[], object] = lambda: "it did not come about in time",
) -> None:
    """As `wait_until`, on an event loop."""
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < deadline, explain()
        await asyncio.sleep(_PAUSE_S)
