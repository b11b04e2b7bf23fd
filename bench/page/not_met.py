"""The goals that are not met: by how much, what of it the floor takes, and what would come next.

Figures come from results. The floor's share says how far anything written in this way could get: of a cost, the part
that the floor loop has, too; of a rate, what the floor loop reaches where the same is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.page.goal import Direction, Goal
from bench.page.goals import GOALS
from bench.page.written_page import WrittenPage
from bench.results import Result
from bench.spread import Spread, spread

_COMPILE = (
    "compile the path of a request as one, from the connection to the log: a sixth of its CPU (see what "
    "was tried)"
)
_RATE = "the client shares the cores, so what the broker saves in CPU becomes rate: " + _COMPILE
_NEXT: Mapping[str, str] = {
    "S1 cpu_s_per_gb": _COMPILE,
    "S1 records_per_s": _RATE,
    "S3 cpu_s_per_gb": _COMPILE,
    "S3 records_per_s": _RATE + "; and answers of one turn of the loop in one send per connection",
    "S4 cpu_s_per_million": "requests are small, so the cost is per request: " + _COMPILE,
    "S4 records_per_s": _RATE,
    "S5 p50_excess_us": _COMPILE,
    "S5 p99_excess_us": "look which turns of the loop are long: timers, metrics, the collector of garbage",
    "S6 cpu_s_per_gb": f"half of it is Python, the kernel's part is the floor's: {_COMPILE}, not enough by itself",
    "S6L p50_us": "waking from rest is most of it, since a produce that takes 27 µs back to back takes 350 after a "
    "millisecond of idling: nothing in the broker but what each request costs",
    "S6L p99_us": "look which turns of the loop are long",
    "S7 requests_per_s": "several nodes on a machine, one for each core: one loop has one core; " + _COMPILE,
    "S7 requests_per_cpu_s": _COMPILE,
    "S8 first_ack_s": "look what is imported before the first answer",
    "S8 rss_mb": "look what is imported before the first answer",
    "S9 rss_mb": "return what buffers have grown to",
    "S10 classic_new_ms": "nothing in the broker: the client waits 150 ms by itself (see below); the consumer "
    "protocol has one wait less",
    "S10 classic_known_ms": "nothing in the broker: the client waits by itself",
    "S11 kb_each": "smaller receive buffers for connections that are silent",
    "S11 p99_ratio": "look what the loop does for silent connections",
    "S12 lost_percent": "write the markers of one turn together",
    "S14 mb_per_s": "walk the records where they were read, without a copy of each batch; marking what goes in two "
    "processes, half of the log each, where there are cores",
    "S14 p99_ratio": "let the worker pause where producers wait",
    "S14S mb_per_s": "as S14, and more of it: ten times as many records in a byte",
    "S16 p99_ratio": "check and read ahead in smaller pieces, so that the pool takes the interpreter from the "
    "loop for less long",
    "S17 orders_per_s": "the services take the time, not the broker",
    "S17 p50_ms": "shorter commits in the services",
    "S17 p99_ms": "shorter commits in the services",
}


def table(found: Mapping[str, Result], earlier: WrittenPage) -> str:
    """One row for each goal whose line is not passed; `earlier` has the figures of what was not measured here."""
    rows = []
    for goal in GOALS:
        measured = earlier.figure(goal, found)
        if measured is not None and not goal.is_passed(measured[0]):
            rows.append(_row(goal, measured, _floor_share(goal, found.get(goal.scenario))))
    if not rows:
        return "Every goal that was measured is met."
    head = [
        "| goal | asked | measured | distance | the floor's share | what would come next |",
        "|---" * 6 + "|",
    ]
    return "\n".join([*head, *rows])


def _row(goal: Goal, measured: Spread, floor_share: str) -> str:
    median = measured[0]
    side = "above" if goal.direction is Direction.AT_MOST else "below"
    inside = "" if goal.verdict(measured) == "not met" else ", inside the spread"
    distance = f"{abs(median / goal.passed - 1):.0%} {side}{inside}"
    figure = f"{median:,.2f}{' ×' if goal.against else ''}"
    idea = _NEXT[f"{goal.scenario} {goal.metric}"]
    return f"| {goal.label} | {goal.line()} | {figure} | {distance} | {floor_share} | {idea} |"


def _floor_share(goal: Goal, result: Result | None) -> str:
    if result is None:
        return "not known: no result of it is kept"
    if "floor" not in result.targets():
        return "no floor to measure against"
    if goal.direction is Direction.AT_MOST:
        return _of(result.ratios("floor", goal.target, goal.metric), "{:.0%}", "", " of the cost")
    return _of(result.ratios("floor", goal.against, goal.metric), "{:.2f}", " ×", " by the floor itself")


def _of(shares: list[float], form: str, unit: str, what: str) -> str:
    if not shares:
        return "no floor to measure against"
    median, low, high = (form.format(share) for share in spread(shares))
    return f"{median}{unit} [{low}–{high}]{what}"
