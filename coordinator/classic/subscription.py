"""Reads which topics a member of the protocol type `consumer` subscribes to.

The metadata is the clients' affair; the coordinator looks into it only to know which committed offsets are in use.
Later versions of it begin like version 0, so that is what is read. Source: Kafka ConsumerProtocol.java.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from protocol.codec import reader_for
from protocol.errors import ProtocolViolation
from protocol.messages.consumer_protocol import ConsumerProtocolSubscription

if TYPE_CHECKING:
    from collections.abc import Iterable

CONSUMER_PROTOCOL_TYPE: Final = "consumer"

_VERSION: Final = Struct(">h")


def subscribed_topics(metadata: Iterable[bytes]) -> frozenset[str] | None:
    """Return the topics of all members together; None when one of the metadata cannot be read."""
    topics: set[str] = set()
    try:
        for subscription in metadata:
            topics.update(_topics(subscription))
    except ProtocolViolation:
        return None
    return frozenset(topics)


def _topics(subscription: bytes) -> list[str]:
    if len(subscription) < _VERSION.size:
        raise ProtocolViolation("a subscription without a version")
    (version,) = _VERSION.unpack_from(subscription)
    if version < 0:
        raise ProtocolViolation(f"subscription version {version}")
    return reader_for(ConsumerProtocolSubscription, 0)(subscription, _VERSION.size)[0].topics
