"""What consumers of classic groups say of themselves."""

from __future__ import annotations

from struct import pack

from protocol.codec import encode_bytes
from protocol.messages.consumer_protocol import ConsumerProtocolSubscription


def subscribed_to(*topics: str) -> bytes:
    """Return the metadata of a consumer that reads these topics."""
    return pack(">h", 0) + encode_bytes(ConsumerProtocolSubscription(topics=list(topics)), 0)
