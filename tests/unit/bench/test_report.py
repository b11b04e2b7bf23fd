"""Figures become tables and verdicts: medians, ranges, ratios within a round."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cost import COST
from bench.metric import Sample
from bench.page import plots, report
from bench.page.goals import GOALS, at_least, at_most
from bench.page.written_page import NO_FILE, WrittenPage
from bench.results import Result
from bench.scenarios import SCENARIOS
from bench.spread import Spread, percentile, spread
from bench.targets.promise import Promise

SAMPLES = [
    Sample(1, "kafka", {"cpu_s_per_gb": 2.0, "records_per_s": 100_000.0}),
    Sample(1, "logd", {"cpu_s_per_gb": 1.0, "records_per_s": 120_000.0}),
    Sample(2, "logd", {"cpu_s_per_gb": 3.0, "records_per_s": 90_000.0}),
    Sample(2, "kafka", {"cpu_s_per_gb": 10.0, "records_per_s": 50_000.0}),
    Sample(3, "logd", {"cpu_s_per_gb": 9.0, "records_per_s": 90_000.0}),
]
RESULT = Result("S1", "2026-11-20 12:00 UTC", {"cores": 2}, {"quick": False}, SAMPLES)


def test_ratios_are_taken_within_a_round() -> None:
    assert RESULT.ratios("logd", "kafka", "cpu_s_per_gb") == [0.5, pytest.approx(0.3)]


def test_no_ratio_to_nothing() -> None:
    samples = [Sample(1, "kafka", {"x": -1.0}), Sample(1, "logd", {"x": 2.0})]
    assert RESULT._replace(samples=samples).ratios("logd", "kafka", "x") == []


def test_table_has_medians_ranges_and_ratios() -> None:
    assert report.table(RESULT).splitlines() == [
        "| target | broker CPU, s/GB | rate, records/s |",
        "|---|---|---|",
        "| kafka | 6.00 [2.00–10.00] | 75,000 [50,000–100,000] |",
        "| logd | 3.00 [1.00–9.00] | 90,000 [90,000–120,000] |",
        "| logd / kafka | 0.40 × [0.30–0.50] | 1.50 × [1.20–1.80] |",
    ]


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ((0.35, 0.35, 0.35), "goal"),
        ((0.3, 0.2, 0.351), "pass; goal inside the spread"),
        ((0.3, 0.2, 0.6), "goal, inside the spread"),
        ((0.351, 0.2, 0.5), "pass"),
        ((0.4, 0.2, 0.51), "pass, inside the spread"),
        ((0.51, 0.501, 2.0), "not met"),
        ((0.51, 0.5, 2.0), "not met, inside the spread"),
        ((0.51, 0.1, 2.0), "not met, inside the spread"),
    ],
)
def test_verdict_at_most(measured: Spread, verdict: str) -> None:
    assert (
        at_most("", "S1", "cpu_s_per_gb", against="kafka", passed=0.5, goal=0.35).verdict(measured) == verdict
    )


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ((0.95, 0.95, 1.0), "goal"),
        ((0.85, 0.85, 1.0), "pass"),
        ((0.85, 0.84, 1.0), "pass, inside the spread"),
        ((0.84, 0.8, 0.849), "not met"),
        ((0.84, 0.8, 0.85), "not met, inside the spread"),
    ],
)
def test_verdict_at_least(measured: Spread, verdict: str) -> None:
    goal = at_least("", "S1", "records_per_s", against="null", passed=0.85, goal=0.95)
    assert goal.verdict(measured) == verdict


def test_every_goal_names_a_figure_that_its_scenario_takes() -> None:
    for goal in GOALS:
        scenario = SCENARIOS[goal.scenario]
        assert goal.metric in scenario.metrics
        assert not goal.against or goal.against in scenario.targets


def test_a_range_around_one_is_told_as_no_difference() -> None:
    samples = [
        *(Sample(number, "kafka", {"cpu_s_per_gb": 1.0}) for number in (1, 2)),
        *(Sample(number, "logd", {"cpu_s_per_gb": value}) for number, value in ((1, 0.9), (2, 1.2))),
    ]
    last = report.table(RESULT._replace(samples=samples)).splitlines()[-1]
    assert last == "| logd / kafka | none: 1.05 × [0.90–1.20] |  |"


def test_page_and_charts_are_written(tmp_path: Path) -> None:
    page, *charts = report.write(tmp_path, {"S1": RESULT})
    assert (
        "| S1 produce, 128 KB batches: CPU per GB | ≤ 0.5; ≤ 0.35 × kafka | 0.40 × [0.30–0.50] | pass |\n"
        in (page.read_text())
    )
    assert "0.40 ×" in (tmp_path / "benchmarks.svg").read_text()
    assert (
        "75,000" not in (tmp_path / "benchmarks-targets.svg").read_text()
    )  # only the first figure of a scenario
    assert {chart.name for chart in charts if chart.suffix == ".svg"} == {
        "benchmarks.svg",
        "benchmarks-targets.svg",
    }


def test_what_was_not_measured_here_stays_and_is_marked(tmp_path: Path) -> None:
    other = RESULT._replace(scenario="S3", samples=[*SAMPLES[:2]])
    report.write(tmp_path, {"S1": RESULT, "S3": other})
    page, chart = tmp_path / "BENCHMARKS.md", tmp_path / "benchmarks.svg"
    sections, goals, drawn = _sections(page), _goals(page), chart.read_text()
    report.write(tmp_path, {"S3": other}, WrittenPage(page.read_text()))
    assert _sections(page) == {"S1": f"{sections['S1']}\n\n{NO_FILE}", "S3": sections["S3"]}
    assert chart.read_text() == drawn
    for line, (figure, verdict) in goals.items():
        mark = " (an earlier version)" if "S1" in line or "S2" in line else ""
        assert _goals(page)[line] == (figure, verdict + (mark if verdict else ""))
    once = page.read_text()
    report.write(tmp_path, {"S3": other}, WrittenPage(once))
    assert page.read_text() == once


def test_a_goal_that_nobody_measured_is_told(tmp_path: Path) -> None:
    page = report.write(tmp_path, {"S1": RESULT}, WrittenPage("# Benchmarks\n"))[0]
    assert len(_goals(page)) == len(GOALS)
    assert _goals(page)["S9 resident after 10 GB, MB | ≤ 64"] == ("not measured", "")


def test_a_page_of_its_own_has_nothing_of_earlier_runs(tmp_path: Path) -> None:
    other = RESULT._replace(scenario="S3", samples=[*SAMPLES[:2]])
    page, *_ = report.write(tmp_path, {"S3": other})
    alone = page.read_text()
    report.write(tmp_path, {"S1": RESULT})
    report.write(tmp_path, {"S3": other})
    assert page.read_text() == alone


def test_costs_and_promises_stand_below_the_figures(tmp_path: Path) -> None:
    cost = dict.fromkeys(COST, 7.0)
    samples = [Sample(1, "logd", {"cpu_s_per_gb": 1.0, **cost})]
    promises = {"logd": Promise("synced", "validation=full")}
    page = report.write(tmp_path, {"S1": RESULT._replace(samples=samples, promises=promises)})[0].read_text()
    assert (
        "| logd | 7.00 [7.00–7.00] | 7.0 [7.0–7.0] | 7.00 [7.00–7.00] | 7 [7–7] | 7 [7–7] | 7 [7–7] |" in page
    )
    assert "**logd** synced; validation=full." in page


def test_a_target_that_is_not_warm_is_told(tmp_path: Path) -> None:
    samples = [Sample(number, "kafka", {"cpu_s_per_gb": 6.0 / number}) for number in range(1, 6)]
    samples += [Sample(number, "logd", {"cpu_s_per_gb": 1.0 + number % 2}) for number in range(1, 6)]
    page = report.write(tmp_path, {"S1": RESULT._replace(samples=samples)})[0].read_text()
    assert "**Not steady over the rounds:** kafka's broker CPU fell from 6.00 to 1.20 s/GB." in page


def test_so_is_one_in_a_figure_that_is_compared_with_nobody(tmp_path: Path) -> None:
    samples = [Sample(number, "logd", {"lost_percent": 24.0 / number}) for number in range(1, 6)]
    page = report.write(tmp_path, {"S12": RESULT._replace(scenario="S12", samples=samples)})[0].read_text()
    assert "**Not steady over the rounds:** logd's rate lost fell from 24.0 to 4.8 %." in page


def test_the_chart_shows_the_figure_that_a_scenario_is_about(tmp_path: Path) -> None:
    samples = [Sample(1, "logd", {"lost_percent": 2.5, "plain_records_per_s": 200_000.0})]
    report.write(tmp_path, {"S12": RESULT._replace(scenario="S12", samples=samples)})
    chart = (tmp_path / f"{plots.TARGETS}.svg").read_text()
    assert "rate lost, % (shorter is better)" in chart
    assert "200,000" not in chart


@pytest.mark.parametrize("quick", [True, False])
def test_a_page_of_quick_runs_says_so_at_its_head(tmp_path: Path, quick: bool) -> None:
    page = report.write(tmp_path, {"S1": RESULT._replace(settings={"quick": quick})})[0].read_text()
    assert ("**Of quick runs" in page[: page.index("## Against the goals")]) is quick


def test_a_peer_that_was_nowhere_is_named(tmp_path: Path) -> None:
    page = report.write(tmp_path, {"S1": RESULT})[0].read_text()
    assert "- Not measured here: tansu, logd-full, null, floor." in page


def test_machine_and_commands_are_named(tmp_path: Path) -> None:
    page = report.write(tmp_path, {"S1": RESULT})[0].read_text()
    assert "- The machine: cores 2. Everything: `make bench`" in page
    assert "Taken 2026-11-20 12:00 UTC by `python -m bench run S1`; cores 2. quick False." in page


def _sections(page: Path) -> dict[str, str]:
    return WrittenPage(page.read_text()).sections


def _goals(page: Path) -> dict[str, tuple[str, str]]:
    """Figure and verdict by goal and line."""
    text = page.read_text()
    rows = text[text.index("## Against the goals") : text.index("### Not met")].splitlines()
    cells = [row.strip("|").split(" | ") for row in rows if row.startswith("| ")][1:]
    return {f"{label.strip()} | {line}": (figure, verdict.strip()) for label, line, figure, verdict in cells}


def test_percentile_and_spread() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
