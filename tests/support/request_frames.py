"""Requests as frames without their length, and back, by the codec alone."""

from __future__ import annotations

import struct
from typing import TypeVar

from protocol.codec import encode_bytes, reader_for
from protocol.errors import ProtocolViolation
from protocol.messages.headers import RequestHeader
from protocol.messages.message import Message

AnyRequest = TypeVar("AnyRequest", bound=Message)


def frame(
    request: Message, version: int, correlation_id: int, client_id: str | None, *, first_flexible: int
) -> bytes:
    """A request with its header; flexible from `first_flexible` on."""
    header = RequestHeader(
        request_api_key=request.API_KEY,
        request_api_version=version,
        correlation_id=correlation_id,
        client_id=client_id,
    )
    return encode_bytes(header, _header_version(version, first_flexible)) + encode_bytes(request, version)


def read(
    request_type: type[AnyRequest], data: bytes, *, first_flexible: int
) -> tuple[RequestHeader, AnyRequest] | None:
    """What the codec makes of a frame; None when it refuses it."""
    (version,) = struct.unpack_from(">h", data, 2)
    try:
        header, at = reader_for(RequestHeader, _header_version(version, first_flexible))(data, 0)
        request, end = reader_for(request_type, version)(data, at)
    except ProtocolViolation:
        return None
    return (header, request) if end == len(data) else None


def _header_version(version: int, first_flexible: int) -> int:
    return 2 if version >= first_flexible else 1
