"""Which figures the charts of the page show, and their files: SVG, and PNG where Pillow is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bench.latencies import PERCENTILES
from bench.page.chart import Curves, Group, Row, latency_chart, ratio_chart, target_chart
from bench.page.drawing import Drawing
from bench.page.goal import Direction
from bench.page.goals import GOALS
from bench.page.svg import to_svg
from bench.page.written_page import WrittenPage
from bench.results import Result
from bench.scenarios import SCENARIOS
from bench.spread import spread

RATIOS, TARGETS, LATENCIES = "benchmarks", "benchmarks-targets", "benchmarks-latency"
"""Names of files, without what they end with."""
_TICKS = ("p50", "p90", "p99", "p99.9", "p99.99", "max")


def write(directory: Path, found: Mapping[str, Result], earlier: WrittenPage) -> list[Path]:
    """A chart of what there is nothing of is left as it is."""
    drawings = {RATIOS: _ratios(found, earlier), TARGETS: _targets(found), LATENCIES: _latencies(found)}
    written = []
    for name, drawing in drawings.items():
        if drawing is not None:
            written += _write(directory / name, drawing)
    return written


def _write(path: Path, drawing: Drawing) -> list[Path]:
    svg, png = path.with_suffix(".svg"), path.with_suffix(".png")
    svg.write_text(to_svg(drawing))
    if find_spec("PIL") is None:
        return [svg]
    from bench.page.png import to_png  # noqa: PLC0415 - Pillow may be missing

    png.write_bytes(to_png(drawing))
    return [svg, png]


def _ratios(found: Mapping[str, Result], earlier: WrittenPage) -> Drawing | None:
    rows: list[Row] = []
    for goal in GOALS:
        is_shown = goal.against == "kafka" and goal.direction is Direction.AT_MOST
        if is_shown and (measured := earlier.figure(goal, found)):
            rows.append((goal.label, measured, goal.passed))
    title = "logd compared with Apache Kafka 4.3.1 (1 = Kafka, shorter is better)"
    return ratio_chart(title, rows) if rows else None


def _targets(found: Mapping[str, Result]) -> Drawing | None:
    """The first figure of each scenario: what it is about."""
    groups = []
    for name, scenario in SCENARIOS.items():
        if name in found:
            key, metric = next(iter(scenario.metrics.items()))
            by_target = {
                target: spread(values)
                for target in scenario.targets
                if (values := found[name].values(target, key))
            }
            better = "longer" if key.endswith("_per_s") else "shorter"
            title = f"{name}: {scenario.title}: {metric.title}"
            groups.append(Group(title, f"{metric.unit} ({better} is better)", metric.digits, by_target))
    return target_chart("What was measured, by target", groups) if groups else None


def _latencies(found: Mapping[str, Result]) -> Drawing | None:
    panels = []
    for name, scenario in SCENARIOS.items():
        if name in found:
            by_target = {
                target: curve for target in scenario.targets if (curve := _curve(found[name], target))
            }
            if by_target:
                panels.append(Curves(f"{name}: {scenario.title}", _TICKS, by_target))
    return latency_chart("Latency by percentile, medians of the rounds", panels) if panels else None


def _curve(result: Result, target: str) -> list[float]:
    """One value for each tick; nothing where some are missing."""
    taken = [result.values(target, name) for name in PERCENTILES]
    return [spread(values)[0] for values in taken] if all(taken) else []
