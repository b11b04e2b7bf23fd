"""S7: how many requests a second, and how many for a second of the broker's CPU: batches of one record, 64 connections.

    python -m bench run S7

One request in flight on each connection, one record of 100 B in each, acks=all, 16 partitions. The load takes a core
for itself (logd/load); the null broker shows what it can do at most. Kafka may use all cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.latencies import LATENCY
from bench.scenarios.base import Metric
from bench.scenarios.wire_produce import WireProduce


class RequestRate(WireProduce):
    name = "S7"
    title = "requests of one record on 64 connections"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "requests_per_s": Metric("rate", "requests/s", 0, ("kafka", "null")),
        "requests_per_cpu_s": Metric("for a second of broker CPU", "requests", 0, ("kafka", "floor", "null")),
        **LATENCY,
    }
    connections = 64
    in_flight = 1
    record_bytes = 100
    batch_records = 1
    seconds = 4.0
