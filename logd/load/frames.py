"""Requests as bytes, ready to be sent any number of times, and where the interesting part of their answers lies.

The versions are the last that name topics: later ones name them by id, which a frame would have to be built for.
Produce 9 came with Kafka 2.4, Fetch 12 with 2.7.
"""

from __future__ import annotations

from typing import Final

from protocol.client import ClientConnection
from protocol.messages.message import Message
from protocol.primitives import write_uvarint

PRODUCE_VERSION: Final = 9
FETCH_VERSION: Final = 12
ANSWER_BODY_AT: Final = 5
"""An answer of these versions begins with its correlation id and an empty list of tagged fields."""


def frame(request: Message, version: int, client_id: str = "logd-bench") -> bytes:
    """A request with its size in front. Its correlation id is 0: answers come in the order of requests in any case."""
    protocol = ClientConnection(client_id=client_id)
    protocol.send(request, version)
    return b"".join(bytes(chunk) for chunk in protocol.take_outgoing())  # type: ignore[arg-type]


def name_size(topic: str) -> int:
    """Bytes of a topic's name in an answer."""
    size = len(topic.encode())
    head = bytearray()
    write_uvarint(head, size + 1)
    return len(head) + size
