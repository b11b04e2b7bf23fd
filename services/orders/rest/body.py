"""Reads the body of a request, which may be of any size, into memory, which may not."""

from __future__ import annotations

from fastapi import Request

_MOST = 64 * 1024  # far beyond any order or customer, far below what the log takes as one record


class TooLarge(Exception):
    """Says how large it may be."""


async def read_body(request: Request) -> bytes:
    """Raises TooLarge, once all of it was read: a client that still sends would not see the answer."""
    body = bytearray()
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= _MOST:
            body += part
    if size > _MOST:
        raise TooLarge(f"{size} bytes were sent, {_MOST} are taken")
    return bytes(body)
