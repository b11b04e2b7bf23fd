"""Kafka's own kafka-producer-perf-test as the load: the same client and settings for every target."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from tests.support import java

_MAIN = "org.apache.kafka.tools.ProducerPerformance"
# What kafka-producer-perf-test.sh and kafka-run-class.sh give the JVM.
_SCRIPT_FLAGS = (
    "-Xmx512M",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)
_SUMMARY = re.compile(
    r"^(?P<count>\d+)(?P<steady> steady state)? records sent, (?P<rate>[\d.]+) records/sec .*?"
    r"(?P<average>[\d.]+) ms avg latency.*? (?P<p50>\d+) ms 50th.*? (?P<p99>\d+) ms 99th",
    re.MULTILINE,
)


class Load(NamedTuple):
    """`settings` are producer properties beyond the client's defaults; `per_second` -1 means as fast as it can.

    With `transaction_ms` the records are in transactions, each committed with the first record after that time.
    """

    records: int
    record_bytes: int
    settings: Mapping[str, str]
    per_second: int = -1
    transaction_ms: int = 0


class Outcome(NamedTuple):
    """`records_per_s` leaves out the first fifth, while the client's JVM warms up."""

    records_per_s: float
    p50_ms: float
    p99_ms: float


def produce(bootstrap: str, topic: str, load: Load, timeout_s: float = 900) -> Outcome:
    """Run to the end. Raises RuntimeError when not every record was acknowledged."""
    done = java.KAFKA.run(_MAIN, *_arguments(bootstrap, topic, load), jvm=_SCRIPT_FLAGS, timeout=timeout_s)
    summaries = list(_SUMMARY.finditer(done.stdout))
    whole = [each for each in summaries if not each["steady"]]
    steady = [each for each in summaries if each["steady"]]
    if not whole or int(whole[-1]["count"]) != load.records or not steady:
        raise RuntimeError(
            f"the client did not send everything:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    return Outcome(float(steady[-1]["rate"]), float(steady[-1]["p50"]), float(steady[-1]["p99"]))


def start(bootstrap: str, topic: str, load: Load) -> subprocess.Popen[str]:
    """Load in the background; the caller ends it."""
    return java.KAFKA.start(
        _MAIN, *_arguments(bootstrap, topic, load), jvm=_SCRIPT_FLAGS, stdin=subprocess.DEVNULL
    )


def _arguments(bootstrap: str, topic: str, load: Load) -> list[str]:
    settings = {"bootstrap.servers": bootstrap, **load.settings}
    in_transactions = ("--transaction-duration-ms", str(load.transaction_ms)) if load.transaction_ms else ()
    return [
        *("--topic", topic),
        *("--num-records", str(load.records)),
        *("--record-size", str(load.record_bytes)),
        *("--throughput", str(load.per_second)),
        *("--warmup-records", str(load.records // 5)),
        *("--reporting-interval", "1000"),
        *in_transactions,
        *("--command-property", *(f"{name}={value}" for name, value in settings.items())),
    ]
