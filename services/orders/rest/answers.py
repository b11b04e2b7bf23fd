"""What the HTTP interface answers with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

JSON = "application/json"


def problem(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode({"reason": reason}), status, headers, JSON)


def stopping() -> Response:
    return problem(503, "this instance is about to stop; ask another")


def too_large(reason: str) -> Response:
    """The connection ends with it: what the client still sends would have to be read first."""
    return problem(413, reason, {"Connection": "close"})


async def answer_nobody(_request: Request, _error: Exception) -> Response:
    """The client went away in the middle of its request: no error of ours."""
    return Response(status_code=400)


async def metrics_page() -> Response:
    """For Prometheus."""
    return Response(await asyncio.to_thread(generate_latest), media_type=CONTENT_TYPE_LATEST)
