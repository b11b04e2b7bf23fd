"""What `logd bench` prints: a table for people, one JSON object for scripts.

JSON: `action`, the settings in force, `seconds`, `requests`, `records`, `bytes`, `requests_per_s`, `records_per_s`,
`mb_per_s` (10^6 bytes), `latency_us` (`p50`, `p99`, `p99_9`, `max`; null with acks=0), for latency `end_to_end_us`,
`late_us` (the same of how late requests left; null without a rate), `unsent`, `broker_cpu_s`, `broker_cpu_s_per_gb`
(null without --broker-pid), `interrupted`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from logd.cli import output
from logd.cli.bench_run import INTERRUPTED
from logd.console import warn
from logd.load.histogram import Histogram
from logd.load.run import Figures

_PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99_9": 99.9}


def report(
    options: argparse.Namespace,
    settings: Mapping[str, object],
    figures: Figures,
    latencies: Mapping[str, Histogram],
    *,
    at_a_rate: bool,
) -> int:
    """Print what came out and return the exit code. `latencies`: by the name of each; none where there are none."""
    if options.json:
        output.print_json(_document(options, settings, figures, latencies, at_a_rate))
    else:
        shown = {**latencies, "SENT LATE": figures.late} if at_a_rate else latencies
        _print(settings, figures, shown)
        if figures.unsent:
            _print_unsent(figures)
    if not figures.requests + figures.unsent:
        warn("nothing was measured: the time was too short")
        return INTERRUPTED if figures.interrupted else 1
    return INTERRUPTED if figures.interrupted else 0


def _document(
    options: argparse.Namespace,
    settings: Mapping[str, object],
    figures: Figures,
    latencies: Mapping[str, Histogram],
    at_a_rate: bool,
) -> dict[str, object]:
    seconds = figures.seconds
    names = {"LATENCY": "latency_us", "ACKNOWLEDGED": "latency_us", "RECEIVED": "end_to_end_us"}
    return {
        "action": options.action,
        **settings,
        "seconds": round(seconds, 3),
        "requests": figures.requests,
        "records": figures.records,
        "bytes": figures.payload_bytes,
        "requests_per_s": round(figures.requests / seconds, 1),
        "records_per_s": round(figures.records / seconds, 1),
        "mb_per_s": round(figures.payload_bytes / seconds / 1e6, 3),
        "latency_us": None,
        **{names[name]: _microseconds(taken) for name, taken in latencies.items()},
        "late_us": _microseconds(figures.late) if at_a_rate else None,
        "unsent": figures.unsent,
        "broker_cpu_s": None if figures.cpu_s is None else round(figures.cpu_s, 2),
        "broker_cpu_s_per_gb": _cpu_per_gb(figures),
        "interrupted": figures.interrupted,
    }


def _print(settings: Mapping[str, object], figures: Figures, latencies: Mapping[str, Histogram]) -> None:
    output.print_line("  ".join(f"{name}={value}" for name, value in settings.items() if value is not None))
    seconds = figures.seconds
    headers = ["SECONDS", "RECORDS/S", "MB/S", "REQUESTS/S"]
    row: list[output.Cell] = [
        f"{seconds:.1f}",
        round(figures.records / seconds),
        f"{figures.payload_bytes / seconds / 1e6:.1f}",
        round(figures.requests / seconds),
    ]
    if figures.cpu_s is not None:
        headers += ["BROKER CPU S", "CPU S/GB"]
        row += [f"{figures.cpu_s:.2f}", _text(_cpu_per_gb(figures))]
    output.print_table(headers, [row])
    if latencies:
        output.write("\n")
        rows: list[list[output.Cell]] = [
            [name, *_microseconds(taken).values()] for name, taken in latencies.items()
        ]
        output.print_table(["", "P50 µs", "P99 µs", "P99.9 µs", "MAX µs"], rows)


def _print_unsent(figures: Figures) -> None:
    due = figures.requests + figures.unsent
    output.print_line(
        f"{figures.unsent:,} of {due:,} requests had not left when the time was over: the broker, or this machine, "
        "does not keep up with the rate. They count with how long they had waited."
    )


def _microseconds(taken: Histogram) -> dict[str, int]:
    found = {name: round(taken.percentile(percent) / 1000) for name, percent in _PERCENTILES.items()}
    return {**found, "max": round(taken.highest / 1000)}


def _cpu_per_gb(figures: Figures) -> float | None:
    if figures.cpu_s is None or not figures.payload_bytes:
        return None
    return round(figures.cpu_s / (figures.payload_bytes / 1e9), 3)


def _text(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
