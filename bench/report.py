"""Results as text tables, as docs/BENCHMARKS.md and as a chart.

    python -m bench report

Figures are medians with their range; ratios are taken round by round. What was not measured is left out, and what
was not reached is written down as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import results
from bench.chart import ratio_chart
from bench.goals import GOALS
from bench.processes import spread
from bench.results import Result
from bench.scenarios import SCENARIOS
from bench.scenarios.base import Metric
from bench.targets import OURS
from bench.written_page import WrittenPage

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "BENCHMARKS.md"
CHART = DOCS / "benchmarks.svg"

_HEAD = """# Benchmarks

logd beside Apache Kafka 4.3.1 on one machine, taken with `bench/` (its README says how to repeat and read this).
This page is written by `python -m bench report`.

- Every figure is the median of the rounds with its range in brackets. A round measures all targets one after the
  other, in changing order; one round before is thrown away. Ratios are taken within a round. A difference inside
  the ranges is not a difference.
- Kafka runs in KRaft mode with the JVM flags of its own scripts (1 GB heap, G1) and otherwise with its defaults,
  logd with its defaults: neither waits for fsync. Load comes from Kafka's own kafka-producer-perf-test with the
  same settings for all.
- **What logd does less.** By default it checks the header and the checksum of a batch and not every record in it;
  Kafka iterates the records. `log.record.validation=full` does as Kafka; see [gaps](gaps.md).
- **What one node can do.** A logd node uses one core for its loop, Kafka spreads over many. These figures are per
  CPU; on a machine with many cores one Kafka broker takes more load than one logd node.
- "null" answers and stores nothing: what the client can do at most. "floor" receives, checks CRC-32C, writes and
  answers (for consuming: sends a file with sendfile), and does nothing else.
"""

_PROFILE = """
## Where the time of a produce request goes

![flame graph of the broker while it takes batches of 15 records of 1 KB](produce-flame.svg)

`logd bench produce` against a broker on the same machine, `py-spy record -p PID -d 8 -r 300` (py-spy 0.4.3) on
the broker; one run, 2026-11-30, with other work on the machine: the shares count, the rate does not. Of the samples:

| share | what |
|---|---|
| 19 % | writing to the file (`pwrite`) |
| 15 % | sending the answer |
| 4 % | receiving |
| 3 % | CRC-32C |
| 19 % | the event loop itself, waiting for the kernel included |
| 34 % | Python: framing, dispatch, checks, the log's and its indexes' bookkeeping |
| 6 % | pool threads, waiting |

A third is Python, so that is the most that compiling could save; the system calls are one each of receive, write and
send each time a connection is looked at, as in the floor loop.
"""

_TRIED = """
## Tried, and not kept

Side by side on one machine, n = 4, medians and ranges; none of it left the spread.

| what | before | with it |
|---|---|---|
| up to 16 KB of records copied, to send all in one call: µs of CPU a fetch | 67.5 [56.5–83.0] | 70.0 [56.5–80.0] |
| the same: p50 from producer to consumer, µs | 228 [144–276] | 199 [179–250] |
| `socket.send.buffer.bytes=-1`, the system's choice: S6, s/GB | 0.21 [0.19–0.30] | 0.28 [0.22–0.31] |

Kept without a claim: after a send that was cut short the socket is full, and is not asked again at once (S6 0.25
[0.19–0.29] before, 0.21 [0.19–0.30] with it; one system call and one exception less each time).
"""


def table(result: Result) -> str:
    """One scenario as a markdown table: a row per target, ratios for logd."""
    scenario = SCENARIOS[result.scenario]
    metrics = scenario.metrics
    measured = result.targets()
    lines = [
        "| target | " + " | ".join(f"{metric.title}, {metric.unit}" for metric in metrics.values()) + " |",
        "|---" * (len(metrics) + 1) + "|",
    ]
    for target in (name for name in scenario.targets if name in measured):
        cells = [_cell(result.values(target, name), metric.digits) for name, metric in metrics.items()]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    for ours, other in _compared(result, metrics):
        cells = [
            _cell(result.ratios(ours, other, name), 2, " ×") if other in metric.against else ""
            for name, metric in metrics.items()
        ]
        lines.append(f"| {ours} / {other} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write() -> list[Path]:
    """Write the page and its chart from the newest results; what was not measured here stays as it is."""
    found = results.latest()
    DOCS.mkdir(exist_ok=True)
    earlier = WrittenPage(PAGE.read_text() if PAGE.exists() else "")
    CHART.write_text(_chart(found, earlier))
    PAGE.write_text(_page(found, earlier))
    return [PAGE, CHART]


def _page(found: Mapping[str, Result], earlier: WrittenPage) -> str:
    goals = _goals(found, earlier)
    parts = [_HEAD, "## Against the goals\n", "![ratios to Kafka](benchmarks.svg)\n", goals]
    for name, scenario in SCENARIOS.items():
        if name in found:
            result = found[name]
            parts += [f"\n## {name}: {scenario.title}\n", table(result), "", _circumstances(result)]
            if scenario.remark:
                parts += ["", scenario.remark]
        elif name in earlier.sections:
            parts += ["", earlier.sections[name]]
    return "\n".join([*parts, _PROFILE, _TRIED])


def _goals(found: Mapping[str, Result], earlier: WrittenPage) -> str:
    lines = ["| what | line: pass; goal | measured | reached |", "|---|---|---|---|"]
    for goal in GOALS:
        if goal.scenario not in found:
            lines += filter(None, [earlier.goal_row(goal)])
        elif values := goal.values(found[goal.scenario]):
            verdict = goal.verdict(spread(values)[0])
            unit = " ×" if goal.against else ""
            lines.append(f"| {goal.label} | {goal.line()} | {_cell(values, 2, unit)} | {verdict} |")
    return "\n".join(lines)


def _circumstances(result: Result) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result.machine.items())
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
    warning = "**A quick run: not for publication.** " if result.settings.get("quick") else ""
    return f"{warning}Taken {result.taken_at}; {machine}. {settings}."


def _chart(found: Mapping[str, Result], earlier: WrittenPage) -> str:
    rows = []
    for goal in GOALS:
        if goal.against == "kafka" and goal.at_most:
            values = goal.values(found[goal.scenario]) if goal.scenario in found else []
            measured = spread(values) if values else earlier.ratio(goal)
            if measured:
                rows.append((goal.label, measured, goal.passed))
    return ratio_chart("logd compared with Apache Kafka 4.3.1 (1 = Kafka, shorter is better)", rows)


def _compared(result: Result, metrics: Mapping[str, Metric]) -> list[tuple[str, str]]:
    """Which of ours is set against which other target."""
    named = dict.fromkeys(other for metric in metrics.values() for other in metric.against)
    measured = result.targets()
    return [(ours, other) for ours in OURS if ours in measured for other in named if other in measured]


def _cell(values: Sequence[float], digits: int, unit: str = "") -> str:
    if not values:
        return ""
    median, low, high = spread(values)
    return f"{median:,.{digits}f}{unit} [{low:,.{digits}f}–{high:,.{digits}f}]"
