"""Short ways to the endpoints that are asked most: those of an order, from outside and from other instances.

FastAPI's injection of parameters costs three times what is left of a request without it. A DirectRoute is described
in the interface like any other, from its endpoint's signature, and reads the few parameters itself. What instances
ask of each other is not described, and does not pass through FastAPI at all.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from services.orders.rest.answers import JSON, problem, stopping
from services.orders.rest.router import TIMEOUT_MOST_MS, NotOwner, Router, Until

_INTERNAL = "/internal/orders/"


class DirectRoute(APIRoute):
    """For endpoints that take what the path names, `timeout`, and `request` if they want it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint
        wants_request = "request" in inspect.signature(endpoint).parameters

        async def handle(request: Request) -> Response:
            try:
                timeout = _milliseconds(request.query_params.get("timeout"))
            except ValueError:
                return problem(400, "timeout is a number of milliseconds")
            more = {"request": request} if wants_request else {}
            response: Response = await endpoint(timeout=timeout, **request.path_params, **more)
            return response

        return handle


class InternalFirst:
    """The application as uvicorn sees it: other instances' questions for an order are answered before FastAPI."""

    def __init__(self, router: Router, application: FastAPI) -> None:
        self._router = router
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http" or not self._router.is_stopping:
                raise
            # Its time to drain is over, and nothing was sent yet. Left alone this would be a 500.
            await stopping()(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_INTERNAL):
            response = await self._get_here(scope)
            await response(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _get_here(self, scope: Scope) -> Response:
        """421 when this is not the owner."""
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        order_id = scope["path"][len(_INTERNAL) :]
        try:
            until, timeout_ms = Until(asked["until"]), int(asked["timeout"])
        except (KeyError, ValueError):
            return problem(400, "until and timeout are needed")
        try:
            value = await self._router.get_here(order_id, until, min(timeout_ms, TIMEOUT_MOST_MS) / 1000)
        except NotOwner:
            return problem(421, "not the owner")
        except TimeoutError:
            return problem(504, "not there in time")
        return Response(value, media_type=JSON)


def _milliseconds(text: str | None) -> int | None:
    """Raises ValueError."""
    return None if text is None else int(text)
