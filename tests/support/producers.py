"""Transactional producers of confluent-kafka that wait for a coordinator which has just started."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException, Producer

PATIENCE_S = 60


def init_transactions(producer: Producer) -> None:
    """Take the transactional id over; ask again where the client gives up on a coordinator that still loads."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return producer.init_transactions(PATIENCE_S)
        except KafkaException as failure:
            if not failure.args[0].retriable() or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
