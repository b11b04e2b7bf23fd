"""A producer that leaves a transaction open, as a process of its own that a test kills.

    python -m tests.reliability.left_open BOOTSTRAP TOPIC ID TIMEOUT_MS

It tells `open` once its record is acknowledged, `late` where the transaction was over before that, or `failed WHY`,
and waits to be killed.
"""

from __future__ import annotations

import signal
import sys
import time

from confluent_kafka import KafkaError, Producer

from tests.support.patience import PATIENCE_S
from tests.support.producers import init_transactions

_OVER = frozenset(
    {
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_TXN_STATE,
        KafkaError._FENCED,
        KafkaError._MSG_TIMED_OUT,
    }
)
"""What a record meets whose transaction is over; librdkafka itself gives it as much time as the transaction."""


def main() -> None:
    bootstrap, topic, transactional_id, timeout_ms = sys.argv[1:]
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(timeout_ms),
        }
    )
    init_transactions(producer)
    producer.begin_transaction()
    errors: list[KafkaError | None] = []
    began = time.monotonic()
    producer.produce(topic, b"left open", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(PATIENCE_S) == 0
    took_ms = (time.monotonic() - began) * 1000
    (error,) = errors
    if error is None:
        print("open", flush=True)
    elif error.code() in _OVER and took_ms >= int(timeout_ms):
        print("late", flush=True)
    else:
        print(f"failed {error.name()} after {took_ms:.0f} ms", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
