"""A service of quixstreams: running totals of orders by customer, exactly once.

    python totals.py BOOTSTRAP STATE_DIR

Reads `orders`, groups them by customer (a topic of quixstreams' own between two halves), keeps how many each had and
their sum in state with a changelog, and writes to `totals` an order, how many there have been, and their sum.
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application

# A producer has a new transactional id at each start: what a killed one left open has to time out.
TRANSACTION_MS = 5_000


def main() -> None:
    bootstrap, state_dir = sys.argv[1:]
    app = Application(
        broker_address=bootstrap,
        consumer_group="totals",
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        commit_interval=0.1,
        state_dir=state_dir,
        producer_extra_config={"transaction.timeout.ms": TRANSACTION_MS},
        consumer_extra_config={"session.timeout.ms": 3_000, "heartbeat.interval.ms": 300},
        loglevel="WARNING",
    )
    orders = app.topic("orders", key_deserializer="str", value_deserializer="json")
    totals = app.topic("totals", key_serializer="str", value_serializer="json")
    frame = app.dataframe(orders)
    frame = frame.group_by("customer", key_serializer="str", key_deserializer="str")
    frame = frame.apply(_add, stateful=True)
    frame.to_topic(totals)
    app.run()


def _add(order: dict[str, Any], state: Any) -> dict[str, Any]:
    count, total = state.get("count", 0) + 1, state.get("total", 0) + order["amount"]
    state.set("count", count)
    state.set("total", total)
    return {"order": order["order"], "customer": order["customer"], "count": count, "total": total}


if __name__ == "__main__":
    main()
