"""The HTTP interface of the Orders Service.

A POST writes a command and waits until the order that has its id is in the view: if that is the order asked for, it
was accepted, now or before; if not, another order has the id. Which of two commands came first is decided by the log,
so it does not matter which instances they reached.

504 says that the outcome is not known yet, 503 that this instance is about to stop. Sending the same request again,
to any instance, is always safe.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from confluent_kafka import KafkaException
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import Gauge
from starlette.requests import ClientDisconnect

from services.orders import serde, topics
from services.orders.rest.answers import JSON, answer_nobody, metrics_page, problem, stopping, too_large
from services.orders.rest.body import TooLarge, read_body
from services.orders.rest.commands import CommandWriter
from services.orders.rest.direct import DirectRoute
from services.orders.rest.router import TIMEOUT_MOST_MS, Router, Stopping, Until
from services.orders.rest.view import OrdersView
from services.orders.rest.waiters import Waiters
from services.orders.rules.lifecycle import is_same_request
from services.orders.schemas import CreateOrder, Order, OrderRequest, OrderState, ShipOrder
from services.orders.settings import Settings

_Responses: TypeAlias = dict[int | str, dict[str, Any]]
_LIMIT_MOST = 1000
_WAITING = Gauge("orders_waiting_requests", "Blocking GETs that wait")


class Api:
    """What the routes work with."""

    def __init__(
        self,
        settings: Settings,
        view: OrdersView,
        waiters: Waiters,
        router: Router,
        commands: CommandWriter,
        health: Callable[[], tuple[bool, object]],
    ) -> None:
        self._settings = settings
        self._view = view
        self._router = router
        self._commands = commands
        self._health = health
        _WAITING.set_function(lambda: len(waiters))

    def application(self) -> FastAPI:
        app = FastAPI(
            title="Orders Service",
            description="Submit orders, and read them back: a GET waits until what it asks for is there.",
        )
        app.add_exception_handler(ClientDisconnect, answer_nobody)
        body = _schema(OrderRequest)
        order: _Responses = {200: _described("The order", Order)}
        late: _Responses = {504: {"description": "Not there in time"}}
        extra = {"requestBody": {"required": True, "content": {JSON: {"schema": body}}}}
        created: _Responses = {
            201: {"description": "Accepted, now or by an earlier request with the same body"},
            400: {"description": "Not an order"},
            409: {"description": "Another order has this id"},
            413: {"description": "Too large for an order"},
            504: {"description": "Outcome not known yet: send it again"},
        }
        app.get("/orders", responses=late)(self.scan)
        app.router.route_class = DirectRoute
        app.post("/orders", status_code=201, responses=created, openapi_extra=extra)(self.post)
        app.get("/orders/validated/{order_id}", responses=order | late)(self.get_validated)
        app.get("/orders/{order_id}", responses=order | late)(self.get)
        app.router.route_class = APIRoute
        shipped = order | late | {409: {"description": "The order is not confirmed"}}
        app.post("/orders/{order_id}/shipment", responses=shipped)(self.ship)
        app.post("/view/rebuild", status_code=202)(self.rebuild)
        app.get("/health")(self.health)
        app.get("/metrics")(metrics_page)
        app.get("/internal/orders", include_in_schema=False)(self.scan_here)
        return app

    async def post(self, request: Request, timeout: int | None = None) -> Response:
        try:
            wanted = serde.decode_request(await read_body(request))
        except serde.Unreadable as error:
            return problem(400, str(error))
        except TooLarge as error:
            return too_large(str(error))
        try:
            async with asyncio.timeout(self._seconds(timeout)):
                await self._commands.write(CreateOrder(int(time.time() * 1000), wanted))
                value = await self._router.get(wanted.id, Until.EXISTS, self._seconds(timeout))
        except (TimeoutError, KafkaException):
            return problem(504, "the outcome is not known yet; send the request again")
        except Stopping:
            return stopping()
        if not is_same_request(wanted, serde.decode(topics.ORDERS, value)):
            return problem(409, "another order has this id")
        return Response(value, 201, {"Location": f"/orders/{wanted.id}"}, JSON)

    async def get(self, order_id: str, timeout: int | None = None) -> Response:
        """Waits until the order is there."""
        return await self._get(order_id, Until.EXISTS, timeout)

    async def get_validated(self, order_id: str, timeout: int | None = None) -> Response:
        """Waits until the order is VALIDATED or FAILED, or beyond."""
        return await self._get(order_id, Until.DECIDED, timeout)

    async def scan(
        self, customer: str | None = None, limit: int = 100, timeout: int | None = None
    ) -> Response:
        """The latest orders first."""
        if not 1 <= limit <= _LIMIT_MOST:
            return problem(400, f"limit is from 1 to {_LIMIT_MOST}")
        try:
            found = await self._router.scan(customer, limit, self._seconds(timeout))
        except TimeoutError:
            return problem(504, "some partitions have no owner now")
        except Stopping:
            return stopping()
        return Response(b"[" + b",".join(found) + b"]", media_type=JSON)

    async def ship(self, order_id: str, timeout: int | None = None) -> Response:
        """The goods have left: a confirmed order is completed."""
        try:
            async with asyncio.timeout(self._seconds(timeout)):
                value = await self._router.get(order_id, Until.EXISTS, self._seconds(timeout))
                state = serde.decode(topics.ORDERS, value).state
                if state not in (OrderState.CONFIRMED, OrderState.COMPLETED):
                    return problem(409, f"the order is {state.value}")
                if state is OrderState.CONFIRMED:
                    await self._commands.write(ShipOrder(order_id, int(time.time() * 1000)))
                    value = await self._router.get(order_id, Until.COMPLETED, self._seconds(timeout))
        except (TimeoutError, KafkaException):
            return problem(504, "the outcome is not known yet; send the request again")
        except Stopping:
            return stopping()
        return Response(value, media_type=JSON)

    async def rebuild(self) -> Response:
        """Read the view of this instance anew, from offset 0, beside the one in use."""
        self._view.ask_rebuild()
        return Response(status_code=202)

    async def health(self) -> Response:
        well, details = self._health()
        return Response(msgspec.json.encode(details), 200 if well else 503, media_type=JSON)

    async def scan_here(self, limit: int, customer: str | None = None) -> Response:
        """For other instances: a line with the partitions served, then an order a line."""
        serving = self._view.serving
        found = self._view.table.of_customer(customer, serving, limit)
        return Response(b"\n".join([" ".join(map(str, sorted(serving))).encode(), *found]))

    async def _get(self, order_id: str, until: Until, timeout: int | None) -> Response:
        try:
            value = await self._router.get(order_id, until, self._seconds(timeout))
        except TimeoutError:
            return problem(504, f"order {order_id} is not there in time")
        except Stopping:
            return stopping()
        return Response(value, media_type=JSON)

    def _seconds(self, timeout_ms: int | None) -> float:
        chosen = self._settings.get_timeout_ms if timeout_ms is None else timeout_ms
        return min(max(chosen, 0), TIMEOUT_MOST_MS) / 1000


def _described(text: str, kind: type) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": _schema(kind)}}}


def _schema(kind: type) -> dict[str, Any]:
    """In one piece: nothing that it refers to lies elsewhere. Money is written as a number."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    name = schema["$ref"]
    inlined: dict[str, Any] = _inlined(parts[name], parts)
    return inlined


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"]], parts)
    if schema.get("format") == "decimal":
        return {"type": "number", "multipleOf": 0.01}
    return {key: _inlined(value, parts) for key, value in schema.items()}
