"""Customers Service: the register of customers over HTTP. `python -m services.orders.customers [name=value …]`

    PUT /customers/{id}      the whole customer, with the version that comes next: 409 if somebody else was first
    GET /customers/{id}      as it stands
    DELETE /customers/{id}   forgotten: the log keeps nothing of the customer once it has been compacted

One instance. A second one takes over: the first answers what stands, whoever wrote it, and ends when it is to write.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from confluent_kafka import KafkaException
from fastapi import FastAPI, Request, Response
from prometheus_client import Gauge
from starlette.requests import ClientDisconnect

from services.orders import serde, topics
from services.orders.atomic_write import NotWritten
from services.orders.customer_register import CustomerRegister, Stale
from services.orders.process import collect_rarely, listen, settings_for, stop_on_signals
from services.orders.rest.answers import JSON, answer_nobody, metrics_page, problem, too_large
from services.orders.rest.body import TooLarge, read_body
from services.orders.rest.serving import serve
from services.orders.schemas import Customer
from services.runtime.logs import log

_CUSTOMERS = Gauge("orders_customers", "Customers in the register, as of its last question to the log")
_WAITING = Gauge("orders_customers_waiting_requests", "Requests that wait for the register")


class CustomersApi:
    """All work on the register is done by one thread beside the event loop. If the log fails, the process is to end."""

    def __init__(self, register: CustomerRegister, patience_s: float, on_failure: Callable[[], None]) -> None:
        """`patience_s`: how long a request waits for the register. `on_failure` is called by the register's thread."""
        self._register = register
        self._patience_s = patience_s
        self._on_failure = on_failure
        self._thread = ThreadPoolExecutor(1)
        _CUSTOMERS.set_function(lambda: len(register))

    def application(self) -> FastAPI:
        app = FastAPI(title="Customers Service", description="Changes name the version that comes next.")
        app.add_exception_handler(ClientDisconnect, answer_nobody)
        app.put("/customers/{customer_id}")(self.put)
        app.get("/customers/{customer_id}")(self.get)
        app.delete("/customers/{customer_id}", status_code=204)(self.delete)
        app.get("/health")(self.health)
        app.get("/metrics")(metrics_page)
        return app

    async def put(self, customer_id: str, request: Request) -> Response:
        """201 for the first version, 200 for a later one, 409 when another version comes next."""
        try:
            customer: Customer = serde.decode(topics.CUSTOMERS, await read_body(request))
        except TooLarge as error:
            return too_large(str(error))
        except serde.Unreadable as error:
            return problem(400, str(error))
        if customer.id != customer_id:
            return problem(400, "the id is not that of the path")

        def write() -> Response:
            self._register.write([customer])
            status = 201 if customer.version == 1 else 200
            return Response(msgspec.json.encode(customer), status, media_type=JSON)

        return await self._answer(write)

    async def get(self, customer_id: str) -> Response:
        """As it stands in the log."""

        def look() -> Response:
            customer = self._register.get(customer_id)
            if customer is None:
                return problem(404, "no such customer")
            return Response(msgspec.json.encode(customer), media_type=JSON)

        return await self._answer(look)

    async def delete(self, customer_id: str) -> Response:
        """Whatever the version: a right of the customer's."""

        def forget() -> Response:
            known = self._register.forget(customer_id)
            return Response(status_code=204) if known else problem(404, "no such customer")

        return await self._answer(forget)

    async def health(self) -> dict[str, int]:
        return {"customers": len(self._register)}

    async def _answer(self, work: Callable[[], Response]) -> Response:
        with _WAITING.track_inprogress():
            try:
                async with asyncio.timeout(self._patience_s):
                    return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, work)
            except Stale as error:
                return problem(409, str(error))
            except NotWritten:
                return problem(503, "nothing was changed; try again")
            except (KafkaException, TimeoutError, asyncio.CancelledError):
                # Cancelled: the process is to stop, and the time to drain is over. Left alone this would be a 500.
                pass
            return problem(504, "the outcome is not known; look, then try again")

    def _done(self, work: Callable[[], Response]) -> Response:
        """In the register's thread, where a failure is heard of also when nobody waits for the answer any more."""
        try:
            return work()
        except KafkaException as error:
            log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
            self._on_failure()
            raise


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("customers", arguments)
    if settings is None:
        return 2
    stop = stop_on_signals()
    failed = threading.Event()

    def on_failure() -> None:
        failed.set()
        stop.set()

    listener = listen(settings)
    if listener is None:
        return 1
    try:
        register = CustomerRegister(settings)
    except KafkaException as error:
        log(__name__, "cannot go on", level=logging.ERROR, error=str(error))
        return 1
    collect_rarely()
    log(__name__, "ready", url=f"http://{settings.http_host}:{listener.getsockname()[1]}")
    api = CustomersApi(register, settings.get_timeout_ms / 1000, on_failure)
    asyncio.run(serve(api.application(), listener, stop))
    return 1 if failed.is_set() else 0


if __name__ == "__main__":
    # Not sys.exit: that waits for the register's thread, which may insist on a commit for a minute while the broker is
    # away. What it leaves open is ended by whoever opens the register next.
    os._exit(main(sys.argv[1:]))
