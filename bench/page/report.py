"""Results as text tables, and as a page with charts: docs/BENCHMARKS.md.

    python -m bench report

It is written from complete results (publication.py says which). Figures are medians with their range; ratios are taken
round by round. What was not measured and what was not reached is written down as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cost import COST
from bench.metric import Metric
from bench.page import ceiling, not_met, page_text, plots
from bench.page.goal import Goal
from bench.page.goals import GOALS
from bench.page.publication import Publication, lacks
from bench.page.trend import trend
from bench.page.written_page import WrittenPage
from bench.results import OF_A_RUN, Result
from bench.scenarios import SCENARIOS
from bench.spread import Spread, spread
from bench.targets.registry import OURS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = "BENCHMARKS.md"


def publish(publication: Publication) -> list[Path]:
    """Write docs/BENCHMARKS.md from these results, and put them under version control."""
    publication.copy()
    return write(DOCS, publication.results(), WrittenPage((DOCS / PAGE).read_text()))


def write(directory: Path, found: Mapping[str, Result], earlier: WrittenPage | None = None) -> list[Path]:
    """Write the page and its charts; what is not among the results stays as the `earlier` page has it."""
    directory.mkdir(exist_ok=True)
    page = directory / PAGE
    earlier = earlier or WrittenPage("")
    charts = plots.write(directory, found, earlier)
    page.write_text(_page(found, earlier, [chart.name for chart in charts if chart.suffix == ".svg"]))
    return [page, *charts]


def table(result: Result) -> str:
    """One scenario as a markdown table: a row per target, ratios for what is logd."""
    scenario = SCENARIOS[result.scenario]
    metrics = scenario.metrics
    lines = [_head(metrics)]
    lines += [_row(result, target, metrics) for target in _measured(result)]
    for ours, other in _compared(result, metrics):
        cells = [
            _ratio(result.ratios(ours, other, name)) if other in metric.against else ""
            for name, metric in metrics.items()
        ]
        lines.append(f"| {ours} / {other} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _page(found: Mapping[str, Result], earlier: WrittenPage, charts: Sequence[str]) -> str:
    parts = [
        page_text.HEAD.rstrip(),
        *_warning(found),
        *_machine(found),
        *_missing(found),
        "\n## Against the goals\n",
    ]
    if f"{plots.RATIOS}.svg" in charts:
        parts.append(f"![ratios to Kafka]({plots.RATIOS}.svg)\n")
    parts += [_goals(found, earlier), "\n### Not met\n", not_met.table(found, earlier)]
    if ceilings := ceiling.table(found):
        parts += [page_text.CEILING, ceilings]
    parts += [page_text.CHARTS] if f"{plots.TARGETS}.svg" in charts else []
    parts += [page_text.LATENCIES] if f"{plots.LATENCIES}.svg" in charts else []
    for name, scenario in SCENARIOS.items():
        if name in found:
            parts += [f"\n## {name}: {scenario.title}\n", *_section(found[name])]
        elif section := earlier.section(name):
            parts += ["", section]
    return "\n".join([*parts, page_text.PROFILE, page_text.TRIED])


def _section(result: Result) -> list[str]:
    parts = [table(result), ""]
    if moving := _trends(result):
        parts += [f"**Not steady over the rounds:** {moving}.\n"]
    if costs := _costs(result):
        parts += ["What a round cost the process, setting up included:\n", costs, ""]
    if promises := [(name, result.promises[name]) for name in _measured(result) if name in result.promises]:
        parts += ["; ".join(f"**{name}** {promise}" for name, promise in promises) + ".\n"]
    if absent := [name for name in SCENARIOS[result.scenario].targets if name not in result.targets()]:
        parts += [f"Not in this run: {', '.join(absent)}.\n"]
    parts.append(_circumstances(result))
    remark = SCENARIOS[result.scenario].remark
    return [*parts, "", remark] if remark else parts


def _trends(result: Result) -> str:
    """What still moved when the rounds were over: its median says little."""
    told = []
    for target in _measured(result):
        for name, metric in SCENARIOS[result.scenario].metrics.items():
            figures = result.values(target, name)
            if direction := trend(figures):
                first, last = (f"{figure:,.{metric.digits}f}" for figure in (figures[0], figures[-1]))
                told.append(f"{target}'s {metric.title} {direction} from {first} to {last} {metric.unit}")
    return "; ".join(told)


def _warning(found: Mapping[str, Result]) -> list[str]:
    is_quick = any(result.settings.get("quick") for result in found.values())
    return ["- **Of quick runs: no figure and no verdict here is for publication.**"] if is_quick else []


def _machine(found: Mapping[str, Result]) -> list[str]:
    """Where the newest of it was taken; every section names its own."""
    newest = max(found.values(), key=lambda result: result.taken_at, default=None)
    if newest is None:
        return []
    machine = ", ".join(f"{name} {value}" for name, value in newest.machine.items() if name not in OF_A_RUN)
    return [f"- The machine: {machine}. Everything: `make bench`, then `python -m bench report`."]


def _missing(found: Mapping[str, Result]) -> list[str]:
    """Targets that have a place in a scenario and were measured in none."""
    measured = {target for result in found.values() for target in result.targets()}
    wanted = dict.fromkeys(target for name in found for target in SCENARIOS[name].targets)
    absent = [target for target in wanted if target not in measured]
    return [f"- Not measured here: {', '.join(absent)}."] if absent else []


def _goals(found: Mapping[str, Result], earlier: WrittenPage) -> str:
    """The page of docs/ has a row for every goal, measured or not; that of a run those of its scenarios."""
    lines = ["| what | line: pass; goal | measured | reached |", "|---|---|---|---|"]
    for goal in GOALS:
        if earlier.is_empty and goal.scenario not in found:
            continue
        measured = earlier.figure(goal, found)
        figure = _figure(measured, 2, " ×" if goal.against else "") if measured else "not measured"
        lines.append(f"| {goal.label} | {goal.line()} | {figure} | {_verdict(goal, measured, found)} |")
    return "\n".join(lines)


def _verdict(goal: Goal, measured: Spread | None, found: Mapping[str, Result]) -> str:
    if measured is None:
        return ""
    return goal.verdict(measured) + ("" if goal.scenario in found else " (an earlier version)")


def _costs(result: Result) -> str:
    """Empty for results that were taken before costs were kept."""
    rows = [
        _row(result, target, COST) for target in _measured(result) if result.values(target, "round_cpu_s")
    ]
    return "\n".join([_head(COST), *rows]) if rows else ""


def _circumstances(result: Result) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result.machine.items())
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
    lacking = lacks(result)
    warning = f"**Not for publication by itself: {lacking}.** " if lacking else ""
    command = f"`python -m bench run {result.scenario}`"
    return f"{warning}Taken {result.taken_at} by {command}; {machine}. {settings}."


def _measured(result: Result) -> list[str]:
    measured = result.targets()
    return [name for name in SCENARIOS[result.scenario].targets if name in measured]


def _compared(result: Result, metrics: Mapping[str, Metric]) -> list[tuple[str, str]]:
    """Which of ours is set against which other target."""
    named = dict.fromkeys(other for metric in metrics.values() for other in metric.against)
    measured = result.targets()
    return [(ours, other) for ours in OURS if ours in measured for other in named if other in measured]


def _head(metrics: Mapping[str, Metric]) -> str:
    titles = " | ".join(f"{metric.title}, {metric.unit}" for metric in metrics.values())
    return f"| target | {titles} |\n" + "|---" * (len(metrics) + 1) + "|"


def _row(result: Result, target: str, metrics: Mapping[str, Metric]) -> str:
    cells = [_cell(result.values(target, name), metric.digits) for name, metric in metrics.items()]
    return f"| {target} | " + " | ".join(cells) + " |"


def _ratio(values: Sequence[float]) -> str:
    """A range that reaches from below 1 to above it shows no difference."""
    is_none = bool(values) and min(values) <= 1 <= max(values)
    return ("none: " if is_none else "") + _cell(values, 2, " ×")


def _cell(values: Sequence[float], digits: int, unit: str = "") -> str:
    if not values:
        return ""
    return _figure(spread(values), digits, unit)


def _figure(measured: Spread, digits: int, unit: str) -> str:
    median, low, high = measured
    return f"{median:,.{digits}f}{unit} [{low:,.{digits}f}–{high:,.{digits}f}]"
