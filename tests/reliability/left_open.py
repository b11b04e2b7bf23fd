"""A producer that leaves a transaction open, as a process of its own that a test kills.

    python -m tests.reliability.left_open BOOTSTRAP TOPIC ID TIMEOUT_MS

It tells `open` once its record is acknowledged, and waits to be killed.
"""

from __future__ import annotations

import signal
import sys

from confluent_kafka import Producer


def main() -> None:
    bootstrap, topic, transactional_id, timeout_ms = sys.argv[1:]
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(timeout_ms),
        }
    )
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, b"left open")
    assert producer.flush(60) == 0
    print("open", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
