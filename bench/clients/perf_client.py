"""Kafka's own performance tools as the load: the same client and settings for every target.

`produce` and `start` are kafka-producer-perf-test, `consume` is kafka-consumer-perf-test, `end_to_end` is
kafka-e2e-latency: a record is sent, acknowledged and then waited for, one after the other.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from tests.support import java

_PRODUCE = "org.apache.kafka.tools.ProducerPerformance"
_CONSUME = "org.apache.kafka.tools.ConsumerPerformance"
_END_TO_END = "org.apache.kafka.tools.EndToEndLatency"
# What the scripts of the three and kafka-run-class.sh give the JVM.
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
_CONSUMED_COLUMNS = 10
_LATENCIES = re.compile(
    r"Avg latency: (?P<average>[\d.]+) ms.*?50th = (?P<p50>\d+), 99th = (?P<p99>\d+), 99.9th = (?P<p999>\d+)",
    re.DOTALL,
)

missing = java.missing_tools
"""Why the tools cannot run here; None when they can."""


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


class Consumed(NamedTuple):
    records: int
    mb: float
    """Of 2^20 bytes, as the tool counts."""
    fetch_s: float
    """Without the time until the group has its partitions."""


class Latencies(NamedTuple):
    average_ms: float
    p50_ms: float
    """This and the following in whole milliseconds, as the tool counts."""
    p99_ms: float
    p999_ms: float


def produce(bootstrap: str, topic: str, load: Load, timeout_s: float = 900) -> Outcome:
    """Run to the end. Raises RuntimeError when not every record was acknowledged."""
    done = java.KAFKA.run(_PRODUCE, *_arguments(bootstrap, topic, load), jvm=_SCRIPT_FLAGS, timeout=timeout_s)
    summaries = list(_SUMMARY.finditer(done.stdout))
    whole = [each for each in summaries if not each["steady"]]
    steady = [each for each in summaries if each["steady"]]
    if not whole or int(whole[-1]["count"]) != load.records or not steady:
        raise RuntimeError(
            f"the client did not send everything:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    return Outcome(float(steady[-1]["rate"]), float(steady[-1]["p50"]), float(steady[-1]["p99"]))


def consume(bootstrap: str, topic: str, group: str, records: int, timeout_s: float = 300) -> Consumed:
    """Read a topic from its start. Raises RuntimeError when it has fewer records."""
    arguments = ["--bootstrap-server", bootstrap, "--topic", topic, "--group", group]
    arguments += ["--num-records", str(records), "--timeout", "30000", "--hide-header"]
    done = java.KAFKA.run(_CONSUME, *arguments, jvm=_SCRIPT_FLAGS, timeout=timeout_s)
    rows = [line.split(", ") for line in done.stdout.splitlines()]
    found = [row for row in rows if len(row) == _CONSUMED_COLUMNS]
    if not found or int(found[-1][4]) < records:
        raise RuntimeError(
            f"the client did not get everything:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    row = found[-1]
    return Consumed(int(row[4]), float(row[2]), int(row[7]) / 1000)


def end_to_end(
    bootstrap: str, topic: str, records: int, record_bytes: int, timeout_s: float = 300
) -> Latencies:
    """Send records one by one, acks=all, and consume each before the next. Raises RuntimeError for a failure."""
    arguments = ["--bootstrap-server", bootstrap, "--topic", topic, "--num-records", str(records)]
    arguments += ["--producer-acks", "all", "--record-size", str(record_bytes)]
    done = java.KAFKA.run(_END_TO_END, *arguments, jvm=_SCRIPT_FLAGS, timeout=timeout_s)
    found = _LATENCIES.search(done.stdout)
    if found is None:
        raise RuntimeError(f"no latencies:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return Latencies(*map(float, found.groups()))


def start(bootstrap: str, topic: str, load: Load) -> subprocess.Popen[str]:
    """Load in the background; the caller ends it."""
    return java.KAFKA.start(
        _PRODUCE, *_arguments(bootstrap, topic, load), jvm=_SCRIPT_FLAGS, stdin=subprocess.DEVNULL
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
