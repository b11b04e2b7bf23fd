"""What every service tells Prometheus: work done, how long records waited for it, and how far behind it is."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("orders_records_processed", "Records handled and committed", ["topic"])
DEAD_LETTERS = Counter("orders_dead_letters", "Records set aside", ["topic"])
ABORTED = Counter("orders_transactions_aborted", "Transactions that were rolled back and tried again")
COMMIT_SECONDS = Histogram(
    "orders_commit_seconds",
    "Time that a commit took",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
STAGE_SECONDS = Histogram(
    "orders_stage_seconds",
    "From the time of a record until the results of this service are visible",
    ["topic"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 5, 30),
)
LAG = Gauge("orders_lag_records", "Records between the position and the end", ["topic", "partition"])
EVENTS = Counter(
    "orders_events", "What happened, by kind: states of orders, requests refused, mails given up", ["kind"]
)


def count(records: Iterable[tuple[str, int]]) -> None:
    """Records that are committed now: topic, and time in ms."""
    now_ms = time.time() * 1000
    times: dict[str, list[int]] = {}
    for topic, timestamp_ms in records:
        times.setdefault(topic, []).append(timestamp_ms)
    for topic, timestamps in times.items():
        RECORDS.labels(topic).inc(len(timestamps))
        stage = STAGE_SECONDS.labels(topic)
        for timestamp_ms in timestamps:
            stage.observe(max(now_ms - timestamp_ms, 0) / 1000)
