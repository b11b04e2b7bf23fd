"""One request's circumstances: header fields, the client it came from, and how to answer it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Final

from protocol.codec import encode

if TYPE_CHECKING:
    from logd.connection import Connection
    from protocol.connection import Chunk, ResponseSlot
    from protocol.messages.message import Message

log = logging.getLogger("logd.dispatch")

_HEADER_V0: Final = Struct(">ii")
_HEADER_V1: Final = Struct(">iib")


class RequestContext:
    """Header of the request and the way back; made by the dispatcher for every request.

    A handler that cannot answer at once calls `defer` before it returns, and `reply` later, once.
    """

    __slots__ = ("_flexible", "_slot", "api_key", "client_id", "connection", "correlation_id", "version")

    def __init__(
        self,
        connection: Connection,
        api_key: int,
        version: int,
        correlation_id: int,
        client_id: str | None,
        flexible: bool,
    ) -> None:
        self.connection = connection
        self.api_key = api_key
        self.version = version
        self.correlation_id = correlation_id
        self.client_id = client_id
        #: The response header carries a tag buffer (header v1).
        self._flexible = flexible
        self._slot: ResponseSlot | None = None

    @property
    def listener(self) -> str:
        """Name of the listener that the client is connected to."""
        return self.connection.listener

    @property
    def peer(self) -> str:
        """The client's host."""
        return self.connection.peer

    @property
    def closed(self) -> bool:
        """Nobody waits for the answer any more."""
        return self.connection.closed

    def defer(self) -> None:
        """Keep this request's place in the order of responses; again when that is done has no effect."""
        if self._slot is None:
            self._slot = self.connection.responses.reserve()

    def reply(self, response: Message, version: int | None = None) -> None:
        """Answer the request, in another layout than the request's when `version` is given."""
        chunks = self._framed(encode(response, self.version if version is None else version))
        if self._slot is None:
            self.connection.responses.send(chunks)
        else:
            self.connection.respond(self._slot, chunks)

    def reply_framed(self, chunks: Sequence[Chunk]) -> None:
        """Answer a request that was deferred with a response that is written already, size and header included."""
        assert self._slot is not None
        self.connection.respond(self._slot, chunks)

    def leave_unanswered(self) -> None:
        """Give up the place that `defer` kept: nothing is to be sent."""
        self.reply_framed(())

    def fail(self) -> None:
        """A bug, the exception under way, met the request after its handler returned: part from the client."""
        log.exception(
            "request failed api_key=%d version=%d client_id=%s peer=%s",
            self.api_key,
            self.version,
            self.client_id,
            self.peer,
        )
        self.connection.abort()

    def _framed(self, body: Sequence[Chunk]) -> Sequence[Chunk]:
        size = 4
        for chunk in body:
            size += len(chunk)
        if self._flexible:
            header = _HEADER_V1.pack(size + 1, self.correlation_id, 0)
        else:
            header = _HEADER_V0.pack(size, self.correlation_id)
        return [header + body[0], *body[1:]]
