"""Goal: what is not written is given up at once and called so; what may be written is not. Method: a producer that
fails where it is told to, and remembers what it was asked for.
"""

from __future__ import annotations

from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from services.orders.atomic_write import NotWritten, write_atomically

RECORDS: list[tuple[bytes, bytes | None]] = [(b"ann", b"1"), (b"bob", None)]
FENCED = KafkaError(KafkaError._FENCED, fatal=True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
TO_BE_ABORTED = KafkaError(KafkaError._TIMED_OUT, txn_requires_abort=True)


class FailingProducer:
    """`failures`: what the first call of that name raises, and `produce` with the second record."""

    def __init__(self, **failures: Exception) -> None:
        self._failures = failures
        self.calls: list[str] = []

    def begin_transaction(self) -> None:
        self._called("begin")

    def produce(self, topic: str, value: bytes | None, key: bytes) -> None:
        self.calls.append("produce")
        assert topic == "customers"
        assert (key, value) == RECORDS[self.calls.count("produce") - 1]
        if value is None and "produce" in self._failures:
            raise self._failures["produce"]

    def flush(self, _timeout_s: float) -> int:
        self._called("flush")
        return 0

    def commit_transaction(self, _timeout_s: float) -> None:
        self._called("commit")

    def abort_transaction(self, _timeout_s: float) -> None:
        self._called("abort")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self._failures and self.calls.count(name) == 1:
            raise self._failures[name]


def write(producer: FailingProducer) -> None:
    write_atomically(cast(Producer, producer), "customers", RECORDS)


def test_all_are_in_the_log_before_the_commit_is_asked_for() -> None:
    producer = FailingProducer()
    write(producer)
    assert producer.calls == ["begin", "produce", "produce", "flush", "commit"]


@pytest.mark.parametrize(
    ("failures", "cause"),
    [
        ({"begin": KafkaException(FENCED)}, FENCED),
        ({"produce": KafkaException(TOO_LARGE)}, TOO_LARGE),
        ({"flush": KafkaException(FENCED), "abort": KafkaException(FENCED)}, FENCED),
        ({"commit": KafkaException(TO_BE_ABORTED)}, TO_BE_ABORTED),
    ],
)
def test_what_is_not_written(failures: dict[str, Exception], cause: KafkaError) -> None:
    producer = FailingProducer(**failures)
    with pytest.raises(NotWritten) as raised:
        write(producer)
    assert raised.value.args == (cause,)
    if "begin" not in failures:
        assert producer.calls[-1] == "abort"
        assert ("commit" in producer.calls) == ("commit" in failures)


def test_a_full_queue_leaves_nothing_open() -> None:
    producer = FailingProducer(produce=BufferError("Local: Queue full"))
    with pytest.raises(BufferError):
        write(producer)
    assert producer.calls == ["begin", "produce", "produce", "abort"]


def test_a_commit_that_is_fenced_may_have_been_made() -> None:
    """By its first question, whose answer was lost. There is nothing to abort."""
    producer = FailingProducer(commit=KafkaException(FENCED))
    with pytest.raises(KafkaException) as raised:
        write(producer)
    assert not isinstance(raised.value, NotWritten)
    assert "abort" not in producer.calls


def test_a_commit_whose_abort_fails_is_left_open() -> None:
    producer = FailingProducer(commit=KafkaException(TO_BE_ABORTED), abort=KafkaException(FENCED))
    with pytest.raises(KafkaException) as raised:
        write(producer)
    assert not isinstance(raised.value, NotWritten)


def test_a_commit_whose_answer_is_lost_is_asked_for_again() -> None:
    producer = FailingProducer(commit=KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True)))
    write(producer)
    assert producer.calls[-2:] == ["commit", "commit"]
