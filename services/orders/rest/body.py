"""Reads the body of a request, which may be of any size, into memory, which may not."""

from __future__ import annotations

from fastapi import Request

_MOST = 64 * 1024  # far beyond any order or customer, far below what the log takes as one record
_READ_MOST = 1024 * 1024


class TooLarge(Exception):
    """Says how large it may be."""


async def read_body(request: Request) -> bytes:
    """Raises TooLarge, once all of it was read: a client that still sends would not see the answer.

    One that goes on beyond a megabyte is not waited for.
    """
    body = bytearray()
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= _MOST:
            body += part
        elif size > _READ_MOST:
            break
    if size > _MOST:
        raise TooLarge(f"a body may have {_MOST} bytes")
    return bytes(body)
