"""A record as a handler sees it, and what a handler may say of one."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from confluent_kafka import Message

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]

# Bytes of key, value and headers of a record that is written. Clients and brokers take 1 MB by default, with what they
# put around it. A record that is read may be larger: it was compressed, or written with other settings.
RECORD_MOST = 900_000


class Unprocessable(Exception):
    """This record cannot be handled, now or on a second try. The text says why; the record becomes a dead letter."""


def check_size(topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
    """Raises Unprocessable when the topic would not take it, however often it is tried."""
    parts = [key, value, *(part for name, value in headers for part in (name.encode(), value))]
    size = sum(len(part) for part in parts if part is not None)
    if size > RECORD_MOST:
        raise Unprocessable(f"it leads to {size} bytes for {topic}, which takes {RECORD_MOST}")


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def record_of(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    pairs: Any = message.headers() or ()  # bytes, when they come from the broker
    headers: Headers = tuple(pairs)
    timestamp: int = message.timestamp()[1]
    return Record(topic, partition, offset, timestamp, message.key(), message.value(), headers)
