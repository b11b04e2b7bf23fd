"""Reading a topic up to where it ended when the reading began.

The end is the log's, decided or not (read_uncommitted), while the records are read committed: a transaction that was
open then must be decided before this returns. Otherwise a change that is about to be committed would be missed: the
coordinator writes its markers to one partition after the other, and committed offsets may show a transaction as done
before the changelog does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from services.runtime.clients import NOT_NOW, admin, ask, read_batch
from services.runtime.logs import log
from services.runtime.settings import RuntimeSettings

_WARN_AFTER_S = 10.0
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


def log_ends(settings: RuntimeSettings, topic: str, partitions: list[int]) -> dict[int, int]:
    """The offset after the last record, committed or not. Raises KafkaException.

    Each attempt has a client of its own: one that is kept remembers leader epochs from before a restart of the broker,
    and is refused for half a minute.
    """
    if not partitions:
        return {}

    def question() -> dict[int, int]:
        client = admin(settings)
        wanted = {TopicPartition(topic, number): _LATEST for number in partitions}
        answers = client.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=5
        )
        return {partition.partition: future.result().offset for partition, future in answers.items()}

    return ask(question)


def read_to(
    consumer: Consumer,
    ends: Mapping[int, int],
    starts: Mapping[int, int],
    topic: str,
    on_messages: Callable[[list[Message]], None],
    on_reached: Callable[[int, int], None],
) -> None:
    """Read each partition of `ends` from its start on; `on_reached(partition, offset)` once it is read to its end.

    Leaves the consumer assigned, each partition at least at its end.
    """
    left = {number for number, end in ends.items() if starts[number] < end}
    for number in set(ends) - left:
        on_reached(number, starts[number])
    consumer.assign([TopicPartition(topic, number, starts[number]) for number in ends])
    warn_at = time.monotonic() + _WARN_AFTER_S
    while left:
        messages = read_batch(consumer, 1000, 0.05)
        left -= {number for number, offset in ends_met(messages) if offset >= ends[number]}
        records = [message for message in messages if message.error() is None]
        if records:
            on_messages(records)
        for position in consumer.position([TopicPartition(topic, number) for number in left]):
            if position.offset >= ends[position.partition]:
                left.discard(position.partition)
        if time.monotonic() > warn_at:
            log(__name__, "still reading", level=logging.WARNING, topic=topic, partitions=sorted(left))
            warn_at += _WARN_AFTER_S
    for number in ends:
        if starts[number] < ends[number]:
            on_reached(number, ends[number])


def ends_met(messages: list[Message]) -> Iterator[tuple[int, int]]:
    """Partitions whose end was met among these, each with the offset that comes next. Raises KafkaException."""
    for message in messages:
        error = message.error()
        if error is None:
            continue
        if error.code() == KafkaError._PARTITION_EOF:
            number, offset = message.partition(), message.offset()
            assert number is not None and offset is not None
            yield number, offset
        elif not error.retriable() and error.code() not in NOT_NOW:
            raise KafkaException(error)
