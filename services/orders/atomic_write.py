"""Records of one topic, written in one transaction: all of them, or none.

When that fails, the exception says whether it is certain that none is there. It is until the commit is asked for, and
when the commit is refused in such a way that an abort is taken. Else it is not: the client asks again by itself when an
answer is lost, and what it hears last, for example that somebody else has the transactional id by now, does not tell
what became of its first question.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from confluent_kafka import KafkaException, Producer

from services.runtime.clients import error_of, insist

_CALL_S = 10
_FLUSH_S = 60


class NotWritten(KafkaException):
    """Readers of committed records see none of the records, and never will."""


def write_atomically(producer: Producer, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Raises NotWritten, and any other KafkaException when the records may be there.

    The producer is not to be used after that: a transaction may be open still, which the next owner of the
    transactional id ends.
    """
    try:
        producer.begin_transaction()
        _send(producer, topic, records)
    except KafkaException as error:
        raise NotWritten(error_of(error)) from error
    _commit(producer)


def _send(producer: Producer, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    """To the log, where they wait for the commit. A record that does not get there has the commit refused."""
    try:
        for key, value in records:
            producer.produce(topic, value, key)
        producer.flush(_FLUSH_S)  # raises when it hears that the producer is fenced
    except Exception:
        with contextlib.suppress(KafkaException):  # of a fenced producer nothing is left to abort
            _abort(producer)
        raise


def _commit(producer: Producer) -> None:
    try:
        insist(lambda: producer.commit_transaction(_CALL_S))
    except KafkaException as error:
        # In any other case an abort would be refused, for as long as it is insisted on: the commit may still come to
        # its end, or somebody else has the transactional id.
        if error_of(error).txn_requires_abort():
            _abort(producer)
            raise NotWritten(error_of(error)) from error
        raise


def _abort(producer: Producer) -> None:
    insist(lambda: producer.abort_transaction(_CALL_S))
