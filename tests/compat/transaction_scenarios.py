"""What every client with transactions must be able to do, written once against the port for transactions.

test_transactions.py runs these with each client. A scenario gets the client that produces, one that reads, and the name
of a topic that does not exist yet. Readers of committed records are the reader's; so each client's markers are also
read by another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.clients.port import Client, ClientError, Isolation
from tests.support.clients.transactional import FENCED, TOO_LATE, Transactional, make_transactional
from tests.support.patience import PATIENCE_S

Scenario = Callable[[Client, Client, str], None]


@contextmanager
def producer(client: Client, transactional_id: str, **settings: str) -> Iterator[Transactional]:
    """A producer that has its transactional id."""
    made = make_transactional(client, transactional_id, **settings)
    try:
        made.init()
        yield made
    finally:
        made.close()


def values(
    reader: Client,
    topic: str,
    count: int,
    *,
    isolation: Isolation = "read_committed",
    partition: int = 0,
    timeout_s: float = PATIENCE_S,
) -> list[bytes | None]:
    """Read until `count` records have come, or the time is up."""
    received = reader.consume(topic, count, partitions=[partition], isolation=isolation, timeout_s=timeout_s)
    return [each.message.value for each in received]


def is_all(reader: Client, topic: str, expected: list[bytes], *, partition: int = 0) -> None:
    """What can be read of committed records is `expected`, with nothing after it."""
    assert values(reader, topic, len(expected), partition=partition) == expected
    again = values(reader, topic, len(expected) + 1, partition=partition, timeout_s=1)
    assert again == expected[: len(again)]  # a slow machine may not come to the end in a second


def what_is_committed_is_read(client: Client, reader: Client, topic: str) -> None:
    """Ten transactions over two partitions."""
    client.create_topic(topic, partitions=2)
    expected: list[bytes] = []
    with producer(client, topic) as made:
        for number in range(10):
            made.begin()
            batch = [b"%d-%d" % (number, index) for index in range(3)]
            for partition in (0, 1):
                made.send(topic, batch, partition)
            made.commit()
            expected += batch
    for partition in (0, 1):
        is_all(reader, topic, expected, partition=partition)


def what_is_aborted_is_not_read(client: Client, reader: Client, topic: str) -> None:
    """Committed and aborted in turn; a reader of everything sees both."""
    client.create_topic(topic)
    committed, everything = [], []
    with producer(client, topic) as made:
        for number in range(10):
            made.begin()
            value = b"%d" % number
            made.send(topic, [value])
            everything.append(value)
            if number % 2:
                made.abort()
            else:
                made.commit()
                committed.append(value)
    is_all(reader, topic, committed)
    assert values(reader, topic, 10, isolation="read_uncommitted") == everything


def what_is_open_holds_readers_back(client: Client, reader: Client, topic: str) -> None:
    """Also those of a producer without transactions, whose records come later."""
    client.create_topic(topic)
    with producer(client, topic) as made, producer(client, f"other-{topic}") as other:
        made.begin()
        made.send(topic, [b"open"])
        other.begin()
        other.send(topic, [b"later"])
        other.commit()
        assert values(reader, topic, 1, timeout_s=1) == []
        made.commit()
        is_all(reader, topic, [b"open", b"later"])


def an_empty_transaction(client: Client, reader: Client, topic: str) -> None:
    client.create_topic(topic)
    with producer(client, topic) as made:
        for commits in (True, False, True):
            made.begin()
            if commits:
                made.commit()
            else:
                made.abort()
        made.begin()
        made.send(topic, [b"v"])
        made.commit()
    is_all(reader, topic, [b"v"])


def who_comes_second_fences_the_first(client: Client, reader: Client, topic: str) -> None:
    """The first can neither commit what it has sent, nor send more."""
    client.create_topic(topic)
    with producer(client, topic) as first:
        first.begin()
        first.send(topic, [b"of the first"])
        with producer(client, topic) as second:
            with pytest.raises(ClientError) as fenced:
                first.commit()
            assert fenced.value.name in FENCED
            second.begin()
            second.send(topic, [b"of the second"])
            second.commit()
    is_all(reader, topic, [b"of the second"])


def who_was_fenced_cannot_send(client: Client, reader: Client, topic: str) -> None:
    client.create_topic(topic)
    with producer(client, topic) as first:
        first.begin()
        first.send(topic, [b"of the first"])
        with producer(client, topic) as second:
            with pytest.raises(ClientError) as fenced:
                first.send(topic, [b"late"])
                first.commit()
            assert fenced.value.name in FENCED
            second.begin()
            second.send(topic, [b"of the second"])
            second.commit()
    is_all(reader, topic, [b"of the second"])


def a_transaction_that_goes_on_after_an_abort(client: Client, reader: Client, topic: str) -> None:
    """The same producer, the same partition, at once: whatever is still being written of the abort is waited for."""
    client.create_topic(topic)
    committed = []
    with producer(client, topic) as made:
        for number in range(25):
            made.begin()
            made.send(topic, [b"%d" % number] * 2)
            if number % 5 == 4:
                made.commit()
                committed += [b"%d" % number] * 2
            else:
                made.abort()
    is_all(reader, topic, committed)


SCENARIOS: dict[str, Scenario] = {
    each.__name__: each
    for each in (
        what_is_committed_is_read,
        what_is_aborted_is_not_read,
        what_is_open_holds_readers_back,
        an_empty_transaction,
        who_comes_second_fences_the_first,
        who_was_fenced_cannot_send,
        a_transaction_that_goes_on_after_an_abort,
    )
}


def offsets_count_with_it(client: Client, topic: str, committed: Callable[[str], int | None]) -> None:
    """`committed` is what a group has committed of the topic's only partition."""
    client.create_topic(topic)
    with producer(client, topic) as made:
        for offset, commits in ((3, False), (5, True), (7, False)):
            made.begin()
            made.send(topic, [b"v"])
            made.send_offset(f"g-{topic}", topic, offset)
            if commits:
                made.commit()
            else:
                made.abort()
            assert committed(f"g-{topic}") == (5 if offset >= 5 else None)


# -- with a broker of one's own ------------------------------------------------------------------------------


def what_is_left_open_is_aborted(client: Client, reader: Client, topic: str) -> None:
    """The broker looks for it every 100 ms."""
    client.create_topic(topic)
    with ExitStack() as producers:
        made = _left_open(producers, client, topic)
        other = producers.enter_context(producer(client, f"other-{topic}"))
        other.begin()
        other.send(topic, [b"later"])
        other.commit()
        is_all(reader, topic, [b"later"])
        with pytest.raises(ClientError):
            made.commit()


def _left_open(producers: ExitStack, client: Client, topic: str) -> Transactional:
    """A producer with a record in an open transaction, of the shortest life that librdkafka takes: a second.

    Of a longer one where the machine is so busy that it was over before the record came.
    """
    for life_s in (1, 5, 30):
        settings = {"transaction_timeout_ms": str(life_s * 1000)}
        made = producers.enter_context(producer(client, f"{topic}-{life_s}", **settings))
        made.begin()
        began = time.monotonic()
        try:
            made.send(topic, [b"left open"])
        except ClientError as failure:
            if failure.name not in TOO_LATE or time.monotonic() - began < life_s:
                raise
            continue
        return made
    raise AssertionError("no transaction lived until its record was there")


def a_transaction_outlives_a_restart(
    client: Client, reader: Client, topic: str, restart: Callable[[], None]
) -> None:
    """Its records, its producer and its coordinator: what was sent before counts once it is committed afterwards."""
    client.create_topic(topic, partitions=2)
    with producer(client, topic) as made:
        made.begin()
        made.send(topic, [b"committed before"])
        made.commit()
        made.begin()
        made.send(topic, [b"before"])
        restart()
        made.send(topic, [b"after"])
        made.send(topic, [b"first of its partition"], 1)
        made.commit()
        made.begin()
        made.send(topic, [b"aborted"])
        restart()
        made.abort()
    is_all(reader, topic, [b"committed before", b"before", b"after"])
    is_all(reader, topic, [b"first of its partition"], partition=1)
