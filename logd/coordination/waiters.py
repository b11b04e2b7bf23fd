"""Who waits for a coordinator's answer: a client's request, or a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from coordinator.shard import Waiter
    from logd.context import RequestContext
    from protocol.messages.message import Message

Refused: TypeAlias = Callable[[ErrorCode], "Message"]
"""Makes the response of an API that tells an error code."""


class PendingAnswer:
    """A client's request; no task and no future stands behind it."""

    __slots__ = ("_context", "_deferred", "_refused", "_response")

    def __init__(self, context: RequestContext, refused: Refused) -> None:
        self._context = context
        self._refused = refused
        self._response: Message | None = None
        self._deferred = False

    def taken(self) -> Message | None:
        """Return the answer if there is one already; from now on it goes to the client as it comes."""
        if self._response is None:
            self._deferred = True
            self._context.defer()
        return self._response

    def answer(self, response: Message) -> None:
        if not self._deferred:
            self._response = response
        elif not self._context.closed:
            try:
                self._context.reply(response)
            except Exception:
                self._context.fail()

    def refuse(self, code: ErrorCode) -> None:
        self.answer(self._refused(code))


class PendingResult:
    """A coroutine that awaits `result`."""

    __slots__ = ("result",)

    def __init__(self) -> None:
        self.result: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def answer(self, response: Message) -> None:
        if not self.result.done():
            self.result.set_result(response)

    def refuse(self, code: ErrorCode) -> None:
        if not self.result.done():
            self.result.set_exception(BrokerError(code))


class Returns:
    """The `coordinator.ports.Answers` of this node."""

    __slots__ = ()

    def answer(self, waiter: Waiter, response: Message) -> None:
        cast("PendingAnswer | PendingResult", waiter).answer(response)

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None:
        cast("PendingAnswer | PendingResult", waiter).refuse(code)
