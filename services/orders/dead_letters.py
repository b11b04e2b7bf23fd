"""Dead letters: look at them, and have them tried again once what was wrong has been put right.

    python -m services.orders.dead_letters list [name=value …]
    python -m services.orders.dead_letters reprocess [service=NAME] [name=value …]

Reprocessing sends each letter back to its service, through that service's retries topic, exactly once: what was sent
and how far the dead letters were read is one transaction. What cannot be read this time either becomes a new dead
letter. Letters of other services than the one named stay where they are, for a later run. What was too large to be
kept is not sent back: `list` says where it lies.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from services.orders import serde, topics
from services.orders.handling import retry_of
from services.orders.process import settings_for
from services.orders.schemas import DeadLetter
from services.orders.settings import Settings
from services.runtime.catch_up import log_ends, read_to
from services.runtime.clients import admin, ask, insist, reader, transactional_producer
from services.runtime.describe import partition_count
from services.runtime.logs import log

_GROUP = "dead-letters-"


def letters(
    settings: Settings, consumer: Consumer, starts: dict[int, int]
) -> Iterator[tuple[int, DeadLetter]]:
    """Those from `starts` on, which are moved on. Pairs of partition and letter."""
    ends = log_ends(settings, topics.DEAD_LETTERS, sorted(starts))
    found: list[tuple[int, DeadLetter]] = []

    def collect(messages: list[Message]) -> None:
        for message in messages:
            try:
                letter = serde.decode(topics.DEAD_LETTERS, message.value())
            except serde.Unreadable as error:
                place = {"partition": message.partition(), "offset": message.offset()}
                log(__name__, "not a dead letter", level=logging.WARNING, reason=str(error), **place)
                continue
            found.append((message.partition() or 0, letter))

    def reached(number: int, end: int) -> None:
        starts[number] = max(end, starts[number])

    read_to(consumer, ends, dict(starts), topics.DEAD_LETTERS, collect, reached)
    yield from found


def reprocess(settings: Settings, service: str) -> int:
    """How many of the service's letters were sent back. Raises KafkaException, and then none was."""
    group = f"{_GROUP}{service}"
    producer = transactional_producer(settings, group)
    insist(lambda: producer.init_transactions(10))
    consumer = reader(settings, group, **{"group.id": group})
    try:
        starts = _positions(settings, consumer)
        partitions = partition_count(admin(settings), topics.retries(service))  # a letter may be forged
        producer.begin_transaction()
        count = 0
        for _partition, letter in letters(settings, consumer, starts):
            if letter.service == service and letter.is_whole and letter.partition < partitions:
                topic, partition, headers = retry_of(letter)
                producer.produce(topic, letter.value, letter.key, partition, headers=headers)
                count += 1
        producer.flush(60)
        positions = [TopicPartition(topics.DEAD_LETTERS, *pair) for pair in starts.items()]
        member = consumer.consumer_group_metadata()
        insist(lambda: producer.send_offsets_to_transaction(positions, member, 10))
        insist(lambda: producer.commit_transaction(10))
    finally:
        consumer.close()
    return count


def _positions(settings: Settings, consumer: Consumer) -> dict[int, int]:
    count = partition_count(admin(settings), topics.DEAD_LETTERS)
    wanted = [TopicPartition(topics.DEAD_LETTERS, number) for number in range(count)]
    return {found.partition: max(found.offset, 0) for found in ask(lambda: consumer.committed(wanted, 10))}


def _list(settings: Settings) -> None:
    consumer = reader(settings, "dead-letters-list")
    starts = dict.fromkeys(_positions(settings, consumer), 0)
    for _partition, letter in letters(settings, consumer, starts):
        place = f"{letter.topic}-{letter.partition} offset {letter.offset}"
        value = repr((letter.value or b"")[:200]) if letter.is_whole else "too large to be kept here"
        sys.stdout.write(f"{letter.service}: {place}: {letter.reason}\n  {value}\n")
    consumer.close()


def main(arguments: Sequence[str]) -> int:
    chosen = [word for word in arguments[1:] if word.startswith("service=")]
    settings = settings_for("dead_letters", [word for word in arguments[1:] if word not in chosen])
    if settings is None or not arguments or arguments[0] not in {"list", "reprocess"}:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    try:
        if arguments[0] == "list":
            _list(settings)
            return 0
        services = [word.partition("=")[2] for word in chosen] or list(topics.APPLICATIONS)
        for service in services:
            sys.stdout.write(f"{service}: {reprocess(settings, service)} sent back\n")
    except KafkaException as error:
        sys.stderr.write(f"dead_letters: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
