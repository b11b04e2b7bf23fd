"""What the HTTP interface answers with."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

JSON = "application/json"


def problem(status: int, reason: str) -> Response:
    return Response(msgspec.json.encode({"reason": reason}), status, media_type=JSON)


def stopping() -> Response:
    return problem(503, "this instance is about to stop; ask another")


async def answer_nobody(_request: Request, _error: Exception) -> Response:
    """The client went away in the middle of its request: no error of ours."""
    return Response(status_code=400)


async def metrics_page() -> Response:
    """For Prometheus."""
    return Response(await asyncio.to_thread(generate_latest), media_type=CONTENT_TYPE_LATEST)
