"""The client's side of one connection, without any IO.

`send` turns a request into bytes (`take_outgoing`), `receive_data` takes what the broker sent, `next_response`
yields typed responses in the order of their requests. The version of each request is the highest that both sides
speak; to learn the broker's, `handshake` asks before anything else.

A broker that does not know our version of ApiVersions answers with error 35 in the layout of version 0, whatever
was asked (KIP-511); the question is then put again in a version it names.

It does not know sockets, time or retries: `logd.clients.client` moves the bytes. It checks that the answers come in the
order of the questions, since a broker that mixes them up would hand one caller's records to another.
"""

from __future__ import annotations

import sys
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from protocol.api import API_VERSIONS, OWN_SOFTWARE, first_flexible_answer
from protocol.codec import Chunk, decode, encode
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.primitives import skip_tagged_fields

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from protocol.types import Buffer

RESPONSE_BYTES_MAX: Final = 1 << 30
"""Default bound on one response; a fetch of several partitions may be large, a stray peer's "size" is larger."""

_HEADER: Final = Struct(">ihhih")  # size, api key, version, correlation id, size of the client id
_SIZE: Final = Struct(">i")
_INT16: Final = Struct(">h")
_PRODUCE: Final = 0
_HANDSHAKE_VERSION: Final = 4  # what brokers of the 4.x line know, so that one question is enough


class Response(NamedTuple):
    """An answer and the number that `send` gave its request."""

    correlation_id: int
    message: Message


class _InFlight(NamedTuple):
    correlation_id: int
    response_type: type[Message]
    version: int
    flexible: bool
    is_handshake: bool


class ClientConnection:
    """Requests out, responses in, for one connection that has just been opened.

    State: `versions` is None until the broker has answered the handshake; until then `send` needs a version.
    """

    __slots__ = (
        "_client_id",
        "_in_flight",
        "_incoming",
        "_max_bytes",
        "_next_id",
        "_outgoing",
        "_software",
        "versions",
    )

    def __init__(
        self,
        *,
        client_id: str | None = "logd",
        software: tuple[str, str] = (OWN_SOFTWARE, "0"),
        max_response_bytes: int = RESPONSE_BYTES_MAX,
    ) -> None:
        self._client_id = None if client_id is None else client_id.encode()
        self._software = software
        self._max_bytes = max_response_bytes
        self._incoming = bytearray()
        self._outgoing: list[Chunk] = []
        self._in_flight: deque[_InFlight] = deque()
        self._next_id = 0
        self.versions: dict[int, tuple[int, int]] | None = None
        """API key to the first and last version (inclusive) that the broker serves."""

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answers."""
        return len(self._in_flight)

    def handshake(self, version: int = _HANDSHAKE_VERSION) -> None:
        """Ask for the broker's versions; `versions` is set once `next_response` has met the answer."""
        name, release = self._software
        request = ApiVersionsRequest(client_software_name=name, client_software_version=release)
        self._enqueue(request, version, is_handshake=True)

    def version_for(self, request_type: type[Message], version_max: int | None = None) -> int:
        """Return the highest version of a request that both sides speak, and no higher than `version_max`.

        Raises: BrokerError UNSUPPORTED_VERSION when there is none.
        """
        if self.versions is None:
            raise BrokerError(ErrorCode.UNSUPPORTED_VERSION, "The broker's versions are not known yet.")
        first, last = request_type.VERSIONS
        broker_first, broker_last = self.versions.get(request_type.API_KEY, (0, -1))
        version = min(last, broker_last, last if version_max is None else version_max)
        if version < max(first, broker_first):
            text = f"{request_type.NAME}: no common version; broker {broker_first} to {broker_last}."
            raise BrokerError(ErrorCode.UNSUPPORTED_VERSION, text)
        return version

    def send(self, request: Message, version: int | None = None) -> int | None:
        """Queue a request; return its correlation id, or None when no answer will come (produce with acks 0).

        Raises: BrokerError UNSUPPORTED_VERSION as `version_for`; ProtocolViolation when the version cannot say
        what the request holds. Nothing is queued then.
        """
        if version is None:
            version = self.version_for(type(request))
        return self._enqueue(request, version, is_handshake=False)

    def take_outgoing(self) -> list[Chunk]:
        """Return the bytes to send since the last call, in order."""
        outgoing = self._outgoing
        self._outgoing = []
        return outgoing

    def receive_data(self, data: Buffer) -> None:
        """Take bytes as they arrive, in pieces of any size; the caller may reuse `data` afterwards."""
        self._incoming += data

    def next_response(self) -> Response | None:
        """Return the next answer, None until more bytes arrive. Its records are views of a buffer of its own.

        The answer to the handshake is dealt with inside and may leave something to send.
        Raises: ProtocolViolation when the bytes are no answer to the oldest open request.
        """
        while (frame := self._next_frame()) is not None:
            if not self._in_flight:
                raise ProtocolViolation("a response came without a request")
            asked = self._in_flight.popleft()
            (correlation_id,) = _SIZE.unpack_from(frame)
            if correlation_id != asked.correlation_id:
                raise ProtocolViolation(f"response {correlation_id} came in place of {asked.correlation_id}")
            if asked.is_handshake:
                self._take_versions(frame, asked.version)
                continue
            position = skip_tagged_fields(frame, 4) if asked.flexible else 4
            message: Message = decode(asked.response_type, asked.version, frame, position)
            return Response(correlation_id, message)
        return None

    def _enqueue(self, request: Message, version: int, *, is_handshake: bool) -> int | None:
        body: list[Any] = encode(request, version)
        correlation_id = self._next_id
        request_type = type(request)
        flexible = request_type.FIRST_FLEXIBLE is not None and version >= request_type.FIRST_FLEXIBLE
        client_id = self._client_id or b""
        size = _HEADER.size - 4 + len(client_id) + flexible + sum(map(len, body))
        head = _HEADER.pack(
            size,
            request.API_KEY,
            version,
            correlation_id,
            -1 if self._client_id is None else len(client_id),
        )
        self._next_id = (correlation_id + 1) & 0x7FFFFFFF
        self._outgoing.append(head + client_id + (b"\x00" if flexible else b""))
        self._outgoing += body
        if request.API_KEY == _PRODUCE and getattr(request, "acks", None) == 0:
            return None
        flexible_answer = version >= first_flexible_answer(request.API_KEY, request.FIRST_FLEXIBLE)
        asked = _InFlight(
            correlation_id, response_type_of(request_type), version, flexible_answer, is_handshake
        )
        self._in_flight.append(asked)
        return correlation_id

    def _next_frame(self) -> memoryview | None:
        """Cut the next whole frame, without its size, out of what has arrived."""
        incoming = self._incoming
        if len(incoming) < 4:
            return None
        (size,) = _SIZE.unpack_from(incoming)
        if not 4 <= size <= self._max_bytes:
            raise ProtocolViolation(f"a response of {size} bytes")
        end = 4 + size
        if len(incoming) < end:
            return None
        if len(incoming) == end:
            self._incoming = bytearray()
            return memoryview(incoming)[4:]
        frame = bytes(memoryview(incoming)[4:end])
        del incoming[:end]
        return memoryview(frame)

    def _take_versions(self, frame: memoryview, version: int) -> None:
        """Learn the broker's versions, or ask again in a version that it names."""
        if len(frame) < 6:
            raise ProtocolViolation("an ApiVersions response without error code")
        (code,) = _INT16.unpack_from(frame, 4)
        if code == ErrorCode.UNSUPPORTED_VERSION:
            answer = decode(ApiVersionsResponse, 0, frame, 4)
            served = [row.max_version for row in answer.api_keys if row.api_key == API_VERSIONS]
            again = min(max(served, default=0), ApiVersionsRequest.VERSIONS[1])
            if version == 0 or again >= version:
                raise ProtocolViolation("the broker refuses every version of ApiVersions")
            self.handshake(max(again, 0))
            return
        if code != ErrorCode.NONE:
            raise ProtocolViolation(f"the broker refuses to name its versions: error {code}")
        answer = decode(ApiVersionsResponse, version, frame, 4)
        self.versions = {row.api_key: (row.min_version, row.max_version) for row in answer.api_keys}


def response_type_of(request_type: type[Message]) -> type[Message]:
    """Return the class that answers a request; both stand in the same generated module."""
    name = request_type.NAME.removesuffix("Request") + "Response"
    response_type: type[Message] = getattr(sys.modules[request_type.__module__], name)
    return response_type
