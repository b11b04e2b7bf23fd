"""A producer that leaves a transaction open, as a process of its own that a test kills.

    python -m tests.reliability.left_open BOOTSTRAP TOPIC ID TIMEOUT_MS

It tells `open` once its record is acknowledged, or `late` where it is refused, as after the transaction was aborted for
its age, and waits to be killed.
"""

from __future__ import annotations

import signal
import sys

from confluent_kafka import Producer

from tests.support.producers import init_transactions


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
    errors: list[object] = []
    producer.produce(topic, b"left open", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(60) == 0
    print("late" if any(errors) else "open", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
