"""A small HTTP client for thousands of requests at a time: one connection each, no thread."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_PIECE = 64 * 1024


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


async def request(method: str, url: str, body: bytes = b"", timeout_s: float = 60) -> Answer:
    """Raises OSError, TimeoutError, and ValueError when the answer is cut short."""
    parts = urlsplit(url)
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            data = await reader.read()
        finally:
            writer.close()
    return _parse(data)


async def send_without_end(method: str, url: str, most: int, timeout_s: float = 60) -> int:
    """How many bytes of a body are taken until the connection ends, or so many are."""
    parts = urlsplit(url)
    async with asyncio.timeout(timeout_s):
        _reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {2**40}\r\n\r\n"
        writer.write(head.encode())
        sent = 0
        try:
            while sent < most:
                writer.write(bytes(_PIECE))
                await writer.drain()
                sent += _PIECE
        except ConnectionError:
            pass
        finally:
            writer.close()
    return sent


def _parse(data: bytes) -> Answer:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("no answer")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(body) != int(headers.get("content-length", len(body))):
        raise ValueError("the answer was cut short")
    return Answer(int(status.split()[1]), headers, body)
