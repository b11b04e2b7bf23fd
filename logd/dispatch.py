"""From a request frame to the handler of its API, and from its answer back to the connection.

Handlers live in `logd/handlers/<api>.py` and are imported at their API's first request, so that start-up does not pay
for them. What they are handed as the broker is not looked into here. A request like the last one may have a shorter way
(`logd.short_way`). An unknown API, or a version that is not served, ends the connection: no layout
exists to answer in. The one exception is ApiVersions, which tells the client what would have been served (KIP-511).
Bytes behind the body of a request are passed over, as in Kafka.

An exception that is not a refusal is a bug: it is logged with its trace, the request fails with
UNKNOWN_SERVER_ERROR where the response has a place for that, and the connection ends.
"""

from __future__ import annotations

import logging
import struct
from asyncio import Task
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from logd.context import RequestContext
from logd.short_way import SHAPES_LEARNED_MAX, Learn
from protocol.api import API_VERSIONS, APIS, SERVED_APIS, ApiSpec, first_flexible_answer, message_types
from protocol.codec import reader_for
from protocol.errors import ErrorCode, ProtocolViolation
from protocol.messages.api_versions import ApiVersionsResponse
from protocol.messages.message import Message
from protocol.primitives import skip_tagged_fields

if TYPE_CHECKING:
    from logd.connection import Connection
    from logd.node import Node

log = logging.getLogger("logd.dispatch")

_HEADER: Final = struct.Struct(">hhih")

Handler = Callable[[Any, Any, RequestContext], "Message | Awaitable[Message | None] | None"]
"""Takes the broker, the request and its circumstances."""


class _Route:
    """An API that is served: its handler and the ranges that decide about a request."""

    __slots__ = (
        "first_flexible",
        "first_flexible_answer",
        "handle",
        "learn",
        "max_version",
        "min_version",
        "name",
        "request_type",
        "response_type",
    )

    def __init__(self, spec: ApiSpec) -> None:
        module = import_module(f"logd.handlers.{spec.module}")
        self.handle: Handler = module.handle
        self.learn: Learn | None = getattr(module, "learn", None)
        self.name = spec.name
        self.request_type, self.response_type = message_types(spec)
        self.min_version = spec.min_version
        self.max_version = spec.max_version
        self.first_flexible = spec.first_flexible
        self.first_flexible_answer = first_flexible_answer(spec.key, spec.first_flexible)

    def has_error_code(self, version: int) -> bool:
        """Whether the response as a whole can say that it failed. Without, it would look like an empty success."""
        return any(
            name == "error_code" and first <= version <= last
            for name, _, (first, last), *_ in self.response_type.FIELDS
        )


class Dispatcher:
    """Calls the handler of each request; one for all connections of a node."""

    def __init__(self, broker: Node) -> None:
        self._broker = broker
        self._routes: dict[int, _Route] = {}
        self._tasks: set[Task[None]] = set()

    def dispatch(self, connection: Connection, frame: memoryview) -> None:  # noqa: PLR0912 - the hot path
        """Work off one request. Raises ProtocolViolation when the connection must end."""
        alike = None
        if (short_way := connection.short_way) is not None:
            shape, handle_alike = short_way
            alike = shape.recognise(frame)
            if alike is not None:
                try:
                    if handle_alike(self._broker, connection, shape, *alike):
                        return
                except ProtocolViolation:
                    raise
                except Exception:
                    self._failed_alike(connection, frame)
                    return
        try:
            api_key, version, correlation_id, client_size = _HEADER.unpack_from(frame)
        except struct.error:
            raise ProtocolViolation("frame too short for a request header") from None
        route = self._routes.get(api_key) or self._open_route(api_key)
        if not route.min_version <= version <= route.max_version:
            self._refuse_version(connection, api_key, version, correlation_id)
            return
        position = 10
        client_id = None
        if client_size >= 0:
            position += client_size
            client_id = _client_id(connection, frame, position)
        if version >= route.first_flexible:
            position = skip_tagged_fields(frame, position)
        request, _ = reader_for(route.request_type, version)(frame, position)
        flexible = version >= route.first_flexible_answer
        context = RequestContext(connection, api_key, version, correlation_id, client_id, flexible)
        try:
            response = route.handle(self._broker, request, context)
        except ProtocolViolation:
            raise
        except Exception:
            self._failed(route, context)
            return
        if alike is None and route.learn is not None and connection.shapes_learned < SHAPES_LEARNED_MAX:
            connection.shapes_learned += 1
            learned = route.learn(self._broker, frame, request, version)
            connection.short_way = learned or connection.short_way
        if response is None:
            return
        if not isinstance(response, Message):
            self._answer_later(route, response, context)
            return
        try:
            context.reply(response)
        except Exception:  # it cannot be written: a bug, although the codec calls that a violation
            self._failed(route, context)

    def _answer_later(
        self, route: _Route, awaited: Awaitable[Message | None], context: RequestContext
    ) -> None:
        context.defer()
        task = self._broker.loop.create_task(self._finish(route, awaited, context))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(
        self, route: _Route, awaited: Awaitable[Message | None], context: RequestContext
    ) -> None:
        try:
            response = await awaited
            if response is not None:
                context.reply(response)
        except Exception:
            self._failed(route, context)

    def _failed(self, route: _Route, context: RequestContext) -> None:
        """A bug in a handler: say so, loudly, and part from the client whose request met it."""
        log.exception(
            "request failed api=%s version=%d client_id=%s peer=%s",
            route.name,
            context.version,
            context.client_id,
            context.peer,
        )
        if route.has_error_code(context.version):
            response = route.response_type()
            setattr(response, "error_code", ErrorCode.UNKNOWN_SERVER_ERROR)  # noqa: B010 - known by its fields only
            context.reply(response)
        context.connection.abort()

    def _failed_alike(self, connection: Connection, frame: memoryview) -> None:
        """The same for a bug in a short way."""
        api_key, version, correlation_id, _ = _HEADER.unpack_from(frame)
        route = self._routes[api_key]
        flexible = version >= route.first_flexible_answer
        client_id = connection.client_id
        context = RequestContext(connection, api_key, version, correlation_id, client_id, flexible)
        self._failed(route, context)

    def _open_route(self, api_key: int) -> _Route:
        spec = SERVED_APIS.get(api_key)
        if spec is None:
            raise ProtocolViolation(f"request with API key {api_key}, which is not served")
        route = self._routes[api_key] = _Route(spec)
        return route

    def _refuse_version(
        self, connection: Connection, api_key: int, version: int, correlation_id: int
    ) -> None:
        if api_key != API_VERSIONS:
            raise ProtocolViolation(f"{SERVED_APIS[api_key].name} version {version}, which is not served")
        # The body is of a version that nobody here can read; the answer has the layout every client knows.
        context = RequestContext(connection, api_key, 0, correlation_id, None, flexible=False)
        context.reply(unsupported_version_response())


def unsupported_version_response() -> ApiVersionsResponse:
    """The answer to a version of ApiVersions that is not served, to be sent in the layout of version 0 (KIP-511).

    Nothing but ApiVersions itself is listed: some clients would take a longer list for the final one.
    """
    spec = APIS[API_VERSIONS]
    served = ApiVersionsResponse.ApiVersion(
        api_key=spec.key, min_version=spec.advertised_min, max_version=spec.max_version
    )
    return ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[served])


def _client_id(connection: Connection, frame: memoryview, stop: int) -> str:
    """The client id at 10:stop; decoded once per connection, since it hardly ever changes."""
    if stop > len(frame):
        raise ProtocolViolation("client id runs beyond the frame")
    raw = frame[10:stop]
    if raw != connection.client_id_bytes or connection.client_id is None:
        try:
            connection.client_id = str(raw, "utf-8")
        except UnicodeDecodeError:
            raise ProtocolViolation("client id is not UTF-8") from None
        connection.client_id_bytes = bytes(raw)
    return connection.client_id
