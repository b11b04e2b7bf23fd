"""A way to the broker on which some requests take long, and arrive although their sender has given up and gone.

Frames are told apart by their API key. A request that is held back holds up what is behind it on its connection, as a
slow network would, and nothing elsewhere: its sender can go on over another connection, and be overtaken later. Answers
may come late as well: then what was asked has long happened.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from protocol.errors import ErrorCode

END_TXN = 26
_FIRST_FLEXIBLE_VERSION = 3
Hold = Callable[[], float]
"""Draws how long the next one is held back, in seconds; 0 for not at all."""


class LateRequests:
    """Listens on a port of its own and passes everything on to one broker, EndTxn late."""

    def __init__(self, broker: tuple[str, int], hold: Hold, source: random.Random) -> None:
        self._broker = broker
        self._hold = hold
        self._random = source
        self._passing: set[asyncio.Task[None]] = set()
        self.port = 0
        self.held = 0
        self.late: Counter[ErrorCode] = Counter()
        """How requests were answered whose sender had gone before they reached the broker."""

    async def __aenter__(self) -> LateRequests:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        if error is not None:
            for task in self._passing:
                task.cancel()
        await self.settle()

    async def settle(self) -> None:
        """Wait until all that was held back has arrived and was answered, and no sender is left."""
        while self._passing:
            await asyncio.wait(set(self._passing))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            await _Way(self, reader, writer).run(self._broker)
        finally:
            self._passing.discard(task)
            writer.close()

    def draw(self) -> tuple[float, bool]:
        """How long to hold an EndTxn, and whether it is its answer instead."""
        seconds = self._hold()
        self.held += seconds > 0
        return seconds, self._random.random() < 0.25


class _Way:
    """One connection. Each request waits for its answer, so answers need no matching."""

    def __init__(
        self, proxy: LateRequests, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._gone = False

    async def run(self, broker: tuple[str, int]) -> None:
        upstream_reader, upstream = await asyncio.open_connection(*broker)
        frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        listening = asyncio.create_task(self._listen(frames))
        try:
            while (frame := await frames.get()) is not None:
                key, version = int.from_bytes(frame[4:6], "big"), int.from_bytes(frame[6:8], "big")
                seconds, answer_only = self._proxy.draw() if key == END_TXN else (0.0, False)
                if not answer_only:
                    await asyncio.sleep(seconds)
                late = self._gone
                upstream.write(frame)
                answer = await _read_frame(upstream_reader)
                assert answer is not None, "the broker has ended the connection"
                if answer_only:
                    await asyncio.sleep(seconds)
                if key == END_TXN and late:
                    self._proxy.late[_code(answer, version)] += 1
                with suppress(ConnectionError):
                    self._writer.write(answer)
                    await self._writer.drain()
        finally:
            listening.cancel()
            upstream.close()

    async def _listen(self, frames: asyncio.Queue[bytes | None]) -> None:
        """Take requests, and notice when their sender goes."""
        try:
            while (frame := await _read_frame(self._reader)) is not None:
                frames.put_nowait(frame)
        finally:
            self._gone = True
            frames.put_nowait(None)


async def _read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Return a frame with its length; None at the end."""
    try:
        length = await reader.readexactly(4)
        return length + await reader.readexactly(int.from_bytes(length, "big"))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _code(answer: bytes, version: int) -> ErrorCode:
    """The error of an EndTxn response: after length, correlation id, tags of the header and throttle time."""
    at = 12 + (version >= _FIRST_FLEXIBLE_VERSION)
    return ErrorCode(int.from_bytes(answer[at : at + 2], "big", signed=True))
