"""An HTTP client as shops have one: connections are kept and used again, one request at a time on each."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple, TypeAlias

_Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    status: int
    body: bytes


class KeptConnections:
    """As many connections as there are requests at once. Not for answers without Content-Length."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[_Connection]] = {}

    async def request(
        self, method: str, host: str, port: int, path: str, body: bytes = b"", timeout_s: float = 70
    ) -> Answer:
        """Raises OSError, TimeoutError. A request that meets a connection closed meanwhile is sent again, once."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
        data = head.encode() + body
        async with asyncio.timeout(timeout_s):
            kept = self._idle.setdefault((host, port), [])
            if kept:
                connection = kept.pop()
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    return await self._exchange(connection, kept, data)
            fresh = await asyncio.open_connection(host, port)
            try:
                return await self._exchange(fresh, kept, data)
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("the answer was cut short") from error

    async def close(self) -> None:
        for kept in self._idle.values():
            for _reader, writer in kept:
                writer.close()
        self._idle = {}

    @staticmethod
    async def _exchange(connection: _Connection, kept: list[_Connection], data: bytes) -> Answer:
        """Keeps the connection, unless the answer does not come whole: then nobody may have the rest of it."""
        reader, writer = connection
        try:
            writer.write(data)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            status = int(head.split(" ", 2)[1])
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        kept.append(connection)
        return Answer(status, body)
