"""A record as a handler sees it, and what a handler may say of one."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from confluent_kafka import Message

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


class Unprocessable(Exception):
    """This record cannot be handled, now or on a second try. The text says why; the record becomes a dead letter."""


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
