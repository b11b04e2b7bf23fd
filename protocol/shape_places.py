"""Where that stands in a message which differs from one to the next: nobody counts, the codec writes it and shows.

For the shapes (produce_shape.py, fetch_shape.py) while they learn; nothing here is done for each request.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from protocol.primitives import skip_tagged_fields
from protocol.types import Position

_CLIENT_ID_LENGTH: Final = Struct(">h")
_CLIENT_ID_LENGTH_POSITION: Final = 8
_CLIENT_ID_POSITION: Final = 10


def body_position(frame: memoryview) -> Position:
    """Where the body of a request begins that has the header of flexible versions, and has been read."""
    (length,) = _CLIENT_ID_LENGTH.unpack_from(frame, _CLIENT_ID_LENGTH_POSITION)
    return skip_tagged_fields(frame, _CLIENT_ID_POSITION + max(length, 0))


def around_number(write: Callable[[int], bytes], size: int) -> tuple[bytes, bytes]:
    """What `write` writes before and behind the number that it is given: `size` bytes, perhaps several times over."""
    zeros, ones = write(0), write(-1)
    start = next(at for at, (zero, one) in enumerate(zip(zeros, ones, strict=True)) if zero != one)
    return zeros[:start], zeros[start + size :]
