"""What the HTTP interface answers with."""

from __future__ import annotations

import msgspec
from fastapi import Response

JSON = "application/json"


def problem(status: int, reason: str) -> Response:
    return Response(msgspec.json.encode({"reason": reason}), status, media_type=JSON)


def stopping() -> Response:
    return problem(503, "this instance is about to stop; ask another")
