"""What the services share in handling records: values in, values out, and what happens to the unreadable.

A dead letter keeps the record's bytes, headers and place; of a record that is too large for that, the place. Told to
try again (dead_letters.py), it comes back through the application's own retries topic, in the partition where it was,
and is handled as if it had come from its topic: so no topic gets a second writer, and state and record meet in the same
instance.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec.structs import replace

from services.orders import serde, topics
from services.orders.schemas import DeadLetter, Event
from services.runtime.records import RECORD_MOST, Record
from services.runtime.topology import Context, Handler, Topology

ValueHandler: TypeAlias = Callable[[Any, Record, Context], None]

_PLACE = ("dead-letter-topic", "dead-letter-partition", "dead-letter-offset", "dead-letter-timestamp")


def topology(application: str, handlers: Mapping[str, ValueHandler], **more: Any) -> Topology:
    """Handlers get the decoded value. `more` as in Topology."""
    by_topic = {topic: _decoding(topic, handler) for topic, handler in handlers.items()}
    if application in topics.STATEFUL:
        more["changelog"] = topics.changelog(application)
    with_retries = {**by_topic, topics.retries(application): _retrying(by_topic)}
    return Topology(application, with_retries, _setting_aside(application), **more)


def publish(context: Context, topic: str, key: str, event: Event, *, timestamp_ms: int | None = None) -> None:
    context.emit(topic, key.encode(), serde.encode(topic, event), timestamp_ms=timestamp_ms)


def retry_of(letter: DeadLetter) -> tuple[str, int, list[tuple[str, str | bytes | None]]]:
    """Topic, partition and headers that a dead letter is to be sent back with."""
    place = (letter.topic, letter.partition, letter.offset, letter.timestamp)
    headers = [(name, str(value)) for name, value in zip(_PLACE, place, strict=True)]
    return topics.retries(letter.service), letter.partition, [*letter.headers, *headers]


def original(record: Record) -> Record:
    """The record as it was before it was set aside, if it ever was. Raises Unreadable."""
    place = {name: value for name, value in record.headers if name in _PLACE and value is not None}
    if len(place) < len(_PLACE):
        return record
    topic, partition, offset, timestamp = (place[name].decode(errors="replace") for name in _PLACE)
    headers = tuple((name, value) for name, value in record.headers if name not in _PLACE)
    try:
        numbers = int(partition), int(offset), int(timestamp)
    except ValueError:
        raise serde.Unreadable("the place of the dead letter is not readable") from None
    if numbers[0] != record.partition or max(numbers) >= 2**63:
        raise serde.Unreadable("the place of the dead letter is another than this")
    return Record(topic, *numbers, record.key, record.value, headers)


def _decoding(topic: str, handler: ValueHandler) -> Handler:
    def handle(record: Record, context: Context) -> None:
        handler(serde.decode(topic, record.value), record, context)

    return handle


def _retrying(handlers: Mapping[str, Handler]) -> Handler:
    def handle(record: Record, context: Context) -> None:
        again = original(record)
        if again.topic not in handlers:
            raise serde.Unreadable(f"nothing to retry: {again.topic!r} is no input of this service")
        handlers[again.topic](again, context)

    return handle


def _setting_aside(application: str) -> Callable[[Record, str, Context], None]:
    def set_aside(record: Record, reason: str, context: Context) -> None:
        with contextlib.suppress(serde.Unreadable):  # then as it is
            record = original(record)
        letter = DeadLetter(
            service=application,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp_ms,
            reason=reason,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        data = serde.encode(topics.DEAD_LETTERS, letter)
        if len(data) > RECORD_MOST:
            place_alone = replace(letter, key=None, value=None, headers=(), is_whole=False)
            data = serde.encode(topics.DEAD_LETTERS, place_alone)
        context.emit(topics.DEAD_LETTERS, None, data, partition=context.partition)

    return set_aside
