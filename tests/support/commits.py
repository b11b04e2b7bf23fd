"""Commits that wait for a coordinator which has just started: librdkafka leaves that to its caller."""

from __future__ import annotations

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

PATIENCE_S = 60
_COMES_AGAIN = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._WAIT_COORD,
)


def commit(consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
    """Commit all of them as soon as there is a coordinator that takes them."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            rows = consumer.commit(offsets=list(offsets), asynchronous=False)
        except KafkaException as failure:
            error = failure.args[0]
            if (error.code() not in _COMES_AGAIN and not error.retriable()) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            assert all(row.error is None for row in rows), rows
            return
