"""Customers Service: the register of customers over HTTP. `python -m services.orders.customers [name=value …]`

    PUT /customers/{id}      the whole customer, with the version that comes next: 409 if somebody else was first
    GET /customers/{id}      as it stands
    DELETE /customers/{id}   forgotten: the log keeps nothing of the customer once it has been compacted

One instance. A second one takes over: the first is refused from then on, and ends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from confluent_kafka import KafkaException
from fastapi import FastAPI, Request, Response

from services.orders import serde, topics
from services.orders.customer_register import CustomerRegister, Stale
from services.orders.process import collect_rarely, settings_for, stop_on_signals
from services.orders.rest.answers import JSON, problem
from services.orders.rest.serving import serve
from services.orders.schemas import Customer
from services.runtime.logs import log

T = TypeVar("T")


class CustomersApi:
    """All work on the register is done by one thread beside the event loop. If the log fails, the process is to end."""

    def __init__(self, register: CustomerRegister, on_failure: Callable[[], None]) -> None:
        self._register = register
        self._on_failure = on_failure
        self._thread = ThreadPoolExecutor(1)

    def application(self) -> FastAPI:
        app = FastAPI(title="Customers Service", description="Changes name the version that comes next.")
        app.put("/customers/{customer_id}")(self.put)
        app.get("/customers/{customer_id}")(self.get)
        app.delete("/customers/{customer_id}", status_code=204)(self.delete)
        app.get("/health")(self.health)
        return app

    async def put(self, customer_id: str, request: Request) -> Response:
        """201 for the first version, 200 for a later one, 409 when another version comes next."""
        try:
            customer: Customer = serde.decode(topics.CUSTOMERS, await request.body())
        except serde.Unreadable as error:
            return problem(400, str(error))
        if customer.id != customer_id:
            return problem(400, "the id is not that of the path")
        try:
            await self._do(lambda: self._register.write([customer]))
        except Stale as error:
            return problem(409, str(error))
        except KafkaException as error:
            return self._failed(error)
        return Response(msgspec.json.encode(customer), 201 if customer.version == 1 else 200, media_type=JSON)

    async def get(self, customer_id: str) -> Response:
        customer = self._register.current.get(customer_id)
        if customer is None:
            return problem(404, "no such customer")
        return Response(msgspec.json.encode(customer), media_type=JSON)

    async def delete(self, customer_id: str) -> Response:
        """Whatever the version: a right of the customer's."""
        try:
            known = await self._do(lambda: self._register.forget(customer_id))
        except KafkaException as error:
            return self._failed(error)
        return Response(status_code=204) if known else problem(404, "no such customer")

    async def health(self) -> dict[str, int]:
        return {"customers": len(self._register.current)}

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _failed(self, error: KafkaException) -> Response:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        self._on_failure()
        return problem(504, "the outcome is not known; look, then try again")


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("customers", arguments)
    if settings is None:
        return 2
    stop = stop_on_signals()
    failed = threading.Event()

    def on_failure() -> None:
        failed.set()
        stop.set()

    listener = socket.create_server((settings.http_host, settings.http_port))
    try:
        register = CustomerRegister(settings)
    except KafkaException as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return 1
    collect_rarely()
    log(__name__, "ready", url=f"http://{settings.http_host}:{listener.getsockname()[1]}")
    asyncio.run(serve(CustomersApi(register, on_failure).application(), listener, stop))
    return 1 if failed.is_set() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
